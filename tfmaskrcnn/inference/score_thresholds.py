"""Score thresholds of each class that travel with a model; needs no TensorFlow."""

import dataclasses
import hashlib
import json
import logging
import numbers
import os
import zipfile
from typing import Any, Callable, Dict, Optional, Sequence, Tuple, Union

import numpy as np

from tfmaskrcnn.errors import InputError, quoted
from tfmaskrcnn.inference.runtimes.file_about import file_asset, is_model_file
from tfmaskrcnn.instances import Instances
from tfmaskrcnn.support import storage
from tfmaskrcnn.support.archives import open_archive
from tfmaskrcnn.support.files import open_regular, read_json, replaced
from tfmaskrcnn.support.run_folder import Run
from tfmaskrcnn.support.single_file import exists

_LOG = logging.getLogger(__name__)
KINDS = ("mask", "box")
# The lowest score that is chosen of a model without thresholds of its own.
DEFAULT_THRESHOLD = 0.5
NO_THRESHOLDS = (
    "The model has no score thresholds to apply; `tfmaskrcnn evaluate RUN --save-thresholds` finds "
    "them."
)
# With more classes than this `short` tells their range.
_FEW = 5


@dataclasses.dataclass(frozen=True)
class ScoreThresholds:
    """From which score on a detection of a class is taken for real.

    Raises:
        InputError: a value is not as said here.
    """

    # In [0, 1], of classes 1..K; None of a class of which the images that they were chosen on
    # have no object.
    scores: Tuple[Optional[float], ...]
    overall: float  # in [0, 1], of the classes without their own
    iou: float  # in (0, 1]: a detection was right if its IoU with an object was at least this
    kind: str  # of the IoU: "mask" or "box"
    images: int  # on so many they were chosen
    class_names: Tuple[str, ...] = ()  # of classes 1..K, or none
    weights: str = ""  # a digest of the run's weights that they were chosen for; "" if unknown

    def __post_init__(self):
        """Check all values and make plain ones of NumPy's."""
        scores, names = _several("scores", self.scores), _several("class_names", self.class_names)
        own = [None if s is None else _share(f"scores[{i}]", s) for i, s in enumerate(scores)]
        if not own:
            raise InputError("scores is empty; wanted one a class.")
        if names and len(names) != len(own):
            raise InputError(f"class_names has {len(names)} entries for {len(own)} scores.")
        if not all(isinstance(text, str) for text in (*names, self.weights)):
            raise InputError("class_names and weights must be text.")
        if not isinstance(self.kind, str) or self.kind not in KINDS:
            raise InputError(f"kind is {quoted(self.kind)}; wanted one of {', '.join(KINDS)}.")
        whole = isinstance(self.images, numbers.Integral) and not isinstance(self.images, bool)
        if not whole or not 1 <= self.images < 2**63:
            raise InputError(f"images is {quoted(self.images)}; wanted a whole number above 0.")
        values = {"scores": tuple(own), "class_names": names, "images": int(self.images)}
        values.update({name: _share(name, getattr(self, name)) for name in ("overall", "iou")})
        if not values["iou"]:
            raise InputError("iou is 0; wanted a number above 0.")
        for name, value in values.items():
            object.__setattr__(self, name, value)

    def of(self, classes) -> np.ndarray:
        """[...] float32 thresholds of [...] class numbers from 1 on.

        Raises:
            InputError: a number is not in 1..K.
        """
        index, count = np.asarray(classes, np.int64), len(self.scores)
        if index.size and not 1 <= index.min() <= index.max() <= count:
            raise InputError(
                f"Classes {index.min()}..{index.max()} found; there are thresholds of 1..{count}."
            )
        table = [self.overall if score is None else score for score in self.scores]
        return np.array(table, np.float32)[index - 1]

    def selected(self, found: Instances) -> Instances:
        """Those of `found` with a score at or above their class's threshold."""
        return found[found.scores >= self.of(found.classes)]

    def subset(self, chosen: Sequence[int], class_names: Sequence[str] = ()) -> "ScoreThresholds":
        """Of the classes at these indices from 0 on, in this order and by these names."""
        scores = tuple(self.scores[i] for i in chosen)
        return dataclasses.replace(self, scores=scores, class_names=tuple(class_names))

    def named(self) -> Dict[str, float]:
        """Class name, or number where there are no names -> the threshold in use."""
        labels = self.class_names or range(1, len(self.scores) + 1)
        own = self.of(range(1, len(self.scores) + 1))
        return {str(label): float(f"{value:.4g}") for label, value in zip(labels, own)}

    def short(self) -> str:
        """Such as "cell 0.62, crystal 0.4"; with more than 5 classes the range."""
        each = self.named()
        if len(each) <= _FEW:
            return ", ".join(f"{label} {value:.3g}" for label, value in each.items())
        low, high = min(each.values()), max(each.values())
        return f"{low:.3g} to {high:.3g} by class"

    def about(self) -> Dict[str, Any]:
        """What `info` tells, of JSON's types."""
        told = {name: getattr(self, name) for name in ("kind", "iou", "images")}
        return {**told, "overall": float(f"{self.overall:.4g}"), "scores": self.named()}

    def to_json(self) -> str:
        """The text of a file that `read` reads."""
        return json.dumps(dataclasses.asdict(self), indent=2) + "\n"

    def write(self, path: str) -> None:
        """Write a JSON file; raises `InputError` if it cannot be written."""
        with replaced(path, "w") as file:
            file.write(self.to_json())

    @classmethod
    def read(cls, path: str) -> "ScoreThresholds":
        """What `write` has written; keys that are not known are left alone.

        Raises:
            InputError: `path` cannot be read, or holds something else.
        """
        return cls.from_json(read_json(path), path)

    @classmethod
    def from_json(cls, raw: Any, path: str) -> "ScoreThresholds":
        """As `read`, of what the file at `path` holds."""
        fields = {field.name: field for field in dataclasses.fields(cls)}
        try:
            if not isinstance(raw, dict):
                raise InputError(f"it is a {type(raw).__name__}.")
            for name, field in fields.items():
                if name not in raw and field.default is dataclasses.MISSING:
                    raise InputError(f"{name!r} is missing.")
            return cls(**{name: value for name, value in raw.items() if name in fields})
        except InputError as error:
            reason = str(error).rstrip(".")
            raise InputError(
                f"{path} holds no score thresholds ({reason}); remove or replace the file."
            ) from None


