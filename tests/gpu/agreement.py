"""Detections and gradients of a whole network: those of a process that sees no GPU."""

import functools
import tempfile
from typing import Dict, List

import numpy as np
import tensorflow as tf

import tfmaskrcnn as mr
from gpu.networks import detector, one_batch, pictures, steady_config
from gpu.rows import Arrays, Given, Row, Size, at_least, at_most, relative
from tfmaskrcnn.model.weights import load_weights, named_weights

_SIDES = (96, 128)
_PIXELS, _SCORE, _MASK = 0.05, 1e-3, 0.99  # within which a detection is the same
_PARTS = ("backbone", "fpn", "rpn", "box_head", "mask_head")


@functools.cache  # in miniature it is its own reference
def computed(size: Size) -> Dict[str, np.ndarray]:
    """Detections, losses and gradients of networks and images that are the same in all processes.

    TensorFloat-32, which newer GPUs round a convolution's input to, is off: it is measured by
    `precision`.
    """
    tf.config.experimental.enable_tensor_float_32_execution(False)
    try:
        return {**found_by(detector(size), size), **_stepped()}
    finally:
        tf.config.experimental.enable_tensor_float_32_execution(True)


def found_by(model: mr.MaskRCNN, size: Size) -> Dict[str, np.ndarray]:
    """Boxes, classes, scores and mask probabilities in `pictures`, by "NUMBER name"."""
    found = {}
    for i, each in enumerate(model.predict_images(pictures(size), batch_size=2)):
        names = ("boxes", "classes", "scores", "mask_probabilities")
        found.update({f"{i} {name}": np.asarray(getattr(each, name)) for name in names})
    return found


def share_found_again(
    found: Arrays, expected: Arrays, pixels: float, score: float, mask: float
) -> float:
    """Share of the expected detections that are found, class, box, score and mask.

    Args:
        found, expected: of `found_by`.
        pixels: how far each side of the box may lie.
        score: how far the score may lie.
        mask: least IoU of the masks as they are in their boxes.
    """
    again = total = 0
    for i in range(2):
        boxes, classes, scores, masks = (
            [found[f"{i} {n}"], expected[f"{i} {n}"]]
            for n in ("boxes", "classes", "scores", "mask_probabilities")
        )
        total += len(boxes[1])
        far = np.abs(boxes[1][:, None] - boxes[0]).max(axis=-1)  # [expected, found]
        same = (far <= pixels) & (classes[1][:, None] == classes[0])
        same &= np.abs(scores[1][:, None] - scores[0]) <= score
        for row, columns in enumerate(same):
            again += any(_iou(masks[0][c], masks[1][row]) >= mask for c in np.flatnonzero(columns))
    return again / max(total, 1)


def rows(given: Given) -> List[Row]:
    """Detections that are found again, losses and gradients beside each other."""
    found, expected = computed(given.size), given.reference()
    count = sum(len(expected[f"{i} scores"]) for i in range(2))
    same = share_found_again(found, expected, _PIXELS, _SCORE, _MASK)
    table = [
        at_least("detections of a CPU's found", same, 0.98, f"of {count}"),
        at_most("losses, relative", relative(found["losses"], expected["losses"]), 1e-4),
    ]
    for part in _PARTS:
        name = f"gradient {part}"
        table.append(at_most(f"{name}, relative", relative(found[name], expected[name]), 1e-3))
    return table


def _iou(one, other) -> float:
    one, other = one > 0.5, other > 0.5
    return (one & other).sum() / max((one | other).sum(), 1)


def _stepped() -> Dict[str, np.ndarray]:
    """The losses of a training batch, and their gradient by parts of the network."""
    config = steady_config()
    model = mr.MaskRCNN(config)
    load_weights(model, drawn_weights(model))
    with tempfile.TemporaryDirectory() as folder:
        batch = one_batch(config, folder, _SIDES, 2)
    variables = {n: v for n, v in named_weights(model).items() if v.trainable}
    with tf.GradientTape() as tape:
        terms = model.loss_terms(batch, training=True)
        losses = {n: t.total / tf.maximum(t.count, 1.0) for n, t in terms.items()}
        total = tf.add_n(list(losses.values()))
    gradients = tape.gradient(total, [mr.compat.tensor_variable(v) for v in variables.values()])
    found = {"losses": np.array([float(losses[n]) for n in sorted(losses)])}
    for part in _PARTS:
        own = [g for name, g in zip(variables, gradients) if name.startswith(part)]
        own = [np.ravel(tf.convert_to_tensor(g)) for g in own if g is not None]
        found[f"gradient {part}"] = np.concatenate(own)
    return found


def drawn_weights(model) -> Dict[str, np.ndarray]:
    """Weights as a fresh network's, the same in every process and on every device."""
    rng = np.random.default_rng(0)
    weights = {}
    for name, variable in named_weights(model).items():
        shape = tuple(variable.shape)
        if name.endswith("kernel"):
            deviation = np.sqrt(2.0 / np.prod(shape[:-1])) if len(shape) > 1 else 0.01
            weights[name] = rng.normal(0, deviation, shape).astype(np.float32)
        else:
            weights[name] = np.asarray(variable)
    return weights
