"""COCO average precision of masks, boxes and keypoints by pycocotools."""

import contextlib
import io
from typing import Dict, List, Optional, Sequence, Tuple, Union

import numpy as np
from pycocotools import mask as coco_mask
from pycocotools.cocoeval import COCOeval

from tfmaskrcnn.errors import InputError
from tfmaskrcnn.evaluation.analysis.examined import Examined, examine
from tfmaskrcnn.evaluation.class_choice import ClassChoice
from tfmaskrcnn.evaluation.coco_result import CocoResult
from tfmaskrcnn.evaluation.ground_truth import GroundTruthFile, coco_index
from tfmaskrcnn.evaluation.kaggle import kaggle_score
from tfmaskrcnn.evaluation.oks import keypoint_numbers
from tfmaskrcnn.instances import Instances

ABSENT = -1.0  # COCO's mark of a number that has no ground truth to refer to
AREAS = ("all", "small", "medium", "large")  # order of COCOeval's area ranges


class CocoEvaluator:
    """Collects the instances found in each image, then computes COCO's numbers over those images.

    With more objects in an image than `max_detections` allows, even a perfect result has an AP
    under 1; then raise the last of the three.
    """

    def __init__(
        self,
        json_path: Union[str, GroundTruthFile],
        max_detections: Sequence[int] = (1, 10, 100),
        class_names: Sequence[str] = (),
        keypoint_sigmas: Sequence[float] = (),
        choice: Optional[ClassChoice] = None,
    ):
        """Read the ground truth.

        Args:
            json_path: COCO instance JSON, or one that was read. Classes find their categories by
                name; those of a model without class names are the category ids in ascending order.
            max_detections: ascending; recall is reported at each, everything else at the last.
            class_names: of the model's classes 1..K, to be compared with the JSON's.
            keypoint_sigmas: of OKS, one a keypoint; none for the defaults of `KeypointHeadConfig`.
            choice: which categories count, and which classes they are; None takes all.

        Raises:
            InputError: the file is no COCO set, has a category that `class_names` lacks, or lacks
                one that is chosen.
        """
        wanted = sorted(set(max_detections))
        if not wanted or wanted[0] < 1 or list(max_detections) != wanted:
            raise InputError(f"max_detections is {max_detections}, wanted ascending whole numbers.")
        self.max_detections = tuple(wanted)
        self.keypoint_sigmas = tuple(keypoint_sigmas)
        read = isinstance(json_path, GroundTruthFile)
        self.truth = json_path if read else GroundTruthFile(json_path)
        self.choice = choice or ClassChoice()
        self.left_out: Tuple[str, ...] = ()  # categories that the model does not know
        self.choice.restrict(self.truth)
        self._ids: Dict[Tuple[str, ...], Tuple[Optional[int], ...]] = {}
        self.reset()
        if class_names:
            self._ids_of_classes(class_names)

    def reset(self) -> None:
        """Forget all that was added."""
        self._results: Dict[int, List[Dict]] = {}
        self.brightness: Dict[int, float] = {}  # mean value of each image, where that is known
        self._without_masks = False
        self._num_keypoints: Optional[int] = None

    def add(self, image_id: int, instances: Instances) -> None:
        """Take what was found in one image; also when that is nothing.

        Raises:
            InputError: the JSON has no such image, it was added before, its size differs, a
                category is none of the class names, a class is beyond the JSON's categories, a
                number is not finite, or an annotation is wrong.
        """
        image, path = self.truth.images.get(image_id), self.truth.path
        if image is None:
            raise InputError(f"{path} has no image with the id {image_id!r}.")
        if image_id in self._results:
            raise InputError(f"Image {image_id} was added to the evaluation twice.")
        if instances.size != (image["height"], image["width"]):
            raise InputError(
                f"Image {image_id} is {image['height']} x {image['width']} pixels (height x width) "
                f"in {path}, the instances are of one of {instances.size[0]} x {instances.size[1]}."
            )
        for name in ("scores", "boxes"):
            if not np.isfinite(getattr(instances, name)).all():
                raise InputError(f"Image {image_id}: {name} were found that are no finite numbers.")
        sizes = {tuple(rle["size"]) for rle in instances.exact_rle or ()} - {instances.size}
        if sizes:
            raise InputError(f"Image {image_id} of {instances.size} has masks of {sizes.pop()}.")
        category_ids = self._ids_of_classes(instances.class_names)
        try:
            results = instances.coco_results(image_id, category_ids)
        except ValueError as error:
            raise InputError(f"Image {image_id} of {path}: {error}") from None
        # Stop at wrong annotations now, not after the last image.
        self.truth.annotations(image_id, masks=self.truth.has_masks and instances.has_masks)
        self._without_masks |= len(instances) > 0 and not instances.has_masks
        if instances.keypoints is not None and len(instances):
            self._num_keypoints = instances.keypoints.shape[1]
        self._results[image_id] = results

    def add_many(self, image_ids: Sequence[int], found: Sequence[Instances]) -> None:
        """`add` for several images."""
        if len(image_ids) != len(found):
            raise InputError(f"{len(image_ids)} image ids for {len(found)} Instances.")
        for image_id, instances in zip(image_ids, found):
            self.add(image_id, instances)

    def collected(self) -> Dict:
        """All that was added so far, JSON-ready, for `merge`."""
        return {
            "results": list(self._results.items()),
            "without_masks": self._without_masks,
            "num_keypoints": self._num_keypoints,
        }

    def merge(self, parts: Sequence[Dict], image_ids: Sequence[int]) -> None:
        """Hold what evaluators of parts of the images collected, in the order of `image_ids`."""
        results = {image_id: found for part in parts for image_id, found in part["results"]}
        # The order decides between equal scores.
        self._results = {i: results[i] for i in image_ids if i in results}
        self._without_masks = any(part["without_masks"] for part in parts)
        self._num_keypoints = max((p["num_keypoints"] or 0 for p in parts), default=0) or None

    def result(self, kaggle_threshold: Optional[float] = None) -> CocoResult:
        """COCO's numbers over the images added so far.

        Args:
            kaggle_threshold: compute `kaggle.kaggle_score` too, of detections from this score on.
        """
        kaggle = None
        if kaggle_threshold is not None and self._can_judge_masks():
            kaggle = kaggle_score(self.truth, self._results, kaggle_threshold)._asdict()
        boxes, box_classes = self._numbers("bbox")
        masks, mask_classes = self._numbers("segm")
        keypoints = None
        if self._num_keypoints is not None:
            keypoints = keypoint_numbers(
                self.truth, self._results, self._num_keypoints, self.keypoint_sigmas
            )
        return CocoResult(
            boxes=boxes,
            masks=masks,
            box_ap_per_class=box_classes,
            mask_ap_per_class=mask_classes,
            num_images=len(self._results),
            num_objects=sum(len(self.truth.annotations(i)) for i in self._results),
            num_detections=sum(map(len, self._results.values())),
            keypoints=keypoints,
            kaggle=kaggle,
            left_out=self.left_out,
        )

    def examined(self) -> Examined:
        """Arrays of what is there and what was found so far, for `analysis`."""
        names = _unique(self.truth.class_names, self.truth.category_ids)
        masks, most = self._can_judge_masks(), self.max_detections[-1]
        return examine(self.truth, self._results, names, masks, most)

    def _numbers(self, kind: str) -> Tuple[Dict[str, float], Dict[str, float]]:
        evaluated = self._run(kind)
        names = _unique(self.truth.class_names, self.truth.category_ids)
        precision, recall = evaluated["precision"], evaluated["recall"]
        per_class = {n: _mean(precision[:, :, k, 0, -1]) for k, n in enumerate(names)}
        return _summary(precision, recall, self.max_detections), per_class

    def _run(self, kind: str) -> Dict[str, np.ndarray]:
        truth, image_ids = self.truth, list(self._results)
        boxes_alone = kind == "segm" and not self._can_judge_masks()
        if boxes_alone or not image_ids or not truth.category_ids:  # COCOeval cannot be without
            shape = (10, len(truth.category_ids), len(AREAS), len(self.max_detections))
            recall = np.full(shape, ABSENT)
            return {"precision": np.full((10, 101, *shape[1:]), ABSENT), "recall": recall}
        images = [truth.images[i] for i in image_ids]
        objects = [dict(entry) for i in image_ids for entry in truth.annotations(i)]
        found = _detections([r for i in image_ids for r in self._results[i]], kind)
        evaluation = COCOeval(
            coco_index(images, truth.category_ids, objects),
            coco_index(images, truth.category_ids, found),
            kind,
        )
        evaluation.params.maxDets = list(self.max_detections)
        with contextlib.redirect_stdout(io.StringIO()):
            evaluation.evaluate()
            evaluation.accumulate()
        return evaluation.eval

    def _can_judge_masks(self) -> bool:
        """Whether all that was found has masks, and all that there is to be found."""
        objects = (entry for i in self._results for entry in self.truth.annotations(i))
        return not self._without_masks and all("segmentation" in entry for entry in objects)

    def _ids_of_classes(self, names: Sequence[str]) -> Tuple[Optional[int], ...]:
        """The category id of each class of a model with these names; None where the file has none.

        One that knows more classes than the file, such as COCO's 80, has its detections of the
        others left out.
        """
        names = tuple(names)
        if names not in self._ids:
            self._ids[names], left_out = self.choice.ids(names, self.truth)
            self.left_out += left_out
        return self._ids[names]


