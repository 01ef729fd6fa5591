"""Functions whose weights are constants of their graph."""

from typing import Callable, Dict

import tensorflow as tf
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2


def with_constants(function, *specs: tf.TensorSpec) -> Callable[..., Dict[str, tf.Tensor]]:
    """`function` for inputs of `specs`, its variables replaced by constants.

    From constants TensorFlow folds the norms into the kernels once and not at every image, keeps
    the kernels in oneDNN's own layout, and knows enough of the shapes to fuse a shortcut's sum and
    ReLU into the convolution before it.

    Args:
        function: takes tensors, returns a flat dict of them.

    Returns:
        A function to call inside other graphs, with positional inputs; without gradients.
    """
    concrete = tf.function(function, input_signature=specs).get_concrete_function()
    frozen = convert_variables_to_constants_v2(concrete, lower_control_flow=False)
    names = sorted(concrete.structured_outputs)  # as tf.nest flattens a dict

    def call(*inputs):
        return dict(zip(names, frozen(*inputs)))

    return call
