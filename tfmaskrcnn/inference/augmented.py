"""A model that looks at each image several times, flipped and scaled (test-time augmentation)."""

from typing import Callable, List, Mapping, Optional, Sequence, Tuple

import numpy as np

from tfmaskrcnn.config.model import InputConfig
from tfmaskrcnn.config.run import Config
from tfmaskrcnn.config.yaml_files import override
from tfmaskrcnn.errors import InputError
from tfmaskrcnn.inference.exported import exported_config
from tfmaskrcnn.inference.merging import merge
from tfmaskrcnn.inference.opening import Source, a_kind_of, open_checked
from tfmaskrcnn.inference.variants import DEFAULT_WORDS, Variant, moved, moved_back, variants_of
from tfmaskrcnn.instances import Instances

Predict = Callable[[List[np.ndarray]], List[Instances]]


def check_augmentation(
    folder: str, config: Optional[Config], words: Optional[Sequence[str]]
) -> List[Variant]:
    """The variants that `words` ask for; finds without TensorFlow what is wrong.

    Args and Raises: see `open_augmented`.
    """
    words = DEFAULT_WORDS if words is not None and not words else words
    try:
        variants = variants_of(words or ())
    except ValueError as error:
        raise InputError(f"--tta: {error}.") from None
    scales = [variant.scale for variant in variants if variant.scale != 1.0]
    if scales and config is None:
        raise InputError(
            f"{folder} is {a_kind_of(folder)}, which resizes every image to the size it was "
            f"exported for; --tta {scales[0]:g} needs a run folder (flips need none)."
        )
    return variants


def open_augmented(
    folder: str,
    config: Optional[Config],
    words: Optional[Sequence[str]],
    runtime: Optional[str] = None,
) -> Source:
    """The model in `folder`, answering with what it finds in several variants of each image.

    A variant of another scale goes through a model of its own with the same weights, whose `input`
    section is scaled: the model would undo the scaling of an image. Variants go through the network
    one after the other. What they find is merged (`merging.merge`), and as in a plain result there
    are at most `box_head.max_detections` and no scores below `box_head.score_threshold`.

    Args:
        folder: a run or an exported model.
        config: what `opening.check_model` gives for it.
        words: flips and scales, see `variants.variants_of`; an empty list stands for `hflip`, None
            opens the plain model.
        runtime: of an .onnx file, see `opening.open_source`.

    Raises:
        InputError: a word is unknown, or an exported model is to see scaled images.
    """
    variants = check_augmentation(folder, config, words)
    source = open_checked(folder, config, runtime)
    if len(variants) == 1:
        return source
    predictors = {1.0: source.predict}
    for scale in dict.fromkeys(variant.scale for variant in variants):
        if scale not in predictors:
            changes = scaled_input(config.model.input, scale)
            predictors[scale] = open_checked(folder, override(config, changes)).predict
    model = exported_config(folder) if config is None else config.model.model_dump()
    pairs = model.get("keypoint_head", {}).get("flip_pairs", ())
    box_head = model.get("box_head", {})  # nothing is known of other programs' models
    limits = box_head.get("score_threshold", 0.0), box_head.get("max_detections")
    return source._replace(predict=augmented(predictors, variants, pairs, *limits))


def augmented(
    predictors: Mapping[float, Predict],
    variants: Sequence[Variant],
    flip_pairs: Sequence[Tuple[int, int]] = (),
    min_score: float = 0.0,
    most: Optional[int] = None,
) -> Predict:
    """A predictor that merges what is found in `variants` of each image.

    Args:
        predictors: scale -> the predictor that resizes images by so much more; each takes a list
            of uint8 [H, W, C] images and returns `Instances` in pixels of the images as given.
        variants: whose scales `predictors` has.
        flip_pairs: keypoints, by index from 0, that change places in a mirrored image.
        min_score, most: see `merging.merge`.
    """

    def predict(images: List[np.ndarray]) -> List[Instances]:
        parts: List[List[Instances]] = [[] for _ in images]
        for variant in variants:
            seen = predictors[variant.scale]([moved(image, variant) for image in images])
            for part, found in zip(parts, seen):
                part.append(moved_back(found, variant, flip_pairs))
        return [merge(part, min_score, most) for part in parts]

    return predict


def scaled_input(input: InputConfig, scale: float) -> List[str]:
    """The `"key=value"` changes of a configuration that resize every image by `scale` more.

    Sizes that the network's stride must divide are rounded to that.
    """
    if input.fixed_size:
        step = input.pad_multiple
        height, width = (_rounded(side * scale, step) for side in input.fixed_size)
        return [f"input.fixed_size=[{height}, {width}]"]
    step = 1 if input.static_size is None else input.pad_multiple
    short, long = _rounded(input.min_side * scale), _rounded(input.max_side * scale, step)
    return [f"input.min_side={min(short, long)}", f"input.max_side={long}"]


def _rounded(side: float, step: int = 1) -> int:
    return max(round(side / step), 1) * step
