"""What TensorFlow makes of a sum of several large tensors, by itself and within `fit`."""

import keras
import tensorflow as tf
from tensorflow.python.eager import context

from tfmaskrcnn.model.fit import TrainableModel
from tfmaskrcnn.model.losses import LossTerm

SIDE = 4000  # three such squares are more than TensorFlow believes a CPU to hold


class Thrice(TrainableModel):
    """One weight that three terms use, so that its gradient is a sum of three."""

    def __init__(self):
        super().__init__(dtype="float32")
        self.wide = keras.layers.Dense(SIDE, use_bias=False, kernel_initializer="ones")
        self.track_losses(("term",))
        self.wide.build((None, SIDE))
        self.built = True

    def loss_terms(self, batch, training):
        inputs = [tf.tile(batch["image"] * factor, [1, SIDE]) for factor in (1.0, 2.0, 3.0)]
        total = tf.add_n([tf.reduce_sum(self.wide(x)) for x in inputs])
        return {"term": LossTerm(total, tf.constant(1.0))}


def operations(run):
    """The operations of all graphs that TensorFlow optimised while `run` ran."""
    eager = context.context()
    eager.enable_graph_collection()
    try:
        run()
        graphs = eager.export_run_metadata().function_graphs
    finally:
        eager.disable_graph_collection()
    return {node.op for graph in graphs for node in graph.post_optimization_graph.node}


def test_fit_keeps_the_order_of_sums():
    batch = {"image": tf.ones([1, 1]), "image_id": tf.constant([7], tf.int64)}
    dataset = tf.data.Dataset.from_tensors(batch)
    models = [Thrice(), Thrice()]
    for model in models:
        model.compile(keras.optimizers.SGD(1e-3))
    ordered = operations(lambda: models[0].fit(dataset, verbose=0))
    bare = operations(lambda: keras.Model.fit(models[1], dataset, verbose=0))
    assert "AddN" in ordered and "TemporaryVariable" not in ordered
    # What `sums_in_order` is against: the day TensorFlow leaves it, it can go.
    assert "TemporaryVariable" in bare
