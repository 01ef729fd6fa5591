"""Settings that would fit a data set better than those of a configuration, with the reasons."""

import math
from typing import Any, List, NamedTuple, Sequence, Tuple

import numpy as np

from tfmaskrcnn.config.model import AnchorConfig, InputConfig, RpnConfig
from tfmaskrcnn.config.run import Config
from tfmaskrcnn.config.yaml_files import override
from tfmaskrcnn.data.checking.coverage import Objects, Resized, best_iou, resized
from tfmaskrcnn.data.coco.records import CocoData

# The smallest tenth of the objects should be of this size in the network's input: some five cells
# of the finest level. Below LEAST they are hard to find.
WANTED_SCALE, LEAST_SCALE = 20.0, 16.0
MOST_ENLARGED = 2.0  # more invents no detail
MAX_SIDE, MIN_SIDE, SIDE_STEP = 1344, 512, 64
# Ladders of anchor sizes that are tried: each level's is so many times the one below.
STEPS = (1.25, 1.4, 1.6, 1.8, 2.0, 2.25, 2.5)
NUM_BASES = 25
SAMPLE = 1500  # objects that a ladder is tried on ...
JITTER = (0.8, 1.0, 1.25)  # ... at these sizes: augmentation and other images will differ
WORTH = 0.02  # a gain below this is no reason to change anchors
FAR_WEIGHT = 2.0
HEADROOM = 1.25  # detections to objects: some are wrong
# roi.canonical_size over the anchors' size on p4, as in the FPN paper: 224 / 128.
CANONICAL = 1.75


class _Fit(NamedTuple):
    near: float  # share of the objects that an anchor covers
    # That, plus the mean of the best IoUs, minus FAR_WEIGHT times the share of far objects: those
    # in between are still learned from their best anchor, far ones hardly are.
    score: float


class Proposal(NamedTuple):
    """One setting."""

    key: str
    value: Any
    before: Any
    reason: str

    def setting(self) -> str:
        """As `--set` takes it."""
        return f"{self.key}={shown(self.value)}"


def propose(data: CocoData, objects: Objects, config: Config) -> List[Proposal]:
    """The changes to `config` that the objects of `data` suggest; none without objects."""
    if not len(objects.boxes):
        return []
    found = _sides(data, objects, config.model.input)
    changed = override(config, [p.setting() for p in found])
    found += _anchors(resized(objects, changed.model.input), changed)
    return found + _limits(data, config)


def _sides(data: CocoData, objects: Objects, input: InputConfig) -> List[Proposal]:
    if input.fixed_size or input.static_size:
        return []  # chosen for the network's sake
    shapes = np.array([sorted((r.height, r.width)) for r in data.records], float)
    short, aspect = np.median(shapes[:, 0]), np.quantile(shapes[:, 1] / shapes[:, 0], 0.95)
    lowest = min(MIN_SIDE, _up(short, SIDE_STEP))
    highest = max(lowest, min(MAX_SIDE, MOST_ENLARGED * short))
    smallest = []
    for side in range(int(lowest), int(highest) + 1, SIDE_STEP):
        long_side = max(side, min(MAX_SIDE, _up(side * aspect, input.pad_multiple)))
        tried = input.model_copy(update={"min_side": side, "max_side": long_side})
        smallest.append((np.quantile(resized(objects, tried).scales, 0.1), side, long_side))
    enough = [s for s in smallest if s[0] >= WANTED_SCALE]
    scale, side, long_side = enough[0] if enough else smallest[-1]
    now = np.quantile(resized(objects, input).scales, 0.1)
    larger = now < LEAST_SCALE and side > input.min_side
    smaller = scale >= LEAST_SCALE and side <= 0.75 * input.min_side and input.min_side > short
    if not larger and not smaller:
        return []
    what = f"a tenth of the objects is smaller than {now:.0f} pixels after the resize"
    if larger:
        reason = f"{what}; then {scale:.0f}"
    else:
        reason = f"images of {short:.0f} are enlarged to {input.min_side} without need: {what}, "
        reason += f"{scale:.0f} is enough and faster"
    return [
        Proposal("input.min_side", side, input.min_side, reason),
        Proposal(
            "input.max_side", long_side, input.max_side, f"long side {aspect:.2g} x the short"
        ),
    ]


