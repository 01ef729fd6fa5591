"""SGD whose momentum is a sum of gradients, as PyTorch's `torch.optim.SGD` has it."""

import keras
import tensorflow as tf

from tfmaskrcnn import compat


@compat.register
class GradientMomentum(keras.optimizers.SGD):
    """v = m v + g; w = w - rate v, with the arguments and slots of `keras.optimizers.SGD`.

    Keras keeps the steps themselves, v = m v - rate g; w = w + v, so that a step after a change of
    the rate still holds the old one's. At a constant rate the two are the same; over 1000 steps of
    warm-up and 200 more the sum of Keras's updates is 1.3 % less, and after a drop the old rate
    lives some ten steps (Goyal et al., arXiv 1706.02677, section 3, "momentum correction").
    """

    def update_step(self, gradient, variable, *rate):
        """Update one variable by its `gradient`; Keras 3 hands over the `rate` of the step."""
        if not self.momentum:
            super().update_step(gradient, variable, *rate)
            return
        slot = compat.momentum_of(self, variable)
        velocity = self.momentum * tf.convert_to_tensor(slot) + gradient
        slot.assign(velocity)
        rate = tf.cast(rate[0] if rate else self.learning_rate, velocity.dtype)
        variable.assign(tf.convert_to_tensor(variable) - rate * velocity)
