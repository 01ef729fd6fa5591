"""The rules on a graph that has each part of a detector once."""

from helpers.small_network import small_network
from tfmaskrcnn.export.quantization.integer_nodes import integer_nodes


def test_features_are_in_eight_bits_and_nothing_else():
    chosen = integer_nodes(small_network())
    assert chosen.integer == ["stem", "stem_relu", "branch", "sum", "sum_relu", "fc"]


def test_the_last_layers_are_those_that_nothing_weighted_reads():
    assert integer_nodes(small_network()).last == ["objectness", "logits"]


def test_the_last_layer_of_masks_with_an_activation_is_no_last_layer():
    model = small_network()
    (objectness,) = [node for node in model.graph.node if node.name == "objectness"]
    place = list(model.graph.node).index(objectness) + 1
    relu = type(objectness)(op_type="Relu", name="up", input=["objectness"], output=["up"])
    model.graph.node.insert(place, relu)
    chosen = integer_nodes(model)
    assert "objectness" in chosen.integer and chosen.last == ["logits"]


def test_a_table_of_classes_is_no_layer():
    # The classes choose its row, images do not reach it: a product by a constant all the same.
    chosen = integer_nodes(small_network())
    assert "row" not in chosen.integer + chosen.last
