"""The gradient's own path to the weights: L2, clipping and the update.

Keras's own `weight_decay` is decoupled (not the L2 of the paper), and its clipping happens before
or after the sum over replicas depending on its version; here both are plain arithmetic on the
gradient of the whole batch.
"""

import dataclasses
from typing import List, Optional

import tensorflow as tf

from tfmaskrcnn import compat


@dataclasses.dataclass(frozen=True)
class GradientRules:
    """What happens to a gradient before the optimizer sees it; rides on the optimizer."""

    weight_decay: float = 0.0  # adds weight_decay * w to the gradient of kernels
    clip_norm: Optional[float] = None  # scales all gradients together down to this norm


def set_rules(optimizer, rules: GradientRules):
    """Attach `rules` to a Keras optimizer and return it."""
    optimizer.gradient_rules = rules
    return optimizer


def rules_of(optimizer) -> GradientRules:
    """The rules of an optimizer, or of the one inside a `LossScaleOptimizer`."""
    inner = getattr(optimizer, "inner_optimizer", None)
    rules = getattr(optimizer, "gradient_rules", getattr(inner, "gradient_rules", None))
    return rules or GradientRules()


def num_replicas() -> int:
    """Replicas of the `tf.distribute` strategy in whose scope or step this is called."""
    return tf.distribute.get_strategy().num_replicas_in_sync


def all_reduce_sum(value):
    """Sum over the replicas of a `tf.distribute` strategy; `value` itself on one device."""
    context = tf.distribute.get_replica_context()
    if context is None or context.num_replicas_in_sync == 1:
        return value
    return context.all_reduce(tf.distribute.ReduceOp.SUM, value)


def is_kernel(variable) -> bool:
    """Whether L2 applies: convolution and dense kernels, not biases and normalisation."""
    return variable.name.split("/")[-1].split(":")[0].endswith("kernel")


def apply_gradients(optimizer, gradients: List[tf.Tensor], variables: List) -> tf.Tensor:
    """Update `variables` with this replica's `gradients` of the (scaled) loss.

    Args:
        optimizer: any Keras optimizer, perhaps with `gradient_rules`, perhaps wrapped for loss
            scaling.
        gradients: of the loss after `compat.scale_loss`, one a variable.

    Returns:
        Norm of the whole gradient before clipping, float32 scalar.
    """
    rules = rules_of(optimizer)
    scale = compat.loss_scale(optimizer)
    gradients = [tf.convert_to_tensor(g) / scale for g in all_reduce_sum(gradients)]
    if rules.weight_decay:
        gradients = [
            g + rules.weight_decay * tf.convert_to_tensor(v) if is_kernel(v) else g
            for g, v in zip(gradients, variables)
        ]
    norm = tf.linalg.global_norm(gradients)
    if rules.clip_norm:
        factor = rules.clip_norm / tf.maximum(norm, rules.clip_norm)
        gradients = [g * factor for g in gradients]
    compat.apply_summed_gradients(optimizer, gradients, variables, scale)
    return norm
