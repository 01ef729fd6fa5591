"""The rules on ONNX and TFLite graphs that have each part of a detector once."""

from helpers.small_network import small_network
from tfmaskrcnn.export.quantization import onnx_graph, tflite_graph
from tfmaskrcnn.export.quantization.integer_nodes import Node, integer_nodes


def of_onnx(model):
    return integer_nodes(*onnx_graph.onnx_nodes(model), onnx_graph.KINDS)


def of_tflite(*nodes):
    """What is chosen of nodes as "name KIND input input", where `-` is a constant.

    `KIND!` has an activation of its own.
    """
    made = []
    for node in nodes:
        name, kind, *inputs = node.split()
        inputs = tuple("" if each == "-" else each for each in inputs)
        made.append(Node(name, kind.rstrip("!"), inputs, (name,), kind.endswith("!")))
    return integer_nodes(made, "images", tflite_graph.KINDS)


def test_features_are_in_eight_bits_and_nothing_else():
    chosen = of_onnx(small_network())
    assert chosen.integer == ["stem", "stem_relu", "branch", "sum", "sum_relu", "fc"]


def test_the_last_layers_are_those_that_nothing_weighted_reads():
    assert of_onnx(small_network()).last == ["objectness", "logits"]


def test_the_last_layer_of_masks_with_an_activation_is_no_last_layer():
    model = small_network()
    (objectness,) = [node for node in model.graph.node if node.name == "objectness"]
    place = list(model.graph.node).index(objectness) + 1
    relu = type(objectness)(op_type="Relu", name="up", input=["objectness"], output=["up"])
    model.graph.node.insert(place, relu)
    chosen = of_onnx(model)
    assert "objectness" in chosen.integer and chosen.last == ["logits"]


def test_a_table_of_classes_is_no_layer():
    # The classes choose its row, images do not reach it: a product by a constant all the same.
    chosen = of_onnx(small_network())
    assert "row" not in chosen.integer + chosen.last


# RoIAlign of a canvas `p2`, whose samples lie at `at` by the share `share`, and a dense layer.
ROI_ALIGN = (
    "near GATHER p2 at",
    "far GATHER p2 at",
    "near_part MUL near share",
    "far_part MUL far other_share",
    "crops ADD near_part far_part",
    "bins AVERAGE_POOL_2D crops",
    "flat RESHAPE bins -",
    "fc FULLY_CONNECTED! flat - -",
)


def test_samples_of_features_are_in_eight_bits_and_where_they_lie_is_not():
    chosen = of_tflite(
        "p2 CONV_2D images - -",
        "deltas CONV_2D p2 - -",
        "sides EXP deltas",
        "corners MUL sides anchors",
        "at CAST corners",
        "share SUB corners at",
        "other_share SUB - share",
        *ROI_ALIGN,
        "class_logits FULLY_CONNECTED fc - -",
        "scores SOFTMAX class_logits",
    )
    assert chosen.integer == ["p2", *(line.split()[0] for line in ROI_ALIGN)]
    assert chosen.last == ["deltas", "class_logits"]


def test_boxes_that_only_ever_multiply_and_add_deltas_are_no_features_of_a_layer():
    chosen = of_tflite(
        "p2 CONV_2D! images - -",
        "deltas CONV_2D p2 - -",
        "shift MUL deltas sides",
        "boxes ADD shift anchors",
        "clipped RELU boxes",
        "share SUB clipped at",
        "other_share SUB - share",
        *ROI_ALIGN,
    )
    assert chosen.last == ["deltas"]
    assert not {"shift", "boxes", "clipped"} & set(chosen.integer)


def test_a_product_of_two_features_stays_float():
    both = of_tflite("a CONV_2D! images - -", "b CONV_2D! images - -", "product MUL a b")
    assert both.integer == ["a", "b"]
    one = of_tflite("a CONV_2D! images - -", "b TILE images -", "product MUL a b")
    assert one.integer == ["a"]


def test_a_class_that_chooses_a_row_of_a_table_makes_no_feature_of_it():
    chosen = of_tflite(
        "a CONV_2D! images - -",
        "best TOPK_V2 a",
        "label GATHER - best",
        "row FULLY_CONNECTED label -",
    )
    assert chosen == (["a"], [])


def test_a_sum_with_a_constant_or_of_one_tensor_is_none_of_features():
    chosen = of_tflite("a CONV_2D! images - -", "b ADD a -", "c ADD a a", "d RESHAPE a -")
    assert chosen.integer == ["a", "d"]
