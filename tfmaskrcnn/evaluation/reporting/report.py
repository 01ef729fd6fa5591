"""What an evaluation tells beyond AP: a `Report`, of which page, tables and text are made."""

import dataclasses
import functools
from numbers import Real
from typing import Dict, List, Mapping, NamedTuple, Optional, Sequence

import numpy as np

from tfmaskrcnn.errors import InputError, quoted
from tfmaskrcnn.evaluation.analysis.bootstrap import (
    Interval,
    ap_statistic,
    intervals,
)
from tfmaskrcnn.evaluation.analysis.boundaries import Outlines, outlines
from tfmaskrcnn.evaluation.analysis.coco_matching import Matches, match_all
from tfmaskrcnn.evaluation.analysis.comparison import Comparison, compare
from tfmaskrcnn.evaluation.analysis.conditions import Conditions, conditions
from tfmaskrcnn.evaluation.analysis.confusion import Confusion, confusion
from tfmaskrcnn.evaluation.analysis.counting import Counting, counting
from tfmaskrcnn.evaluation.analysis.error_costs import ErrorCosts, error_costs
from tfmaskrcnn.evaluation.analysis.examined import Examined
from tfmaskrcnn.evaluation.analysis.operating_points import (
    OperatingPoints,
    Reliability,
    operating_points,
    reliability,
)
from tfmaskrcnn.evaluation.analysis.panoptic import PanopticQuality, panoptic_quality
from tfmaskrcnn.evaluation.analysis.verdicts import ImageVerdicts, judge_matches
from tfmaskrcnn.evaluation.class_choice import ClassChoice
from tfmaskrcnn.evaluation.coco_result import CocoResult
from tfmaskrcnn.evaluation.reporting.cautions import cautions
from tfmaskrcnn.inference.score_thresholds import ScoreThresholds

BACKGROUND = 0.1  # IoU from which on a detection is about an object at all, as in TIDE


class Against(NamedTuple):
    """A second model on the same images, and what the first gains over it."""

    report: "Report"
    comparison: Comparison


def check_iou(iou: float) -> None:
    """Refuse what no match can be judged by; raises `InputError`."""
    if not isinstance(iou, Real) or not BACKGROUND < iou < 1:
        raise InputError(
            f"The IoU is {quoted(iou)}; wanted a number above {BACKGROUND} and below 1."
        )


@dataclasses.dataclass(frozen=True, eq=False)
class Report:
    """An examined set; what is asked for is computed once, on first use."""

    result: CocoResult
    examined: Examined
    source: str  # the model, as it was named
    data: str  # the JSON file, likewise
    iou: float = 0.5  # least IoU with an object of a detection that is right
    image_paths: Mapping[int, str] = dataclasses.field(default_factory=dict)  # by image id
    brightness: Mapping[int, float] = dataclasses.field(default_factory=dict)  # mean grey, 0..255
    channels: int = 3  # of the images
    exif: str = "apply"  # how they are read
    against: Optional[Against] = None

    def __post_init__(self):
        """Check what a person may have typed."""
        check_iou(self.iou)

    @property
    def class_names(self):
        """Of classes 1..K, unique."""
        return self.examined.class_names

    @property
    def kind(self) -> str:
        """What is judged by: "mask", or "box" where there are no masks."""
        return self.examined.kind

    @functools.cached_property
    def class_intervals(self) -> Dict[str, Dict[str, Interval]]:
        """Kind -> class name -> AP; "" is COCO's AP of all."""
        return {kind: self._intervals(kind) for kind in self.examined.kinds}

    @property
    def intervals(self) -> Dict[str, Interval]:
        """Kind -> COCO's AP with its interval."""
        return {kind: each[""] for kind, each in self.class_intervals.items()}

    @functools.cached_property
    def cautions(self) -> List[str]:
        """Sentences about what may mislead."""
        return cautions(self.result, self.examined)

    @functools.cached_property
    def points(self) -> OperatingPoints:
        """Precision, recall and F1 by score."""
        return operating_points(self.examined, self._matches, self.kind)

    @functools.cached_property
    def thresholds(self) -> np.ndarray:
        """[K] float64: the score of each class's best F1, at which all that follows is judged."""
        return self.points.thresholds()

    @functools.cached_property
    def reliability(self) -> Reliability:
        """Whether scores mean what they say."""
        return reliability(self._matches)

    @functools.cached_property
    def verdicts(self) -> List[ImageVerdicts]:
        """What each detection and object is, at the thresholds."""
        return judge_matches(self.examined, self.kind, self._matches, self.thresholds)

    @functools.cached_property
    def confusion(self) -> Confusion:
        """Which class is taken for which, at the thresholds."""
        return confusion(self.examined, self.kind, self.thresholds, self.iou)

    @functools.cached_property
    def costs(self) -> Dict[str, ErrorCosts]:
        """Kind -> what each error costs in AP at `iou`."""
        return {kind: error_costs(self.examined, kind, self.iou) for kind in self.examined.kinds}

    @functools.cached_property
    def conditions(self) -> List[Conditions]:
        """Where it fails."""
        each = [self.brightness.get(image.image_id) for image in self.examined.images]
        known = each and None not in each
        return conditions(self.examined, self.verdicts, np.array(each) if known else None)

    @functools.cached_property
    def outlines(self) -> Optional[Outlines]:
        """How well masks follow their objects; None without masks."""
        return outlines(self.examined, self.verdicts) if self.examined.has_masks else None

    @functools.cached_property
    def panoptic(self) -> Optional[PanopticQuality]:
        """Panoptic quality; None without masks."""
        if not self.examined.has_masks:
            return None
        return panoptic_quality(self.examined, self.thresholds)

    @functools.cached_property
    def counting(self) -> Counting:
        """How well objects are counted."""
        return counting(self.examined, self.thresholds)

    def score_thresholds(
        self, class_names: Sequence[str] = (), choice: Optional[ClassChoice] = None
    ) -> ScoreThresholds:
        """The thresholds as they travel with a model.

        Args:
            class_names: of the model's classes 1..K; none for those of the data.
            choice: which categories of the data they are, as the evaluation had it.
        """
        names = tuple(class_names) or self.class_names
        category_of = dict(choice.pairs) if choice and choice.pairs else {}
        curves = [self.points.per_class.get(category_of.get(name, name)) for name in names]
        return ScoreThresholds(
            scores=tuple(c.best.score if c and c.num_objects else None for c in curves),
            overall=self.points.overall.best.score,
            iou=self.iou,
            kind=self.kind,
            images=len(self.examined.images),
            class_names=names,
        )

    def compared_with(self, other: "Report") -> "Report":
        """This report with a comparison with `other`, of the same images.

        Raises:
            InputError: images or categories differ.
        """
        comparison = compare(self.examined, other.examined, self.thresholds, other.thresholds)
        report = dataclasses.replace(self, against=Against(other, comparison))
        # What is computed already does not depend on the other model.
        report.__dict__.update({**self.__dict__, "against": report.against})
        return report

    @functools.cached_property
    def coco_matches(self) -> Dict[str, Matches]:
        """Kind -> the matches at COCO's IoU thresholds."""
        return {kind: match_all(self.examined, kind) for kind in self.examined.kinds}

    @functools.cached_property
    def _matches(self) -> Matches:
        """At one IoU."""
        return match_all(self.examined, self.kind, [self.iou])

    def _intervals(self, kind: str) -> Dict[str, Interval]:
        found = ap_statistic(self.coco_matches[kind])
        each = intervals(found, len(self.examined.images))
        return dict(zip(("", *self.class_names), each))
