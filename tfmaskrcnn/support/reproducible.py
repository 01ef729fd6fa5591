"""What makes a training repeat itself to the bit on a CPU, where TensorFlow by itself would not."""

import contextlib

import tensorflow as tf
from tensorflow.python.eager import context


@contextlib.contextmanager
def sums_in_order():
    """Functions first called within the block add the terms of a sum in the order of the graph.

    Where TensorFlow estimates that a graph's memory comes near 256 MB, its size of a CPU, it makes
    sums of three and more tensors (the gradient of all that is used as often) into additions to a
    temporary variable, in the order in which the terms arrive. That order changes once its executor
    has learnt, after some 90 steps, which kernels are cheap, and with the load of the machine.
    `enable_op_determinism` leaves it so, and `tf.config.optimizer` has no switch for this part of
    it, the memory optimizer; so the options of calls are replaced, which have no public name.

    It is the memory optimizer as well that remarks on each CropAndResize in a thousand characters
    (see `quiet`), past every log level: whatever runs the network for people runs it in here.
    """
    eager = context.context()
    before = eager.function_call_options
    config = tf.compat.v1.ConfigProto.FromString(before.config_proto_serialized)
    rewrites = config.graph_options.rewrite_options
    rewrites.memory_optimization = rewrites.NO_MEM_OPT
    eager.function_call_options = context.FunctionCallOptions(before.executor_type, config)
    try:
        yield
    finally:
        eager.function_call_options = before
