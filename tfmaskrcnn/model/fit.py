"""What `compile` and `fit` do: one update of the weights from sums and counts of losses."""

import contextlib
import types
from typing import Any, Callable, Dict, Iterator, List, Optional, Sequence

import keras
import tensorflow as tf

from tfmaskrcnn import compat
from tfmaskrcnn.errors import assert_finite, explained
from tfmaskrcnn.model import keras_habits
from tfmaskrcnn.model.batch_check import BatchCheck
from tfmaskrcnn.model.batch_parts import after, parts_of
from tfmaskrcnn.model.compiled import CompileSettings, compile_arguments, compile_config
from tfmaskrcnn.model.ema import WeightAverage
from tfmaskrcnn.model.gradients import apply_gradients
from tfmaskrcnn.model.losses import LossTerm
from tfmaskrcnn.model.optimized import Optimized
from tfmaskrcnn.model.trained_parts import PartlyTrained
from tfmaskrcnn.model.weights import named_weights
from tfmaskrcnn.ops.replicas import all_reduce_sum, num_replicas
from tfmaskrcnn.ops.tensors import as_graph
from tfmaskrcnn.support.reproducible import sums_in_order


class TrainableModel(PartlyTrained):
    """A `keras.Model` whose loss is a dict of `LossTerm`, exact on one device and on many.

    A subclass gives `loss_terms(batch, training)`, calls `track_losses` with their names, and may
    have a `batch_check` that knows its batches.
    """

    batch_check: Optional[BatchCheck] = None

    def track_losses(self, names: Sequence[str]):
        """Make a running mean for the sum of all losses and for each one."""
        self.loss_means = {name: keras.metrics.Mean(name=name) for name in ("loss", *names)}

    def loss_terms(self, batch: Dict[str, tf.Tensor], training: bool) -> Dict[str, LossTerm]:
        """The losses of a batch, by the names given to `track_losses`."""
        raise NotImplementedError

    def compile(
        self,
        optimizer="sgd",
        loss=None,
        *,
        accumulate: Optional[int] = None,
        xla: bool = False,
        ema: Optional[float] = None,
        **kwargs,
    ):
        """`keras.Model.compile`; the optimizer's slots are made at once.

        Args:
            optimizer: any of Keras, perhaps with `gradient_rules` (see `train.make_optimizer`). It
                scales the loss, as in Keras, where layers compute in float16.
            loss: None; the model has its own.
            accumulate: go through a batch in so many parts (None: 1), one after the other, and
                update once: the memory of a part and, where no batch normalisation is trained, the
                update of the whole. Costs another pass of backbone and RPN, see `_counts`.
            xla: compile what `part` is asked for. The rest has operations that XLA lacks.
            ema: decay of a `WeightAverage`, kept in `average`.
            kwargs: of Keras.

        Raises:
            InputError: an argument of Keras would have no effect.
        """
        keras_habits.check_compile({"loss": loss, **kwargs})
        kwargs["jit_compile"] = False
        optimizer = self._scaling(keras.optimizers.get(optimizer))
        super().compile(optimizer=optimizer, **kwargs)
        self._settings = CompileSettings(accumulate, xla, ema, kwargs)
        variables = self.trainable_by_optimizer()
        compat.build_optimizer(self.optimizer, variables)
        self._optimized = Optimized(self, variables)
        self._accumulate = accumulate or 1
        self._xla = _Compiled() if xla else None
        self.average = WeightAverage(self, ema) if ema else None

    def _scaling(self, optimizer):
        """`optimizer`, inside a `LossScaleOptimizer` if float16 needs one that is not there."""
        half = any(layer.compute_dtype == "float16" for layer in self.layers)
        needs = half and not compat.scales_loss(optimizer)
        return compat.loss_scaling(optimizer) if needs else optimizer

    def get_compile_config(self):
        """Optimizer and settings, which Keras keeps in a `.keras` file; None before `compile`."""
        settings = getattr(self, "_settings", None)
        return settings and compile_config(self.optimizer, settings, named_weights(self))

    def compile_from_config(self, config):
        """`compile` as `get_compile_config` says."""
        optimizer, arguments = compile_arguments(config, named_weights(self))
        self.compile(optimizer, **arguments)

    @property
    def compiles_parts(self) -> bool:
        """Whether `part` compiles now: anew for each shape."""
        return getattr(self, "_xla", None) is not None

    def part(self, name: str, function: Callable) -> Callable:
        """`function` (a layer, a method), by XLA where `compile` was told so; `name` is its own."""
        return self._xla.of(name, function) if self.compiles_parts else function

    @contextlib.contextmanager
    def without_xla(self) -> Iterator[None]:
        """What is traced within the block is not compiled: images of many sizes, few of each."""
        before, self._xla = getattr(self, "_xla", None), None
        try:
            yield
        finally:
            self._xla = before

    def _forget_compiled(self):
        self._xla = _Compiled() if self._xla else None

    def averaged(self):
        """A context in which the weights are those of `average`, if there is one."""
        average = getattr(self, "average", None)
        return average.in_place() if average else contextlib.nullcontext()

    @tf.autograph.experimental.do_not_convert  # see `as_graph`
    def train_step(self, data):
        """One update; returns the running means of all losses."""
        parts = parts_of(_as_batch(data), self._accumulate)
        counts = self._counts(parts) if len(parts) > 1 else None
        variables = self.trainable_variables
        with after(list((counts or {}).values())):
            each, gradients = self._gradients(parts[0], counts, variables)
        for part in parts[1:]:
            with after(gradients):
                more, found = self._gradients(part, counts, variables)
            gradients = [a + b for a, b in zip(gradients, found)]
            each = {name: loss + more[name] for name, loss in each.items()}
        factors = self._optimized.factors(variables)
        apply_gradients(self.optimizer, gradients, variables, factors)
        if self.average:
            self.average.update()
        return self._log(each)

    def _counts(self, parts: List[Dict[str, tf.Tensor]]) -> Dict[str, tf.Tensor]:
        """What each loss of the whole batch is divided by.

        How many RoIs are sampled and positive is known only when all parts have been through the
        RPN; a graph leaves out the rest of this pass. It runs in inference mode, so that statistics
        of trained norms are updated once.
        """
        counts: Dict[str, tf.Tensor] = {}
        for part in parts:
            with after(list(counts.values())):
                terms = self.loss_terms(part, training=False)
            for name, term in terms.items():
                counts[name] = counts.get(name, 0.0) + tf.stop_gradient(term.count)
        return {name: all_reduce_sum(count) for name, count in counts.items()}

    def _gradients(self, batch, counts, variables):
        """The shares of the losses, and the gradient of the scaled sum of them."""
        with tf.GradientTape() as tape:
            each = _divided(self.loss_terms(batch, training=True), counts)
            total = tf.add_n(list(each.values()))
            with tf.control_dependencies([assert_finite(total, batch["image_id"])]):
                scaled = compat.scale_loss(self.optimizer, tf.identity(total))
        return each, [tf.convert_to_tensor(g) for g in tape.gradient(scaled, variables)]

    @tf.autograph.experimental.do_not_convert
    def test_step(self, data):
        """The losses of the validation batches so far, without an update.

        Each is the sum over all of them divided by the count over all of them, whatever their size.
        """
        terms = self.loss_terms(_as_batch(data), training=False)
        counts = {name: all_reduce_sum(term.count) for name, term in terms.items()}
        for name, share in _divided(terms, counts).items():
            self.loss_means[name].update_state(share * num_replicas(), sample_weight=counts[name])
        total = tf.add_n([self.loss_means[name].result() for name in terms])
        with tf.control_dependencies([total]):  # not when there is no further batch
            self.loss_means["loss"].reset_state()
        self.loss_means["loss"].update_state(total)
        return self._results()

    def _log(self, each: Dict[str, tf.Tensor]):
        # A replica's losses are shares that sum to the global loss; a Mean averages over replicas.
        for name, value in {"loss": tf.add_n(list(each.values())), **each}.items():
            self.loss_means[name].update_state(value * num_replicas())
        return self._results()

    def _results(self):
        return {n: compat.step_result(mean.result()) for n, mean in self.loss_means.items()}

    @property
    def metrics(self):
        """The loss means, reset by Keras at each epoch."""
        return list(self.loss_means.values())

    def _maybe_symbolic_build(self, *args, **kwargs):
        """Nothing: all variables exist.

        Keras 3 calls it under a strategy to make variables out of a batch, which it then fails to
        reduce over workers because ours is a dict, and which is lost to training.
        """

    def fit(self, x=None, *args, **kwargs):
        """`keras.Model.fit`; bad data and a non-finite loss end in one sentence that names them.

        Raises:
            InputError: that, or data, an argument or a callback that is for other models.
        """
        given = self._given("fit", x, args, kwargs)
        keras_habits.check_fit(given, getattr(self, "optimizer", None))
        if isinstance(x, (tf.data.Dataset, types.GeneratorType)):
            given["shuffle"] = False  # has no effect, and Keras 3 warns of its own default too
        for name in {"x", "validation_data"} & set(given):
            given[name] = self._looked_at(given[name])
        try:
            with sums_in_order(), self.fitting():
                return super().fit(**given)
        except tf.errors.OpError as error:
            raise explained(error, getattr(x, "image_names", {})) from None

    def evaluate(self, x=None, *args, **kwargs):
        """`keras.Model.evaluate`; raises `InputError` as `fit` does."""
        given = self._given("evaluate", x, args, kwargs)
        keras_habits.check_data("evaluate", given, given.get("steps"))
        if "x" in given:
            given["x"] = self._looked_at(x)
        try:
            with sums_in_order():
                return super().evaluate(**given)
        except tf.errors.OpError as error:
            raise explained(error, getattr(x, "image_names", {})) from None

    def train_on_batch(self, x, *args, **kwargs):
        """`keras.Model.train_on_batch`."""
        if self.batch_check:
            self.batch_check.of_batch(x)
        with self.fitting():
            return super().train_on_batch(x, *args, **kwargs)

    def test_on_batch(self, x, *args, **kwargs):
        """`keras.Model.test_on_batch`."""
        if self.batch_check:
            self.batch_check.of_batch(x)
        return super().test_on_batch(x, *args, **kwargs)

    def _looked_at(self, x):
        """What `fit` takes, whose first batch is looked at on the way by a `BatchCheck`."""
        return self.batch_check.of_data(x) if self.batch_check else x

    def predict(self, x, *args, **kwargs):
        """`keras.Model.predict`; raises `InputError` for bare pictures."""
        keras_habits.check_pictures(x)
        with sums_in_order():
            return super().predict(x, *args, **kwargs)

    def _given(self, method: str, x, args, kwargs) -> Dict[str, Any]:
        return keras_habits.arguments_of(getattr(keras.Model, method), x, *args, **kwargs)


class _Compiled:
    """Functions compiled with XLA; a plain object, so that Keras does not look into it."""

    def __init__(self):
        self._functions: Dict[str, Callable] = {}

    def of(self, name: str, function: Callable) -> Callable:
        if name not in self._functions:
            self._functions[name] = as_graph(function, jit_compile=True)
        return self._functions[name]


def _as_batch(data) -> Dict[str, tf.Tensor]:
    """The dict of a batch that Keras may have wrapped in a tuple, with a seed if it has none."""
    batch = dict(keras_habits.one_batch(data))
    if "seed" not in batch:
        image_id = tf.cast(batch["image_id"], tf.int32)
        batch["seed"] = tf.stack([image_id, tf.zeros_like(image_id)], axis=1)
    return batch


def _divided(
    terms: Dict[str, LossTerm], counts: Optional[Dict[str, tf.Tensor]] = None
) -> Dict[str, tf.Tensor]:
    """Each loss's share of the global mean: the local sum over the count of all replicas."""
    counts = counts or {name: all_reduce_sum(term.count) for name, term in terms.items()}
    return {name: t.total / tf.maximum(counts[name], 1.0) for name, t in terms.items()}
