"""An exported model from outside: loading it, and `Instances` of its outputs by NumPy alone."""

from typing import Mapping, Optional, Sequence, Tuple

import numpy as np

from tfmaskrcnn.errors import InputError
from tfmaskrcnn.instances import Instances
from tfmaskrcnn.ops.paste import masks_to_rle

# What every exported model gives; masks and keypoints by its heads.
OUTPUTS = ("detection_boxes", "detection_scores", "detection_classes", "num_detections")


def load_saved_model(folder: str):
    """What TensorFlow loads from `folder`; keep it as long as its signatures.

    Raises:
        InputError: it is no SavedModel.
    """
    import tensorflow as tf  # the rest of this file does without

    try:
        return tf.saved_model.load(folder)
    except (OSError, ValueError, tf.errors.OpError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"{folder} is no SavedModel that TensorFlow can load: {reason}") from None


def served_instances(
    outputs: Mapping[str, np.ndarray],
    i: int,
    size: Optional[Tuple[int, int]] = None,
    class_names: Sequence[str] = (),
    paste_rule: str = "aligned",
) -> Instances:
    """Image `i` of a batch of served outputs, which have the TF Object Detection API's names.

    Args:
        outputs: `detection_boxes` [B, D, 4] normalised yxyx, `detection_scores` [B, D],
            `detection_classes` [B, D], `num_detections` [B]; and for masks one of
            `detection_masks` [B, D, M, M], `detection_masks_rle` [B, D] of str or bytes, and
            `detection_masks_reframed` [B, D, H, W]; and for keypoints `detection_keypoints`
            [B, D, J, 2] normalised yx with `detection_keypoint_scores` [B, D, J].
        i: which image.
        size: its (height, width); None takes the output `image_size` [B, 2].
        class_names: of classes 1..K.
        paste_rule: of `ops.paste`, for `detection_masks`.
    """
    size = tuple(int(side) for side in (outputs["image_size"][i] if size is None else size))
    count = int(outputs["num_detections"][i])
    masks = outputs.get("detection_masks")
    rle = outputs.get("detection_masks_rle")
    bitmaps = outputs.get("detection_masks_reframed")
    exact = None
    if rle is not None:
        exact = [{"size": list(size), "counts": _text(counts)} for counts in rle[i][:count]]
    elif bitmaps is not None:
        exact = masks_to_rle(np.asarray(bitmaps[i])[:count, : size[0], : size[1]])
    boxes = np.asarray(outputs["detection_boxes"][i], np.float32)[:count]
    return Instances(
        boxes=boxes * np.float32([*size, *size]),
        scores=outputs["detection_scores"][i][:count],
        classes=np.asarray(outputs["detection_classes"][i][:count]).astype(np.int32),
        size=size,
        mask_probabilities=None if masks is None else masks[i][:count],
        class_names=class_names,
        paste_rule=paste_rule,
        exact_rle=exact,
        keypoints=_keypoints(outputs, i, count, size),
    )


def _keypoints(outputs: Mapping[str, np.ndarray], i: int, count: int, size):
    """[D, J, 3] float32 (y, x, score) in pixels, if the model gives keypoints."""
    if "detection_keypoints" not in outputs:
        return None
    points = np.asarray(outputs["detection_keypoints"][i], np.float32)[:count] * np.float32(size)
    scores = np.asarray(outputs["detection_keypoint_scores"][i], np.float32)[:count, :, None]
    return np.concatenate([points, scores], axis=-1)


def image_errors(outputs: Mapping[str, np.ndarray]) -> Sequence[str]:
    """Sentences about the bad images of a batch, of a model exported with `on_error="report"`."""
    errors = [_text(error) for error in outputs.get("image_errors", ())]
    return [f"Image {i} of the batch {error}." for i, error in enumerate(errors) if error]


def _text(value) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