def limits_of(
    own: Optional[ScoreThresholds], threshold: Optional[float]
) -> Callable[[Instances], Union[float, np.ndarray]]:
    """From which scores on objects are chosen, one for all of an image or [D].

    Args:
        own: of the model, if it has any.
        threshold: for all; None takes the model's own, and 0.5 where it has none.
    """
    if threshold is None and own is not None:
        return lambda found: own.of(found.classes)
    lowest = DEFAULT_THRESHOLD if threshold is None else threshold
    return lambda found: lowest


def save_for_run(thresholds: ScoreThresholds, folder: str) -> str:
    """Write `thresholds` into a run, as those of the weights that lie there; returns the path."""
    run = Run(folder)
    dataclasses.replace(thresholds, weights=weights_digest(run.weights)).write(run.thresholds)
    return run.thresholds


def run_thresholds(folder: str, num_classes: int) -> Optional[ScoreThresholds]:
    """The thresholds of a run, if it has any that belong to its weights.

    Others, which a resumed training has left behind, are told of in the log.

    Raises: see `stored_thresholds`.
    """
    run = Run(folder)
    found = stored_thresholds(folder, num_classes)
    if found is None or found.weights in ("", weights_digest(run.weights)):
        return found
    _LOG.warning(
        "%s is of other weights than those in the run and is not used; `tfmaskrcnn evaluate "
        "--save-thresholds` finds new ones.",
        run.thresholds,
    )
    return None


def stored_thresholds(folder: str, num_classes: int) -> Optional[ScoreThresholds]:
    """The thresholds that lie in a run, of whatever weights; None where there are none.

    Raises:
        InputError: the file is damaged or of another number of classes.
    """
    path = Run(folder).thresholds
    return _read(path, num_classes) if exists(path) else None


def exported_thresholds(folder: str, num_classes: Optional[int]) -> Optional[ScoreThresholds]:
    """The thresholds in an exported model of `num_classes` (None: not known), if there are any.

    Raises: see `stored_thresholds`.
    """
    name = os.path.basename(Run(folder).thresholds)
    if is_model_file(folder):
        raw = file_asset(folder, name)
        found = ScoreThresholds.from_json(raw, folder) if raw else None
        return found and _of_classes(found, folder, num_classes)
    path = os.path.join(folder, "assets", name)
    return _read(path, num_classes) if storage.exists(path) else None


def weights_digest(path: str) -> str:
    """16 hexadecimal digits for what the arrays of an `.npz` file hold, from its table of contents.

    Raises:
        InputError: there is no such file.
    """
    try:
        with open_regular(path) as file, open_archive(file) as archive:
            return content_digest(archive)
    except InputError:
        raise
    except Exception as error:  # of a damaged file, zipfile raises a dozen kinds
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise InputError(f"{path} is missing or damaged: {reason}.") from None


def content_digest(archive: zipfile.ZipFile) -> str:
    """16 hexadecimal digits for what the members of an archive hold."""
    parts = sorted((part.filename, part.CRC, part.file_size) for part in archive.infolist())
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:16]


def _read(path: str, num_classes: Optional[int]) -> ScoreThresholds:
    return _of_classes(ScoreThresholds.read(path), path, num_classes)


def _of_classes(found: ScoreThresholds, path: str, num_classes: Optional[int]) -> ScoreThresholds:
    if num_classes is not None and len(found.scores) != num_classes:
        raise InputError(
            f"{path} holds thresholds of {len(found.scores)} classes, the model has {num_classes}; "
            "remove the file."
        )
    return found


def _several(name: str, values) -> Tuple[Any, ...]:
    if isinstance(values, str) or not isinstance(values, (Sequence, np.ndarray)):
        raise InputError(f"{name} is {quoted(values)}; wanted a list.")
    return tuple(values)


def _share(name: str, value) -> float:
    real = isinstance(value, numbers.Real) and not isinstance(value, bool)
    if not real or not 0 <= value <= 1:  # NaN fails too
        raise InputError(f"{name} is {quoted(value)}; wanted a number from 0 to 1.")
    return float(value)
