"""The network's input: how large images become, what is cut out of them, and their contrast."""

from typing import List, Optional

import numpy as np

from tfmaskrcnn.config.model import InputConfig
from tfmaskrcnn.config.run import Config
from tfmaskrcnn.config.yaml_files import is_set
from tfmaskrcnn.data.checking.coverage import Objects, resized
from tfmaskrcnn.data.checking.input_sides import (
    MAX_SIDE,
    WANTED_SCALE,
    Tried,
    round_up,
    tenth,
    tried_side,
    tried_sides,
)
from tfmaskrcnn.data.checking.setting_proposals import Proposal
from tfmaskrcnn.train.auto.facts import Facts, Machine

# Of a whole image in training: on two cores of a CPU about a second a step and image.
_PIXELS_CPU, _PIXELS_GPU = 600_000, 1_200_000
_SMALLEST_CROP, _LARGEST_CROP, _CROP_STEP = 256, 768, 64
_CROP_OVER_OBJECT = 4.0  # so that most objects of a window are whole
_LARGER, _SOME, _GAIN = 1.25, 0.02, 1.2  # than `min_side`; of the images; of what objects lose
_FAINT = 128  # levels of 256 that a faint image uses at most
_SHARE = 0.25  # of the images, from which on they are no exception
_DARK, _BRIGHT = 64, 160  # medians, of which a set of both has two kinds of background


def input_sides(facts: Facts, config: Config, machine: Machine) -> List[Proposal]:
    """`input.min_side`, `max_side`, `enlarge_only`: so large that small objects are found."""
    input = config.model.input
    if input.static_size or not len(facts.objects.boxes):
        return []
    tried = tried_sides(facts.shapes, facts.objects, input)
    if is_set(config, "input.max_side"):
        tried = [t for t in tried if t.min_side <= input.max_side] or tried[:1]
    possible = [t for t in tried if _affordable(t, facts.objects, input, machine)] or tried[:1]
    chosen = next((t for t in possible if t.scale >= WANTED_SCALE), possible[-1])
    reason = f"a tenth of the objects is then smaller than {chosen.scale:.0f} pixels"
    if chosen.scale >= WANTED_SCALE:
        reason += f", {WANTED_SCALE:.0f} is enough" * (chosen is tried[0])
    elif len(possible) < len(tried):
        reason += f"; {WANTED_SCALE:.0f} would be better, but takes too long or too much memory"
    else:
        reason += f"; {WANTED_SCALE:.0f} would be better, but the images have no more detail"
    if is_set(config, "input.min_side"):  # the long side goes by the short one that counts
        used = tried_side(input.min_side, facts.shapes, facts.objects, input)
    else:
        used = chosen
    return [
        Proposal("input.min_side", chosen.min_side, input.min_side, reason),
        *_long_side(used, facts, input),
    ]


def _long_side(used: Tried, facts: Facts, input: InputConfig) -> List[Proposal]:
    """`max_side` and `enlarge_only`: images may keep a size at which a resize loses their objects.

    They show more of a scene at the same magnification, as microscopes and aeroplanes do. Training
    sees crops of them.
    """
    longest = max(used.max_side, min(MAX_SIDE, round_up(facts.shapes.max(), input.pad_multiple)))
    sides = {"min_side": used.min_side, "max_side": longest, "enlarge_only": True}
    kept = input.model_copy(update=sides)
    large = float(np.mean(facts.shapes.min(axis=1) > _LARGER * used.min_side))
    then = tenth(facts.objects, kept)
    gained = large >= _SOME and then >= _GAIN * used.scale
    keep = used.scale < WANTED_SCALE and gained and crop_side(facts.objects, kept) is not None
    reason, longer = "the resize loses no objects of large images", "95 % of the images fit"
    if keep:
        reason = f"{large:.0%} of the images would be shrunk; as they are, a tenth of the objects "
        reason += f"is smaller than {then:.0f} pixels instead of {used.scale:.0f}"
        longer = "images that keep their size"
    value = longest if keep else used.max_side
    if facts.shapes.max() > value and max(then if keep else 0, used.scale) < WANTED_SCALE / 2:
        longer += "; cut larger ones into tiles before training, small objects are lost in them"
    return [
        Proposal("input.max_side", value, input.max_side, longer),
        Proposal("input.enlarge_only", keep, input.enlarge_only, reason),
    ]


def crop(facts: Facts, config: Config, machine: Machine) -> List[Proposal]:
    """`data.augment.crop` where whole images would be too much, and objects are small in them."""
    input = config.model.input
    if input.static_size or not len(facts.objects.boxes):
        return []
    pixels = input.min_side * input.max_side
    side = crop_side(facts.objects, input)
    if pixels <= _most_pixels(machine) or side is None:
        return []
    reason = f"whole images of {pixels / 1e6:.1f} megapixels are too much for a batch"
    reason += f"; 95 % of the objects are at most a quarter of {side} pixels"
    return [Proposal("data.augment.crop", (side, side), config.data.augment.crop, reason)]


def contrast(facts: Facts, config: Config, machine: Machine) -> List[Proposal]:
    """`input.stretch_contrast` for faint images, `invert_bright` if some of them are bright."""
    input, (low, median, high) = config.model.input, facts.looks
    if not len(low):
        return []
    faint = float(np.mean(high - low <= _FAINT))
    reason = f"{faint:.0%} of the images use less than half of the range of brightness"
    found = [Proposal("input.stretch_contrast", faint >= _SHARE, input.stretch_contrast, reason)]
    dark, bright = float(np.mean(median < _DARK)), float(np.mean(median > _BRIGHT))
    # Photos are of every brightness; of instruments' images the background is meant.
    both = faint >= _SHARE and min(dark, bright) >= 0.1
    reason = f"{dark:.0%} of the images have a dark background, {bright:.0%} a bright one"
    if faint < _SHARE:
        reason = "only where images are faint would it be known to help"
    return [*found, Proposal("input.invert_bright", both, input.invert_bright, reason)]


def crop_side(objects: Objects, input: InputConfig) -> Optional[int]:
    """Side of a window that shows most objects whole; None if it would be as large as the image."""
    longest = float(np.quantile(resized(objects, input).sides.max(axis=1), 0.95))
    side = round_up(max(_SMALLEST_CROP, _CROP_OVER_OBJECT * longest), _CROP_STEP)
    return side if side <= min(_LARGEST_CROP, input.min_side) else None


def _affordable(tried: Tried, objects: Objects, input: InputConfig, machine: Machine) -> bool:
    if tried.min_side * tried.max_side <= _most_pixels(machine):
        return True
    sides = {"min_side": tried.min_side, "max_side": tried.max_side}
    return crop_side(objects, input.model_copy(update=sides)) is not None


def _most_pixels(machine: Machine) -> int:
    return _PIXELS_GPU if machine.gpu else _PIXELS_CPU
