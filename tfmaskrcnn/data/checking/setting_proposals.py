"""Settings that would fit a data set better than those of a configuration, with the reasons."""

from typing import Any, List, NamedTuple, Sequence

import numpy as np

from tfmaskrcnn.config.model import InputConfig
from tfmaskrcnn.config.run import Config
from tfmaskrcnn.config.yaml_files import override
from tfmaskrcnn.data.checking.anchor_ladders import (
    WORTH,
    best_sizes,
    fit,
    quantile_ratios,
    sample_of,
)
from tfmaskrcnn.data.checking.coverage import Objects, Resized, resized
from tfmaskrcnn.data.checking.input_sides import (
    WANTED_SCALE,
    aspect_of,
    round_up,
    short_side,
    tenth,
    tried_sides,
)
from tfmaskrcnn.data.coco.records import CocoData

LEAST_SCALE = 16.0  # objects below are hard to find
HEADROOM = 1.25  # detections to objects: some are wrong
# roi.canonical_size over the anchors' size on p4, as in the FPN paper: 224 / 128.
CANONICAL = 1.75


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
    at_input = resized(objects, changed.model.input)
    sizes = propose_sizes(at_input, changed)
    found += sizes
    if sizes:
        changed = override(changed, [p.setting() for p in sizes])
        found += propose_canonical(changed)
    found += propose_ratios(at_input, changed)
    most = max(int((~r.crowd).sum()) for r in data.records)
    return found + propose_limits(most, max(len(r.classes) for r in data.records), config)


def _sides(data: CocoData, objects: Objects, input: InputConfig) -> List[Proposal]:
    if input.fixed_size or input.static_size:
        return []  # chosen for the network's sake
    shapes = np.array([(r.height, r.width) for r in data.records], float)
    short, aspect = short_side(shapes), aspect_of(shapes)
    tried = tried_sides(shapes, objects, input)
    enough = [t for t in tried if t.scale >= WANTED_SCALE]
    scale, side, long_side = enough[0] if enough else tried[-1]
    now = tenth(objects, input)
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


def propose_sizes(objects: Resized, config: Config) -> List[Proposal]:
    """Sizes of anchors, if others fit better than those of `config`."""
    anchors, rpn = config.model.anchors, config.model.rpn
    sample = sample_of(objects)
    sizes = best_sizes(sample, anchors, rpn)
    tried = anchors.model_copy(update={"sizes": sizes})
    if fit(sample, tried, rpn).score <= fit(sample, anchors, rpn).score + WORTH:
        return []
    low, mid, high = np.quantile(objects.scales, [0.05, 0.5, 0.95])
    reason = f"90 % of the objects are {low:.0f} to {high:.0f} pixels (square root of the box)"
    reason += f" after the resize, half of them under {mid:.0f}"
    return [Proposal("anchors.sizes", sizes, anchors.sizes, reason)]


def propose_canonical(config: Config) -> List[Proposal]:
    """The size of the RoIs that read p4, if the anchors of `config` suggest quite another."""
    found = canonical_of_anchors(config)
    return [] if 0.75 < found.value / found.before < 1.33 else [found]


def canonical_of_anchors(config: Config) -> Proposal:
    """The size of the RoIs that read p4, by its anchors."""
    canonical = round(CANONICAL * config.model.anchors.sizes[2][0])
    reason = f"{CANONICAL:g} x the anchors of p4, as in the paper"
    return Proposal("roi.canonical_size", canonical, config.model.roi.canonical_size, reason)


def propose_ratios(objects: Resized, config: Config) -> List[Proposal]:
    """Ratios of anchors, if others fit better than those of `config`."""
    anchors, rpn = config.model.anchors, config.model.rpn
    ratios, sample = quantile_ratios(objects, len(anchors.ratios)), sample_of(objects)
    now = fit(sample, anchors, rpn)
    then = fit(sample, anchors.model_copy(update={"ratios": ratios}), rpn)
    if then.score <= now.score + WORTH or then.near < now.near:
        return []
    reason = "height / width of the thinnest, the median and the tallest objects"
    return [Proposal("anchors.ratios", ratios, anchors.ratios, reason)]


def propose_limits(most: int, rows: int, config: Config) -> List[Proposal]:
    """Larger limits, if the fullest image is above those of `config`.

    Args:
        most: objects of the image that has the most of them.
        rows: the same with crowd regions.
        config: whose limits may be too low.
    """
    found, reason = [], f"an image has {most} objects"
    box_head, evaluation = config.model.box_head, config.evaluation.max_detections
    if rows > config.data.max_instances:
        before, extra = config.data.max_instances, " with crowd regions" * (rows > most)
        text = f"an image has {rows} objects{extra}"
        found.append(Proposal("data.max_instances", round_count(rows), before, text))
    wanted = box_head.max_detections
    if most > box_head.max_detections:
        wanted = round_count(most * HEADROOM)
        text = f"{reason}; some detections are wrong"
        found.append(Proposal("box_head.max_detections", wanted, box_head.max_detections, text))
    if most > evaluation[-1]:
        limits = (1, min(100, wanted), wanted) if wanted > most else (1, 100, round_count(most))
        found.append(Proposal("evaluation.max_detections", limits, evaluation, reason))
    return found


def round_count(value: float) -> int:
    """A round number of objects, not below `value`."""
    return round_up(value, 10 if value < 200 else 50 if value < 1000 else 100)


def shown(value: Any) -> str:
    """A number, or lists of numbers, as YAML on one line without spaces."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Sequence):
        return "[" + ",".join(map(shown, value)) + "]"
    return f"{value:g}"
