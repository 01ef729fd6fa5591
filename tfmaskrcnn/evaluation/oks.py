"""COCO's numbers of keypoints, by object keypoint similarity (OKS)."""

import contextlib
import io
from typing import Dict, List, Sequence

import numpy as np
from pycocotools.cocoeval import COCOeval

from tfmaskrcnn.config.keypoints import KeypointHeadConfig
from tfmaskrcnn.data.coco.annotations import is_number
from tfmaskrcnn.errors import InputError
from tfmaskrcnn.evaluation.ground_truth import GroundTruthFile, coco_index

MAX_DETECTIONS = 20  # of an image and category, COCO's rule for persons
_ABSENT = -1.0
_AREAS = ("all", "medium", "large")  # COCOeval's order; small persons have no keypoints


def keypoint_numbers(
    truth: GroundTruthFile,
    results: Dict[int, List[Dict]],
    num_keypoints: int,
    sigmas: Sequence[float] = (),
) -> Dict[str, float]:
    """AP, AP50, AP75, APm, APl, AR, AR50, AR75, ARm, ARl in [0, 1]; -1 without ground truth.

    Args:
        truth: objects without labelled keypoints are not looked for.
        results: COCO result entries with "keypoints" of each image that was looked at, by its id.
        num_keypoints: J.
        sigmas: the falloff of each keypoint; none for the defaults of `KeypointHeadConfig`.

    Raises:
        InputError: an annotation has another number of keypoints.
    """
    sigmas = sigmas or KeypointHeadConfig(num_keypoints=num_keypoints).sigmas
    if len(sigmas) != num_keypoints:
        raise InputError(f"{len(sigmas)} OKS sigmas for {num_keypoints} keypoints.")
    objects = [
        _with_keypoints(entry, truth, num_keypoints)
        for i in results
        for entry in truth.annotations(i)
    ]
    found = [_detection(entry) for i in results for entry in results[i] if "keypoints" in entry]
    found = [{**entry, "id": number} for number, entry in enumerate(found, start=1)]
    images = [truth.images[i] for i in results]
    evaluation = COCOeval(
        coco_index(images, truth.category_ids, objects),
        coco_index(images, truth.category_ids, found),
        "keypoints",
    )
    evaluation.params.kpt_oks_sigmas = np.array(sigmas)
    evaluation.params.maxDets = [MAX_DETECTIONS]
    with contextlib.redirect_stdout(io.StringIO()):
        evaluation.evaluate()
        evaluation.accumulate()
    # [10 thresholds, 101 recalls, K, areas, 1] and the same without the recalls.
    return {
        **_summary("AP", evaluation.eval["precision"][..., 0]),
        **_summary("AR", evaluation.eval["recall"][..., 0]),
    }


def _summary(name: str, values: np.ndarray) -> Dict[str, float]:
    """`values` are [thresholds 0.50..0.95, ..., areas]."""
    whole = values[..., 0]
    numbers = {name: whole, f"{name}50": whole[0], f"{name}75": whole[5]}
    numbers.update({f"{name}{area[0]}": values[..., a] for a, area in enumerate(_AREAS) if a})
    present = {key: v[v > _ABSENT] for key, v in numbers.items()}
    return {key: float(v.mean()) if v.size else _ABSENT for key, v in present.items()}


def _with_keypoints(entry: Dict, truth: GroundTruthFile, num_keypoints: int) -> Dict:
    points = entry.get("keypoints") or [0] * (3 * num_keypoints)
    where = f"{truth.path}: annotation {entry['original_id']!r:.60} of image {entry['image_id']}"
    if not isinstance(points, list) or not all(map(is_number, points)):
        raise InputError(f"{where}: its keypoints must be a list of finite numbers.")
    if len(points) != 3 * num_keypoints:
        raise InputError(
            f"{where} has {len(points)} keypoint numbers, the model finds {num_keypoints} "
            "keypoints."
        )
    labelled = sum(v > 0 for v in points[2::3])
    return {**entry, "keypoints": points, "num_keypoints": labelled}


def _detection(entry: Dict) -> Dict:
    """What `COCO.loadRes` makes of an entry with keypoints: their extent is its area."""
    x, y = np.array(entry["keypoints"][0::3]), np.array(entry["keypoints"][1::3])
    box = [float(x.min()), float(y.min()), float(np.ptp(x)), float(np.ptp(y))]
    return {**entry, "bbox": box, "area": box[2] * box[3], "iscrowd": 0}
