"""Whether an exported file finds what the SavedModel finds, on real images."""

from typing import Callable, Dict, List, NamedTuple, Optional, Sequence, Tuple

import numpy as np

from tfmaskrcnn.errors import InputError
from tfmaskrcnn.inference.merging import box_iou

# From images [B, H, W, C] float32 and sizes [B, 2] float32 to the outputs of `network` by name.
Network = Callable[[np.ndarray, np.ndarray], Dict[str, np.ndarray]]
# Detections of the two are the same object when their boxes overlap this much.
SAME_IOU = 0.5
_OBJECT = ("boxes", "classes")


class Difference(NamedTuple):
    """How far the detections of one image lie apart."""

    expected: int  # detections of the SavedModel
    found: int  # detections of the file
    matched: int  # of the SavedModel's with one of the file's of its class at IoU >= 0.5
    box: float  # largest distance of matched corners, pixels of the network's input
    score: float  # largest distance of matched scores
    mask: float  # largest distance of matched mask probabilities
    mask_mean: float  # mean of the same
    mask_peak: float  # largest mask probability of the file; near 0 means that masks are lost
    keypoint: Optional[float] = None  # largest distance of matched keypoints, input pixels


def saved_network(folder: str) -> Network:
    """The signature `network` of a SavedModel as a function."""
    import tensorflow as tf

    from tfmaskrcnn.export.frozen import load_network

    loaded, network = load_network(folder)

    def run(images, sizes):
        outputs = network(images=tf.constant(images), sizes=tf.constant(sizes))
        return {name: value.numpy() for name, value in outputs.items()}

    run.keeps_alive = loaded  # the signature does not hold its variables
    return run


def preprocessed(folder: str, paths: Sequence[str], size: Tuple[int, int]):
    """Images as the `network` of the SavedModel in `folder` takes them.

    Args:
        folder: says by its configuration how to preprocess.
        paths: of image files.
        size: (height, width) of the network's input.

    Returns:
        images: [n, H, W, C] float32, normalised and zero-padded.
        sizes: [n, 2] float32, (height, width) without padding.
    """
    from tfmaskrcnn.data.coco.image_files import read_image
    from tfmaskrcnn.inference.exported import exported_config
    from tfmaskrcnn.inference.runtimes.file_about import model_config
    from tfmaskrcnn.ops.images import pad_to, preprocess

    known = exported_config(folder)
    if "input" not in known:
        raise InputError(f"{folder} holds no configuration, so how to preprocess is not known.")
    config = model_config(known, folder).input.model_copy(update={"fixed_size": tuple(size)})
    images, sizes = [], []
    for path in paths:
        image, _ = preprocess(read_image(path, None, config.channels, config.exif), config)
        sizes.append(image.shape[:2])
        images.append(pad_to(image, *size, config).numpy())
    return np.stack(images), np.array(sizes, np.float32)


def differences(
    expected: Network, found: Network, images: np.ndarray, sizes: np.ndarray, batch: int
) -> List[Difference]:
    """One `Difference` an image, `batch` of them at a time, the last repeated to fill up."""
    result = []
    for start in range(0, len(images), batch):
        rows = np.minimum(np.arange(start, start + batch), len(images) - 1)
        pair = [run(images[rows], sizes[rows]) for run in (expected, found)]
        count = min(batch, len(images) - start)
        result += [difference(*pair, i, sizes[rows[i]]) for i in range(count)]
    return result


def same_objects(boxes, classes, other_boxes, other_classes) -> Tuple[np.ndarray, np.ndarray]:
    """Rows of one's [n, 4] boxes and of another's [m, 4] that are the same object.

    Of one class and an IoU of at least `SAME_IOU`; the first of the first choose first, and each is
    matched once.

    Returns:
        Two [k] int arrays, of rows of the one and of the other.
    """
    pairs = []
    if len(boxes) and len(other_boxes):
        overlap = box_iou(np.asarray(boxes), np.asarray(other_boxes))
        overlap[np.asarray(classes)[:, np.newaxis] != other_classes] = 0.0
        for row in range(len(boxes)):
            column = int(overlap[row].argmax())
            if overlap[row, column] >= SAME_IOU:
                pairs.append((row, column))
                overlap[:, column] = 0.0
    rows, columns = np.array(pairs, int).reshape(-1, 2).T
    return rows, columns


def difference(expected, found, i: int, size) -> Difference:
    """How far two `network` outputs lie apart in image `i` of height and width `size`."""
    ours, theirs = (_one_image(outputs, i, size) for outputs in (found, expected))
    same, place = same_objects(*(each[key] for each in (theirs, ours) for key in _OBJECT))
    box, score, mask = (
        np.abs(ours[key][place] - theirs[key][same]) for key in ("boxes", "scores", "masks")
    )
    return Difference(
        len(theirs["boxes"]),
        len(ours["boxes"]),
        len(same),
        *(float(part.max(initial=0)) for part in (box, score, mask)),
        float(mask.mean()) if mask.size else 0.0,
        float(ours["masks"].max(initial=0)),
        _keypoint_distance(expected, found, i, size, same, place),
    )


def _keypoint_distance(expected, found, i: int, size, same, place) -> Optional[float]:
    key = "detection_keypoints"
    if key not in expected:
        return None
    distance = np.abs(found[key][i, place] - expected[key][i, same]) * np.asarray(size)
    return float(distance.max(initial=0))


def table(names: Sequence[str], rows: Sequence[Difference]) -> str:
    """The differences as lines of text, the worst of every column at the end."""
    heads = ["detections", "in file", "matched", "box px", "score", "mask", "mask mean", "peak"]
    keypoints = [row.keypoint for row in rows if row.keypoint is not None]
    heads += ["keypoint px"] if keypoints else []
    width = max(5, *(len(name) for name in names))
    total = Difference(
        *(sum(column) for column in list(zip(*rows))[:3]),
        *(max(column) for column in list(zip(*rows))[3:7]),
        min(row.mask_peak for row in rows),
        max(keypoints, default=None),
    )
    lines = [" " * width + "".join(f"{head:>12}" for head in heads)]
    for name, row in [*zip(names, rows), ("all", total)]:
        cells = [str(v) if isinstance(v, int) else f"{v:.2g}" for v in row[: len(heads)]]
        lines.append(f"{name:<{width}}" + "".join(f"{cell:>12}" for cell in cells))
    return "\n".join(lines)


def _one_image(outputs, i: int, size) -> Dict[str, np.ndarray]:
    count = int(outputs["num_detections"][i])
    return {
        "boxes": outputs["detection_boxes"][i, :count] * np.tile(size, 2),
        "scores": outputs["detection_scores"][i, :count],
        "classes": outputs["detection_classes"][i, :count],
        # A model without a mask head has masks of no pixels here.
        "masks": outputs.get("detection_masks", np.zeros((i + 1, count, 0, 0)))[i, :count],
    }
