"""A SavedModel's signature `network` as one graph of constants, for a fixed input shape."""

import os
from typing import Dict, NamedTuple, Optional, Tuple

import tensorflow as tf
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

from tfmaskrcnn.errors import InputError
from tfmaskrcnn.inference.exported import OUTPUTS, exported_config, load_saved_model

# Of a model with a mask head, or a keypoint head.
OPTIONAL = ("detection_masks", "detection_keypoints", "detection_keypoint_scores")
# The strides of the pyramid need sides that are multiples of this.
MULTIPLE = 32


class FrozenNetwork(NamedTuple):
    """The graph of `network` with constants for weights and one shape."""

    graph_def: tf.compat.v1.GraphDef
    inputs: Dict[str, str]  # "images", "sizes" -> name of a tensor in the graph
    outputs: Dict[str, str]  # the served names -> name of a tensor in the graph
    shape: Tuple[int, int, int, int]  # of `images`: B, H, W, C


def load_network(folder: str):
    """The loaded SavedModel in `folder` and its signature `network`; keep both.

    Raises:
        InputError: no SavedModel of this project.
    """
    folder = os.fspath(folder)
    if not os.path.exists(os.path.join(folder, "saved_model.pb")):
        raise InputError(
            f"{folder} is no SavedModel (no saved_model.pb); make one by `tfmaskrcnn export`."
        )
    loaded = load_saved_model(folder)
    network = loaded.signatures.get("network")
    found = {} if network is None else network.structured_input_signature[1]
    if set(found) != {"images", "sizes"} or not set(OUTPUTS) <= set(network.structured_outputs):
        raise InputError(
            f"{folder} has no signature 'network' of images and sizes, found "
            f"{sorted(loaded.signatures)}; export it again by `tfmaskrcnn export`."
        )
    return loaded, network


def freeze(folder: str, batch: int = 1, size: Optional[Tuple[int, int]] = None) -> FrozenNetwork:
    """Freeze a SavedModel's `network` for images [batch, *size, C].

    Args:
        folder: a SavedModel made by `export_saved_model`, of any TensorFlow from 2.14 on.
        batch: images that go through the network together.
        size: (height, width) in pixels, multiples of 32; None takes the `input.fixed_size` that
            the model was exported with.

    Raises:
        InputError: no such SavedModel, no size, another size than the model's, or a loop inside.
    """
    loaded, network = load_network(folder)
    shape = _fixed_shape(folder, network, batch, size)
    function = tf.function(
        lambda images, sizes: network(images=images, sizes=sizes),
        input_signature=[
            tf.TensorSpec(shape, tf.float32, "images"),
            tf.TensorSpec([batch, 2], tf.float32, "sizes"),
        ],
    )
    concrete = function.get_concrete_function()
    frozen = convert_variables_to_constants_v2(
        concrete, lower_control_flow=False, aggressive_inlining=True
    )
    del loaded  # held the variables until here
    graph_def = frozen.graph.as_graph_def()
    for node in graph_def.node:
        node.attr.pop("_gradient_op_type", None)  # names of functions that stay behind
    _refuse_loops(folder, graph_def)
    names = sorted(concrete.structured_outputs)  # as tf.nest flattens a dict
    outputs = {name: tensor.name for name, tensor in zip(names, frozen.outputs)}
    inputs = {"images": frozen.inputs[0].name, "sizes": frozen.inputs[1].name}
    wanted = {name: outputs[name] for name in (*OUTPUTS, *OPTIONAL) if name in outputs}
    return FrozenNetwork(graph_def, inputs, wanted, shape)


def _fixed_shape(folder, network, batch, size) -> Tuple[int, int, int, int]:
    known = tuple(network.structured_input_signature[1]["images"].shape)
    size = tuple(size or known[1:3])
    if None in size:
        raise InputError(
            f"{folder} takes images of any size, these runtimes need one: give --fixed-size HEIGHT "
            "WIDTH."
        )
    if min(size) < 1 or any(side % MULTIPLE for side in size):
        raise InputError(f"The size {size[0]} x {size[1]} must be of multiples of {MULTIPLE}.")
    for fixed, wanted, axis in zip(known, (batch, *size), ("batch", "height", "width")):
        if fixed not in (None, wanted):
            raise InputError(f"{folder} was exported for a {axis} of {fixed}, not {wanted}.")
    return (batch, *size, known[3])


def _refuse_loops(folder, graph_def) -> None:
    """Other runtimes run loops badly or not at all; the model has one in two cases."""
    loops = {"While", "StatelessWhile"}
    if not loops & {node.op for node in graph_def.node}:
        return
    if exported_config(folder).get("roi", {}).get("sampling_ratio") == 0:
        raise InputError(
            f"{folder} holds a loop, because roi.sampling_ratio is 0 (adaptive); export it again "
            "with --set model.roi.sampling_ratio=2."
        )
    raise InputError(
        f"{folder} holds a loop over images, which an export on a machine with a GPU gives; export "
        "it again with the environment variable CUDA_VISIBLE_DEVICES set to ''."
    )
