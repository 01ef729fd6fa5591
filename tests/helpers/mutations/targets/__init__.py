"""What mutated inputs are fed to, a file a kind, and what has to hold for those it accepts."""

import functools
import importlib
from typing import Callable, Dict, List

# Kind -> "module:class"; importers are added from the package's own list.
_MODULES = {
    "coco-train": "coco:Training",
    "coco-evaluate": "coco:Evaluation",
    "coco-keypoints": "coco:Keypoints",
    "coco-report": "coco:Reporting",
    "coco-check": "checking:Checking",
    "coco-tfrecord": "tfrecord:Writing",
    "tfrecord-files": "tfrecord:Reading",
    "images": "images:Images",
    "config-files": "configurations:Files",
    "config-set": "configurations:Overrides",
    "config-models": "configurations:Models",
    "weights": "weights:Native",
    "weights-pth": "checkpoints:Torch",
    "weights-pkl": "checkpoints:Pickle",
    "weights-h5": "checkpoints:Keras",
    "states": "runs:States",
    "run-folders": "runs:Folders",
    "single-files": "single_files:Files",
    "commands": "commands:Commands",
    "served": "served:Requests",
    "client": "client:Answers",
}
# These end badly on purpose: the machinery has to notice.
_MISBEHAVING = ("crash", "hang", "traceback", "broken", "memory", "much", "sentence", "refused")
_MISBEHAVING += ("fine",)


def kinds() -> List[str]:
    """All kinds, with an importer for each source that the package has."""
    from tfmaskrcnn.data.importers import SOURCES

    return [*_MODULES, *(f"import-{source}" for source in SOURCES)]


def find(kind: str) -> Callable:
    """What makes the `Target` of a kind, given the folder of its good inputs."""
    if kind.startswith("import-"):
        target = _load("importers:Importing")
        return functools.partial(target, source=kind[len("import-") :])
    if kind in _MISBEHAVING:
        return functools.partial(_load("misbehaving:Misbehaving"), how=kind)
    return _load("samples:Samples" if kind == "samples" else _MODULES[kind])


def _load(place: str) -> Callable:
    module, name = place.split(":")
    return getattr(importlib.import_module(f"{__name__}.{module}"), name)


def weights() -> Dict[str, float]:
    """Kind -> its share of the cases of a run of all kinds: slow ones get fewer."""
    slow = {
        "coco-train": 0.7,
        "served": 0.5,
        "run-folders": 0.5,
        "states": 0.5,
        "single-files": 0.5,
    }
    slow.update({"coco-report": 0.3, "config-models": 0.3, "coco-keypoints": 0.5})
    return {kind: slow.get(kind, 1.0) for kind in kinds()}
