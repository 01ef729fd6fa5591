"""How a model was compiled, in a form that Keras keeps in a `.keras` file."""

import dataclasses
from typing import Any, Dict, Mapping, Optional, Tuple

import keras

from tfmaskrcnn import compat
from tfmaskrcnn.model.gradients import GradientRules, rules_of, set_rules


@dataclasses.dataclass(frozen=True)  # not a dict, which Keras would wrap
class CompileSettings:
    """What `TrainableModel.compile` was given beside the optimizer."""

    accumulate: Optional[int] = None
    xla: bool = False
    ema: Optional[float] = None
    options: Mapping[str, Any] = dataclasses.field(default_factory=dict)  # of Keras


def compile_config(optimizer, settings: CompileSettings, weights: Mapping[str, object]) -> dict:
    """All that `compile` needs, as JSON.

    Args:
        optimizer: as it is now, with the rate that callbacks have set.
        settings: see there.
        weights: the model's by name; see `weights.named_weights`.
    """
    return {
        "optimizer": keras.saving.serialize_keras_object(optimizer),
        "gradient_rules": dataclasses.asdict(rules_of(optimizer)),
        "without_decay": compat.weights_without_decay(optimizer, weights),
        "settings": dataclasses.asdict(settings),
    }


def compile_arguments(
    config: Mapping[str, Any], weights: Mapping[str, object]
) -> Tuple[Any, Dict[str, Any]]:
    """The optimizer and the other arguments of `compile` from `compile_config`'s result."""
    optimizer = keras.saving.deserialize_keras_object(config["optimizer"])
    set_rules(optimizer, GradientRules(**config["gradient_rules"]))
    if config["without_decay"]:
        inner = getattr(optimizer, "inner_optimizer", optimizer)
        inner.exclude_from_weight_decay(var_list=[weights[n] for n in config["without_decay"]])
    settings = dict(config["settings"])
    return optimizer, {**settings.pop("options"), **settings}
