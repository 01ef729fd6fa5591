"""The model that is exported: the one given, with the classes, limits and precision chosen."""

from typing import Dict, List, Optional, Sequence, Tuple

import numpy as np

from tfmaskrcnn import compat
from tfmaskrcnn.config.heads import MaskHeadConfig
from tfmaskrcnn.config.model import ModelConfig
from tfmaskrcnn.config.run import Config
from tfmaskrcnn.config.yaml_files import override
from tfmaskrcnn.errors import InputError
from tfmaskrcnn.export.options import ExportOptions
from tfmaskrcnn.inference.score_thresholds import NO_THRESHOLDS, ScoreThresholds
from tfmaskrcnn.model.mask_rcnn import MaskRCNN
from tfmaskrcnn.model.weights import load_weights, named_weights
from tfmaskrcnn.support.suggestions import did_you_mean

# A delta of height and width that makes a box empty, and so its score 0: exp(-1e4 / 5) is 0. Small
# enough for float16.
_NOTHING = -1e4


def adapted(model: MaskRCNN, options: ExportOptions) -> Tuple[MaskRCNN, ModelConfig]:
    """The model to export and the configuration that describes what it detects.

    Returns:
        `model` itself if nothing of it changes, else another one with its weights.

    Raises:
        InputError: an unknown class, names that do not fit, or a value out of range.
    """
    config = override(Config(model=model.config), options.overrides()).model
    if options.masks != "roi" and model.mask_head is None:
        raise InputError(f"masks is {options.masks!r}, but the model has no mask head.")
    if options.network_batch and not config.input.static_size:
        raise InputError("network_batch wants a fixed input size; give fixed_size too.")
    chosen = chosen_classes(config, options.classes)
    described = labelled(config, chosen, options.names)
    all_classes = chosen == list(range(config.num_classes))
    # A model may have been made to train in another precision than it is to be served in.
    same_precision = model.fpn.compute_dtype == options.precision
    if config == model.config and all_classes and same_precision:
        return model, described
    with compat.precision(options.precision):
        changed = MaskRCNN(config)
    arrays = {name: variable.numpy() for name, variable in named_weights(model).items()}
    load_weights(changed, classes_first(arrays, chosen, config.mask_head))
    return changed, described


def adapted_thresholds(
    model: MaskRCNN, options: ExportOptions, thresholds: Optional[ScoreThresholds]
) -> Optional[ScoreThresholds]:
    """`thresholds` of the classes of `model` as those of the exported classes, if there are any.

    Raises:
        InputError: they are to be applied and there are none, or they are of other classes.
    """
    config = model.config
    if thresholds is None:
        if options.apply_thresholds:
            raise InputError(NO_THRESHOLDS)
        return None
    if len(thresholds.scores) != config.num_classes:
        raise InputError(
            f"There are thresholds of {len(thresholds.scores)} classes, the model has "
            f"{config.num_classes}."
        )
    chosen = chosen_classes(config, options.classes)
    return thresholds.subset(chosen, labelled(config, chosen, options.names).class_names)


def chosen_classes(config: ModelConfig, wanted: Sequence[str]) -> List[int]:
    """0-based classes of names or 1-based numbers; all of them if none is wanted."""
    if not wanted:
        return list(range(config.num_classes))
    known = {name: i for i, name in enumerate(config.class_names)}
    numbers = {str(i + 1): i for i in range(config.num_classes)}
    chosen = []
    for text in map(str, wanted):
        index = known.get(text, numbers.get(text))
        if index is None:
            hint = did_you_mean(text, known) or f"it has 1 to {config.num_classes}."
            raise InputError(f"The model has no class {text!r}; {hint}")
        if index in chosen:
            raise InputError(f"The class {text!r} is given twice.")
        chosen.append(index)
    return chosen


def labelled(config: ModelConfig, chosen: List[int], names: Sequence[str]) -> ModelConfig:
    """`config` with the chosen classes alone, and other names if there are any."""
    if names and len(names) != len(chosen):
        raise InputError(f"names has {len(names)} entries for {len(chosen)} exported classes.")
    old_names, ids = config.class_names, config.category_ids
    if not ids and chosen != list(range(config.num_classes)):
        ids = tuple(range(1, config.num_classes + 1))  # the numbers that the classes had
    values = {
        **config.model_dump(),
        "num_classes": len(chosen),
        "class_names": tuple(names) or tuple(old_names[i] for i in chosen if old_names),
        "category_ids": tuple(ids[i] for i in chosen if ids),
    }
    return ModelConfig(**values)


def classes_first(
    weights: Dict[str, np.ndarray], chosen: List[int], masks: MaskHeadConfig
) -> Dict[str, np.ndarray]:
    """Weights with the chosen classes moved to the front, the others kept from being detected.

    A class that is left out stays in the softmax, so the scores of the others do not change, but
    its boxes are empty: it takes part neither in NMS nor in the count of detections.
    """
    count = weights["box_head/class_logits/bias"].shape[0] - 1
    if chosen == list(range(count)):
        return weights
    order = [*chosen, *(i for i in range(count) if i not in chosen)]
    with_background = [0, *(i + 1 for i in order)]
    changed = dict(weights)
    for name in ("kernel", "bias"):
        key = f"box_head/class_logits/{name}"
        changed[key] = weights[key][..., with_background]
        key = f"box_head/box_deltas/{name}"
        deltas = weights[key].reshape(*weights[key].shape[:-1], count, 4)[..., order, :]
        deltas[..., len(chosen) :, :] = 0
        if name == "bias":
            deltas[len(chosen) :, 2:] = _NOTHING  # dh, dw
        changed[key] = deltas.reshape(weights[key].shape)
        key = f"mask_head/logits/{name}"
        if key in weights and not masks.class_agnostic:
            rows = with_background if masks.loss == "softmax" else order
            changed[key] = weights[key][..., rows]
    return changed