def _anchors(objects: Resized, config: Config) -> List[Proposal]:
    anchors, rpn = config.model.anchors, config.model.rpn
    sample = _sample(objects)
    now, found = _fit(sample, anchors, rpn), []
    sizes = _best_sizes(sample, anchors, rpn)
    tried = anchors.model_copy(update={"sizes": sizes})
    fit = _fit(sample, tried, rpn)
    low, mid, high = np.quantile(objects.scales, [0.05, 0.5, 0.95])
    if fit.score > now.score + WORTH:
        reason = f"90 % of the objects are {low:.0f} to {high:.0f} pixels (square root of the box)"
        reason += f" after the resize, half of them under {mid:.0f}"
        found.append(Proposal("anchors.sizes", sizes, anchors.sizes, reason))
        anchors, now = tried, fit
        canonical = round(CANONICAL * sizes[2][0])
        before = config.model.roi.canonical_size
        if not 0.75 < canonical / before < 1.33:
            reason = f"{CANONICAL:g} x the anchors of p4, as in the paper"
            found.append(Proposal("roi.canonical_size", canonical, before, reason))
    ratios = _quantile_ratios(objects, len(anchors.ratios))
    tried = anchors.model_copy(update={"ratios": ratios})
    fit = _fit(sample, tried, rpn)
    if fit.score > now.score + WORTH and fit.near >= now.near:
        reason = "height / width of the thinnest, the median and the tallest objects"
        found.append(Proposal("anchors.ratios", ratios, anchors.ratios, reason))
    return found


def _best_sizes(sample: Resized, anchors: AnchorConfig, rpn: RpnConfig):
    """Five lists of sizes: of all ladders that cover no fewer objects, the one that fits best."""
    each, now = len(anchors.sizes[0]), _fit(sample, anchors, rpn)
    low, high = np.quantile(sample.scales, [0.02, 0.7])
    best = (now.score, anchors.sizes)
    for base in np.geomspace(max(low, 4.0), max(high, 8.0), NUM_BASES):
        for step in STEPS:
            sizes = tuple(
                tuple(_rounded(base * step ** (level + k / each)) for k in range(each))
                for level in range(5)
            )
            fit = _fit(sample, anchors.model_copy(update={"sizes": sizes}), rpn)
            if fit.near >= now.near:
                best = max(best, (fit.score, sizes))
    return best[1]


def _fit(sample: Resized, anchors: AnchorConfig, rpn: RpnConfig) -> _Fit:
    iou = best_iou(sample, anchors)[0]
    near, far = float(np.mean(iou >= rpn.positive_iou)), float(np.mean(iou < rpn.negative_iou))
    return _Fit(near, near + float(np.mean(iou)) - FAR_WEIGHT * far)


def _sample(objects: Resized) -> Resized:
    count = len(objects.boxes)
    index = np.linspace(0, count - 1, min(count, SAMPLE)).astype(int)
    boxes, padded = objects.boxes[index], objects.padded[index]
    center, half = (boxes[:, :2] + boxes[:, 2:]) / 2, (boxes[:, 2:] - boxes[:, :2]) / 2
    grown = [np.concatenate([center - f * half, center + f * half], axis=1) for f in JITTER]
    return Resized(np.concatenate(grown), np.concatenate([padded] * len(JITTER)))


def _quantile_ratios(objects: Resized, count: int) -> Tuple[float, ...]:
    sides = np.maximum(objects.sides, 1e-3)
    shares = np.linspace(0.1, 0.9, count) if count > 1 else [0.5]
    ratios = np.quantile(sides[:, 0] / sides[:, 1], shares)
    return tuple(float(f"{r:.2g}") for r in ratios)


def _limits(data: CocoData, config: Config) -> List[Proposal]:
    """Numbers of objects an image."""
    most = max(int((~r.crowd).sum()) for r in data.records)
    all_rows = max(len(r.classes) for r in data.records)
    found, reason = [], f"an image has {most} objects"
    box_head, evaluation = config.model.box_head, config.evaluation.max_detections
    if all_rows > config.data.max_instances:
        before, extra = config.data.max_instances, " with crowd regions" * (all_rows > most)
        text = f"an image has {all_rows} objects{extra}"
        found.append(Proposal("data.max_instances", _round_up(all_rows), before, text))
    wanted = box_head.max_detections
    if most > box_head.max_detections:
        wanted = _round_up(most * HEADROOM)
        text = f"{reason}; some detections are wrong"
        found.append(Proposal("box_head.max_detections", wanted, box_head.max_detections, text))
    if most > evaluation[-1]:
        limits = (1, min(100, wanted), wanted) if wanted > most else (1, 100, _round_up(most))
        found.append(Proposal("evaluation.max_detections", limits, evaluation, reason))
    return found


def _round_up(value: float) -> int:
    return _up(value, 10 if value < 200 else 50 if value < 1000 else 100)


def _up(value: float, step: int) -> int:
    return step * math.ceil(value / step)


def _rounded(size: float) -> float:
    return round(size) if size >= 16 else round(size * 2) / 2


def shown(value: Any) -> str:
    """A number, or lists of numbers, as YAML on one line without spaces."""
    if isinstance(value, Sequence):
        return "[" + ",".join(map(shown, value)) + "]"
    return f"{value:g}"
