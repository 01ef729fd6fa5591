"""The weights that an optimizer was made for, some of which begin later than others."""

from typing import Dict, List, Optional, Sequence, Set, Union

import keras
import tensorflow as tf

from tfmaskrcnn import compat
from tfmaskrcnn.errors import InputError, listed
from tfmaskrcnn.model.gradients import rate_factors, rules_of
from tfmaskrcnn.model.weights import named_weights


class Optimized:
    """What becomes of the learning rate of each weight of a compiled model.

    Attributes:
        traced: of the weights that the train function was made for, in order.
    """

    def __init__(self, model, variables: Sequence[object]):
        self._names: Dict[int, str] = {id(v): name for name, v in named_weights(model).items()}
        self._optimizer = model.optimizer
        rates = rules_of(model.optimizer).rates
        self._factors = rate_factors(list(self._names.values()), rates)
        self._known = {id(v) for v in variables}
        self._trained: Set[int] = {id(v) for v in model.trainable_variables}
        self._missed: Dict[int, int] = {}  # updates of the others that a weight had no part in
        self._own: Dict[int, int] = {}  # updates of weights that are frozen now
        self.traced: Sequence[int] = ()

    def changed(self, variables: Sequence[object]) -> bool:
        """Whether the train function was made for other weights; from now on it is for these."""
        self.follow(variables)
        before, self.traced = self.traced, tuple(map(id, variables))
        return before != self.traced

    def follow(self, variables: Sequence[object], update: Optional[int] = None) -> None:
        """Take note that `variables` are trained, from this update on; None for the next one."""
        now = {id(v) for v in variables}
        if now == self._trained:
            return
        update = compat.updates(self._optimizer) if update is None else update
        for frozen in self._trained - now:
            self._own[frozen] = update - self._missed.get(frozen, 0)
        for begun in now - self._trained:
            self._missed[begun] = update - self._own.get(begun, 0)
        self._trained = now

    def factors(self, variables: Sequence[object]) -> List[Union[float, tf.Tensor]]:
        """The factor of the learning rate of each of the weights that are trained now.

        Raises:
            InputError: the optimizer was not made for one of them.
        """
        new = [self._names[id(v)] for v in variables if id(v) not in self._known]
        if new:
            raise InputError(
                f"{listed(new, 3)} became trainable after `compile`, whose optimizer does not know "
                "them: call compile again. Of what the configuration trains, set_trainable chooses "
                "without it."
            )
        missed = [self._missed.get(id(v), 0) for v in variables]
        late = {number: late_factor(self._optimizer, number) for number in set(missed)}
        rates = (self._factors.get(self._names[id(v)], 1.0) for v in variables)
        return [rate * late[number] for rate, number in zip(rates, missed)]


def late_factor(optimizer, missed: int) -> Union[float, tf.Tensor]:
    """What makes the next update of a weight that has missed so many that of one begun with it.

    Adam corrects its averages, which begin at 0, by the number of updates of all weights together;
    a weight that begins late would go six times too far. SGD's momentum needs no correction.
    """
    adam = getattr(optimizer, "inner_optimizer", optimizer)
    if not missed or not isinstance(adam, (keras.optimizers.Adam, keras.optimizers.AdamW)):
        return 1.0
    update = tf.cast(tf.convert_to_tensor(adam.iterations), tf.float64) + 1.0

    def correction(number):
        return tf.sqrt(1.0 - adam.beta_2**number) / (1.0 - adam.beta_1**number)

    own = tf.maximum(update - missed, 1.0)  # Keras 3 does not count updates that overflow
    return tf.cast(correction(own) / correction(update), tf.float32)
