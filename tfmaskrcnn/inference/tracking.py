"""Numbers that objects keep from frame to frame of a video."""

import dataclasses
from typing import Callable, List, NamedTuple

import numpy as np

from tfmaskrcnn.errors import InputError
from tfmaskrcnn.inference.merging import box_iou
from tfmaskrcnn.instances import Instances
from tfmaskrcnn.support.extras import needed

# How much two views of one object share at least. Of boxes 0.3 is usual; masks share less.
MIN_IOU = 0.2
# Frames that an object may be missed for: found again within them, it keeps its number.
MAX_GAP = 5


def installed_assignment() -> Callable:
    """The function `linear_sum_assignment` of scipy.

    Raises:
        InputError: scipy is not installed.
    """
    what = "Numbering the objects of a video needs"
    return needed("scipy.optimize", "scipy", what, "video").linear_sum_assignment


class Tracker:
    """Gives each object of a video a number that it keeps.

    An object is the one of the frame before whose mask (box, where there are no masks) it shares
    most with: all pairs of one class are matched at once, so that the sum of their IoUs is highest,
    and pairs below `min_iou` are none. What matches nothing gets the next number; no number is used
    twice. What is not found for up to `max_gap` frames is compared where it was seen last.

    There is no model of motion and no look at colours. It loses what moves by more than about its
    own size between two frames, or changes its class; it may exchange the numbers of two objects
    of a class that cover each other, and gives a new number to what comes back after a longer gap.

    The numbers depend on what it was given alone: the same frames again give the same numbers.

    Args:
        min_iou: in (0, 1].
        max_gap: 0 or more, in calls of `update`.
    """

    def __init__(self, min_iou: float = MIN_IOU, max_gap: int = MAX_GAP):
        if not 0 < min_iou <= 1 or max_gap < 0:
            raise InputError(
                f"min_iou is {min_iou} and max_gap {max_gap}; wanted min_iou in (0, 1] and max_gap "
                "of 0 or more."
            )
        self.min_iou, self.max_gap = min_iou, max_gap
        self.count = 0  # objects so far, the highest number given
        self._frames = 0
        self._tracks: List[_Track] = []

    def update(self, found: Instances) -> Instances:
        """`found` in the next frame, with `ids`.

        Raises:
            InputError: scipy is missing, or the frame's size is another than before.
        """
        views = _views(found, self._frames)
        self._check_size(found)
        ids = np.zeros(len(found), np.int64)
        for k in np.unique(found.classes):
            rows = np.flatnonzero(found.classes == k)
            tracks = [track for track in self._tracks if track.class_index == k]
            for row, track in _matched([views[i] for i in rows], tracks, self.min_iou):
                ids[rows[row]] = tracks[track].number
        new = np.flatnonzero(ids == 0)  # best first, as all of `found`
        ids[new] = self.count + 1 + np.arange(len(new))
        self._remember(views, ids)
        return dataclasses.replace(found, ids=ids)

    def recall(self, found: Instances) -> None:
        """Go on from a next frame whose `ids` are known, as `update` gave them before."""
        self._check_size(found)
        self._remember(_views(found, self._frames), found.ids)

    def _check_size(self, found: Instances) -> None:
        if self._tracks and self._tracks[0].size != found.size:
            before, now = self._tracks[0].size, found.size
            raise InputError(
                f"A frame of {now[1]} x {now[0]} pixels follows one of {before[1]} x {before[0]}; "
                "the frames of one video have one size."
            )

    def _remember(self, views: List["_Track"], ids: np.ndarray) -> None:
        numbers = set(ids.tolist())
        self.count = max([self.count, *numbers])
        # Seen last in this frame, or within the gap that the next frame may close.
        oldest = self._frames - self.max_gap
        missed = [t for t in self._tracks if t.number not in numbers and t.seen >= oldest]
        self._tracks = missed + [v._replace(number=int(n)) for v, n in zip(views, ids)]
        self._frames += 1


class _Track(NamedTuple):
    """An object as it was seen last."""

    number: int
    class_index: int
    seen: int  # number of the frame
    size: tuple  # (height, width) of the frame
    box: np.ndarray  # [4] float32 yxyx
    rle: dict  # COCO's compressed RLE; None without masks, or where no pixel is in the mask


def _views(found: Instances, frame: int) -> List[_Track]:
    rles = found.rle() if found.has_masks else [None] * len(found)
    if found.has_masks and len(found):
        from pycocotools import mask as coco_mask

        areas = np.atleast_1d(coco_mask.area(rles))
        rles = [rle if area else None for rle, area in zip(rles, areas)]
    rows = zip(found.classes.tolist(), found.boxes, rles)
    return [_Track(0, k, frame, found.size, box, rle) for k, box, rle in rows]


def _matched(views: List[_Track], tracks: List[_Track], min_iou: float):
    """(row, track) pairs that are one object."""
    if not views or not tracks:
        return []
    overlaps = _overlaps(views, tracks)  # [v, t]
    overlaps[overlaps < min_iou] = 0  # must not decide between pairs that count
    pairs = zip(*installed_assignment()(overlaps, maximize=True))
    return [(v, t) for v, t in pairs if overlaps[v, t] > 0]


def _overlaps(views: List[_Track], tracks: List[_Track]) -> np.ndarray:
    """[v, t] float64 IoU of masks, of boxes where one of the two has no mask."""
    boxes = (np.stack([one.box for one in some]).astype(np.float64) for some in (views, tracks))
    overlaps = box_iou(*boxes)
    rows = [i for i, view in enumerate(views) if view.rle]
    columns = [i for i, track in enumerate(tracks) if track.rle]
    if rows and columns:
        from pycocotools import mask as coco_mask

        ours, theirs = [views[i].rle for i in rows], [tracks[i].rle for i in columns]
        overlaps[np.ix_(rows, columns)] = coco_mask.iou(ours, theirs, [0] * len(theirs))
    return overlaps
