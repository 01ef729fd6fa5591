"""Which weights of a model are trained: all that its configuration trains, or a part of them."""

import contextlib
from typing import Iterator, List, Optional

from tfmaskrcnn import compat
from tfmaskrcnn.config.phases import PARTS
from tfmaskrcnn.errors import InputError, listed, quoted
from tfmaskrcnn.model.keras_files import KerasFiles
from tfmaskrcnn.model.optimized import Optimized
from tfmaskrcnn.model.weights import named_layers
from tfmaskrcnn.support.suggestions import did_you_mean

# Of the backbone's five stages, the stem and those of c2 to c5, each part leaves so many out.
_FROZEN_STAGES = {"heads": 5, "5+": 4, "4+": 3, "3+": 2, "all": 0}


class PartlyTrained(KerasFiles):
    """A `keras.Model` of which parts can be trained, one after another, by one optimizer.

    The optimizer is made for every weight that may be trained, and updates those that are: so parts
    may change between two `fit`s without `compile`, and a part that was frozen so far begins with
    no momentum. A subclass has a `backbone`, whose `stages` are five lists of layers, and calls
    `remember_trained` when it is built.
    """

    trained_part = PARTS[-1]  # what `set_trainable` was last given
    _configured = None
    _optimized: Optional[Optimized] = None
    _fitting = False

    def remember_trained(self) -> None:
        """Take what is trained now for what the configuration trains, of which parts are parts."""
        self._configured = _Configured(self)

    def set_trainable(self, part: str, update: Optional[int] = None) -> None:
        """Train a part of the network; before or after `compile`, which is not needed anew.

        What `backbone.freeze_at` freezes and frozen norms are never trained, by "all" neither; what
        was frozen or not by hand (`layer.trainable`) is forgotten. A frozen part stays as it is to
        the bit: no update, no decay, no statistics of a batch.

        Args:
            part: "heads" (all but the backbone: pyramid, RPN, box, mask and keypoint head); "5+",
                "4+", "3+" (the backbone from the stage of c5, c4 or c3 on, and the heads); "all".
            update: of the optimizer, counted from 0, with which the part begins; None for the next
                one. A run that goes on has to tell when it was.

        Raises:
            InputError: there is no such part, or `fit` is running.
        """
        if part not in PARTS:
            near = did_you_mean(str(part), PARTS)
            raise InputError(
                f"There is no part {quoted(part)} to train; the parts are {listed(PARTS)}."
                + (f" {near.capitalize()}" if near else "")
            )
        if self._fitting:
            raise InputError(
                f"set_trainable({part!r}) cannot change what a running fit trains: let it end, and "
                "call fit again with initial_epoch=..., or set train.phases for mr.train.train."
            )
        self._configured.restore()
        for layers in self.backbone.stages[: _FROZEN_STAGES[part]]:
            for layer in layers:
                layer.trainable = False
        self.trained_part = part
        if self._optimized:
            self._optimized.follow(self.trainable_variables, update)
            self._optimized.traced = ()  # norms may compute otherwise with the same weights

    def trainable_by_optimizer(self) -> List[object]:
        """What may be trained some time: by the configuration, or because it is trained now."""
        configured = self._configured.variables if self._configured else []
        known = {id(v) for v in configured}
        return configured + [v for v in self.trainable_variables if id(v) not in known]

    def make_train_function(self, force=False):
        """Keras's, made anew where it was made for other weights."""
        changed = self._optimized is not None and self._optimized.changed(self.trainable_variables)
        if changed:
            self._forget_compiled()
        return super().make_train_function(force or changed)

    def _forget_compiled(self) -> None:
        """Drop what was compiled for other weights."""

    @contextlib.contextmanager
    def fitting(self) -> Iterator[None]:
        """Train what is trainable now; while the block runs, `set_trainable` is refused."""
        compat.take_trainable_flags(self)
        self._fitting = True
        try:
            yield
        finally:
            self._fitting = False


class _Configured:
    """Flags and weights of a model as its configuration has them; no Keras object on purpose."""

    def __init__(self, model):
        self._flags = [(layer, layer.trainable) for layer in named_layers(model)]
        self.variables = list(model.trainable_variables)

    def restore(self) -> None:
        """Set all flags to what they were, a layer before those within it, which it sets too."""
        for layer, trainable in self._flags:
            layer.trainable = trainable
