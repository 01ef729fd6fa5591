"""What follows from the objects: anchors, limits, proposals and samples."""

from typing import List

import numpy as np

from tfmaskrcnn.config.run import Config
from tfmaskrcnn.data.checking.coverage import resized
from tfmaskrcnn.data.checking.setting_proposals import (
    Proposal,
    canonical_of_anchors,
    propose_limits,
    propose_ratios,
    propose_sizes,
    round_count,
)
from tfmaskrcnn.train.auto.facts import Facts, Machine

_AS_GOOD = "the paper's; no others fit these objects clearly better"
# Masks of 112 x 112 that an image holds in memory while it is trained on, at most.
_MOST_INSTANCES = 500
_MOST_DETECTIONS = 2000
# Faster R-CNN's table of proposals: 300 an image lose nothing on photos of a few objects.
_LEAST_KEPT, _MOST_KEPT = 300, 1000
_KEPT_AN_OBJECT = 8
# Of RoIs an object in the box head; a third of them may be positive. COCO's 512 are 70 an object.
_SAMPLES_AN_OBJECT = 8
_LEAST_SAMPLES, _MOST_SAMPLES = 128, 512


def anchor_sizes(facts: Facts, config: Config, machine: Machine) -> List[Proposal]:
    """`anchors.sizes`: the ladder that fits the objects best, as check-data proposes."""
    return _anchors("sizes", propose_sizes, facts, config)


def anchor_ratios(facts: Facts, config: Config, machine: Machine) -> List[Proposal]:
    """`anchors.ratios`, likewise."""
    return _anchors("ratios", propose_ratios, facts, config)


def canonical_size(facts: Facts, config: Config, machine: Machine) -> List[Proposal]:
    """`roi.canonical_size`: RoIs read the level whose anchors are of their size."""
    return [canonical_of_anchors(config)] if len(facts.objects.boxes) else []


def limits(facts: Facts, config: Config, machine: Machine) -> List[Proposal]:
    """How many objects an image may have, in training and in results."""
    most, rows = _most(facts), int(facts.rows.max(initial=0))
    raised = {p.key: p for p in propose_limits(most, rows, config)}
    found = []
    for key, before, end in (
        ("data.max_instances", config.data.max_instances, _MOST_INSTANCES),
        ("box_head.max_detections", config.model.box_head.max_detections, _MOST_DETECTIONS),
    ):
        proposal = raised.get(
            key, Proposal(key, before, before, f"no image has more than {most} objects")
        )
        if proposal.value > end:
            reason = f"{proposal.reason}; more take too much memory"
            proposal = proposal._replace(value=end, reason=reason)
        found.append(proposal)
    detections = found[-1].value
    limit = (1, 10, 100) if most <= 100 else (1, 100, detections)
    before = config.evaluation.max_detections
    reason = f"an image has {most} objects" if most > 100 else "COCO's; no image has more objects"
    return [*found, Proposal("evaluation.max_detections", limit, before, reason)]


def proposals_kept(facts: Facts, config: Config, machine: Machine) -> List[Proposal]:
    """How many proposals of an image go on to the heads."""
    rpn, most = config.model.rpn, _most(facts)
    wanted = max(_LEAST_KEPT, round_count(_KEPT_AN_OBJECT * most))
    kept = min(wanted, _MOST_KEPT)
    reason = f"{_KEPT_AN_OBJECT} for each of {most} objects, {_LEAST_KEPT} at least"
    found = min(max(kept, config.model.box_head.max_detections), 3840)  # of TensorRT's TopK
    return [
        Proposal("rpn.post_nms_top_k_training", kept, rpn.post_nms_top_k_training, reason),
        Proposal("rpn.pre_nms_top_k_training", 2 * kept, rpn.pre_nms_top_k_training, "twice that"),
        Proposal("rpn.post_nms_top_k", found, rpn.post_nms_top_k, reason),
    ]


def roi_samples(facts: Facts, config: Config, machine: Machine) -> List[Proposal]:
    """`box_head.samples_per_image`: enough for a crowded image, no more time than needed."""
    usual = float(np.quantile(facts.counts, 0.75)) if len(facts.counts) else 0.0
    count = 32 * int(np.ceil(_SAMPLES_AN_OBJECT * usual / 32))
    count = min(max(count, _LEAST_SAMPLES), _MOST_SAMPLES)
    reason = f"{_SAMPLES_AN_OBJECT} for each of {usual:.0f} objects, which a quarter of the images"
    reason += f" exceeds; {_LEAST_SAMPLES} to {_MOST_SAMPLES}"
    before = config.model.box_head.samples_per_image
    return [Proposal("box_head.samples_per_image", count, before, reason)]


def _most(facts: Facts) -> int:
    return int(facts.counts.max(initial=0))


def _anchors(key: str, propose, facts: Facts, config: Config) -> List[Proposal]:
    if not len(facts.objects.boxes):
        return []
    found = propose(resized(facts.objects, config.model.input), config)
    now = getattr(config.model.anchors, key)
    return found or [Proposal(f"anchors.{key}", now, now, _AS_GOOD)]
