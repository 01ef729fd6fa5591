"""An exported model from outside: loading it, and `Instances` of its outputs by NumPy alone."""

import dataclasses
import os
from typing import Any, Callable, Dict, List, Mapping, Optional, Sequence, Tuple

import numpy as np

from tfmaskrcnn.errors import InputError, quoted
from tfmaskrcnn.inference.runtimes.file_about import file_asset, is_model_file
from tfmaskrcnn.instances import Instances
from tfmaskrcnn.ops.limits import MAX_BATCH
from tfmaskrcnn.ops.paste import masks_to_rle
from tfmaskrcnn.support import storage
from tfmaskrcnn.support.files import read_json
from tfmaskrcnn.support.given import A_PATH, takes

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
    except Exception as error:  # of a damaged one, TensorFlow raises half a dozen kinds
        reason = (str(error).splitlines() or [type(error).__name__])[0][:200]
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
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)


@takes(path=A_PATH)
def saved_model_predictor(path: str, paste_rule: Optional[str] = None) -> Callable:
    """A predictor of an exported model; needs TensorFlow, but neither Keras nor the model's code.

    Args:
        path: a SavedModel folder whose signature `serving_default` takes `images` uint8
            [B, H, W, 3] and answers with the TF Object Detection API's names.
        paste_rule: of `ops.paste`; None takes what the configuration inside the folder says,
            "aligned" where there is none.

    Raises:
        InputError: no such model, signature, input or output.
    """
    import tensorflow as tf

    from tfmaskrcnn.support.reproducible import sums_in_order

    path = os.fspath(path)
    loaded = load_saved_model(path)
    signature = loaded.signatures.get("serving_default")
    inputs = {} if signature is None else signature.structured_input_signature[1]
    if "images" not in inputs:
        found = f"takes {sorted(inputs)}" if signature is not None else "is missing"
        raise InputError(f"{path}: the signature serving_default {found}, wanted 'images'.")
    missing = [name for name in OUTPUTS if name not in signature.structured_outputs]
    if missing:
        raise InputError(f"{path}: the signature serving_default gives no {missing[0]!r}.")
    rule = paste_rule or _exported_value(path, "mask_head", "paste_rule", "aligned")
    offset = _exported_value(path, "keypoint_head", "pixel_offset", 0.5)
    fixed_batch = inputs["images"].shape[0]  # None when it takes any number
    most = _most_at_once(path)

    def predict(images: List[np.ndarray]) -> List[Instances]:
        # `loaded` has to live as long as its signature: it holds the variables.
        one_shape = len({image.shape for image in images}) == 1
        size = (fixed_batch or min(len(images), most)) if one_shape else (fixed_batch or 1)
        found = []
        for start in range(0, len(images), size) if one_shape else range(len(images)):
            part = images[start : start + size] if one_shape else images[start : start + 1]
            filled = list(part) + [part[-1]] * (size - len(part))
            with sums_in_order():
                outputs = loaded.signatures["serving_default"](images=tf.constant(np.stack(filled)))
            outputs = {name: value.numpy() for name, value in outputs.items()}
            errors = image_errors(outputs)
            if errors:
                raise InputError(f"{path}: {errors[0]}")
            for i, image in enumerate(part):
                instances = served_instances(outputs, i, image.shape[:2], paste_rule=rule)
                found.append(dataclasses.replace(instances, keypoint_offset=offset))
        return found

    return predict


def exported_config(folder: str) -> Dict[str, Any]:
    """The configuration inside a SavedModel, ONNX or TFLite file; empty of another program's."""
    from tfmaskrcnn.config.yaml_files import with_former_defaults  # a server's client has none

    found = exported_json(folder, "config.json")
    if not isinstance(found, dict):
        raise InputError(f"The config.json of {folder} is {quoted(found)}; wanted an object.")
    return with_former_defaults(found)


def exported_json(folder: str, name: str) -> Dict[str, Any]:
    """What a JSON file among the assets of a SavedModel holds; empty if there is none.

    An ONNX or TFLite file has the same in its metadata.
    """
    if is_model_file(folder):
        return file_asset(folder, name)
    path = os.path.join(folder, "assets", name)
    return read_json(path) if storage.exists(path) else {}


def _most_at_once(folder: str) -> int:
    """Images that a request may have; exports of before take any number."""
    options = exported_json(folder, "export.json").get("options", {})
    return options.get("max_batch", MAX_BATCH)


def _exported_value(folder: str, section: str, key: str, default):
    """What `export_saved_model` left beside the graph."""
    try:
        return exported_config(folder)[section][key]
    except (OSError, ValueError, KeyError, TypeError):  # of another program or version
        return default