def _detections(results: List[Dict], kind: str) -> List[Dict]:
    """What `COCO.loadRes` makes of results that hold one kind: an id and the area of that kind."""
    found = []
    for number, result in enumerate(results, start=1):
        if kind == "segm" and "segmentation" not in result:
            continue
        box = result["bbox"]
        # A mask's area is its own; loadRes would take its box's if the result has both.
        area = box[2] * box[3] if kind == "bbox" else float(coco_mask.area(result["segmentation"]))
        found.append({**result, "id": number, "area": area, "iscrowd": 0})
    return found


def _summary(
    precision: np.ndarray, recall: np.ndarray, max_detections: Sequence[int]
) -> Dict[str, float]:
    """COCO's numbers: those of `COCOeval.summarize`, for any `max_detections`.

    Args:
        precision: [10, 101, K, 4, n]: IoU thresholds 0.50..0.95, recalls, classes, areas, limits.
        recall: [10, K, 4, n].
        max_detections: the n limits.
    """
    best = precision[..., -1]  # [10, 101, K, 4]
    numbers = {"AP": best[..., 0], "AP50": best[0, ..., 0], "AP75": best[5, ..., 0]}
    numbers.update({f"AP{area[0]}": best[..., a] for a, area in enumerate(AREAS) if a})
    numbers.update({f"AR{m}": recall[..., 0, i] for i, m in enumerate(max_detections)})
    numbers.update({f"AR{area[0]}": recall[..., a, -1] for a, area in enumerate(AREAS) if a})
    return {name: _mean(values) for name, values in numbers.items()}


def _mean(values: np.ndarray) -> float:
    present = values[values > ABSENT]
    return float(present.mean()) if present.size else ABSENT


def _unique(names: Sequence[str], ids: Sequence[int]) -> List[str]:
    names = list(names)
    while len(set(names)) < len(names):  # again where a file has a category "plum (7)" too
        names = [n if names.count(n) == 1 else f"{n} ({i})" for n, i in zip(names, ids)]
    return names
