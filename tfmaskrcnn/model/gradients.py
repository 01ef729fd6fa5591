"""The gradient's own path to the weights: L2, clipping, the update and its factors.

Keras's own `weight_decay` is decoupled (not the L2 of the paper), and its clipping happens before
or after the sum over replicas depending on its version; here both are plain arithmetic on the
gradient of the whole batch.
"""

import dataclasses
from typing import Dict, List, Mapping, Optional, Sequence, Union

import tensorflow as tf

from tfmaskrcnn import compat
from tfmaskrcnn.errors import InputError
from tfmaskrcnn.ops.replicas import all_reduce_sum, assign_on_all


@dataclasses.dataclass(frozen=True)
class GradientRules:
    """What happens to a gradient before the optimizer sees it; rides on the optimizer."""

    weight_decay: float = 0.0  # adds weight_decay * w to the gradient of kernels
    clip_norm: Optional[float] = None  # scales all gradients together down to this norm
    # Factors of the learning rate by how a weight's path begins, at a "/"; the longest match holds.
    rates: Mapping[str, float] = dataclasses.field(default_factory=dict)


def set_rules(optimizer, rules: GradientRules):
    """Attach `rules` to a Keras optimizer and return it."""
    optimizer.gradient_rules = rules
    return optimizer


def rules_of(optimizer) -> GradientRules:
    """The rules of an optimizer, or of the one inside a `LossScaleOptimizer`."""
    inner = getattr(optimizer, "inner_optimizer", None)
    rules = getattr(optimizer, "gradient_rules", getattr(inner, "gradient_rules", None))
    return rules or GradientRules()


def rate_factors(names: Sequence[str], rates: Mapping[str, float]) -> Dict[str, float]:
    """The factor of each weight's learning rate, for weights whose factor is not 1.

    Args:
        names: attribute paths, as of `model.weights.named_weights`.
        rates: see `GradientRules`.

    Raises:
        InputError: no weight's path begins so.
    """
    factors = {}
    # Short beginnings first, so that longer ones overwrite them.
    for start, factor in sorted(rates.items(), key=lambda item: len(item[0])):
        found = [name for name in names if f"{name}/".startswith(f"{start.rstrip('/')}/")]
        if not found:
            parts = ", ".join(sorted({name.split("/")[0] for name in names}))
            raise InputError(
                f"train.rates: no weight's path begins with {start!r}; the network's parts are "
                f"{parts}."
            )
        factors.update(dict.fromkeys(found, factor))
    return {name: factor for name, factor in factors.items() if factor != 1.0}


def is_kernel(variable) -> bool:
    """Whether L2 applies: convolution and dense kernels, not biases and normalisation."""
    return variable.name.split("/")[-1].split(":")[0].endswith("kernel")


def apply_gradients(
    optimizer,
    gradients: List[tf.Tensor],
    variables: List,
    factors: Optional[Sequence[Union[float, tf.Tensor]]] = None,
) -> tf.Tensor:
    """Update `variables` with this replica's `gradients` of the (scaled) loss.

    A gradient that overflowed on any replica skips the update on all of them, because they are
    summed first; a `LossScaleOptimizer` then halves its scale.

    Args:
        optimizer: any Keras optimizer, perhaps with `gradient_rules`, perhaps wrapped for loss
            scaling.
        gradients: of the loss after `compat.scale_loss`, one a variable.
        factors: of the learning rate of each variable; None for 1. They scale what the optimizer
            did to it, which is right for every optimizer that sees one variable at a time: Adam
            would not notice a factor of the gradient. Decay is scaled as well, momentum is not.

    Returns:
        Norm of the whole gradient before clipping, float32 scalar.
    """
    rules = rules_of(optimizer)
    scale = compat.loss_scale(optimizer)
    gradients = [tf.convert_to_tensor(g) / scale for g in all_reduce_sum(gradients)]
    if rules.weight_decay:
        gradients = [
            _with_decay(g, v, rules.weight_decay) if is_kernel(v) else g
            for g, v in zip(gradients, variables)
        ]
    norm = tf.linalg.global_norm(gradients)
    if rules.clip_norm:
        factor = rules.clip_norm / tf.maximum(norm, rules.clip_norm)
        gradients = [g * factor for g in gradients]
    scaled = [(v, f) for v, f in zip(variables, factors or ()) if tf.is_tensor(f) or f != 1.0]
    # What an optimizer makes of its slots alone would else be there, as large as the network, while
    # the gradient is made.
    with tf.control_dependencies([norm]):
        before = [tf.identity(tf.convert_to_tensor(v)) for v, _ in scaled]
    with tf.control_dependencies([norm, *before]):
        compat.apply_summed_gradients(optimizer, gradients, variables, scale)
    after = [old + f * (tf.convert_to_tensor(v) - old) for (v, f), old in zip(scaled, before)]
    assign_on_all([v for v, _ in scaled], after)
    return norm


def _with_decay(gradient: tf.Tensor, variable, decay: float) -> tf.Tensor:
    """The gradient of the weight's L2 added to `gradient`; made no sooner than that is there."""
    with tf.control_dependencies([gradient]):
        weight = tf.convert_to_tensor(variable)
    return gradient + decay * weight
