"""Weights of PyTorch and Keras models, and images, that need no file: drawn from names and seeds.

The programs that made the golden files of whole models drew them by the same recipe.
"""

import zlib

import numpy as np

# Variance times fan-in, by the first part that a name contains; 2.0 (He et al.) for all others.
# Chosen so that logits and deltas of a random network look like those of a trained one.
GAINS = {
    "fpn.inner_blocks": 0.4,
    "fpn.layer_blocks": 0.8,
    "rpn.head.bbox_pred": 0.02,
    "rpn.head.cls_logits": 0.6,
    "box_predictor.cls_score": 1.2,
    "box_predictor.bbox_pred": 0.06,
    "mask_fcn_logits": 6.0,
    "fpn_lateral": 0.4,
    "fpn_output": 0.8,
    "anchor_deltas": 0.02,
    "objectness_logits": 0.6,
    "mask_head.predictor": 6.0,
    "kps_score_lowres": 6.0,
    "keypoint_head.score_lowres": 6.0,
}
# The same for Matterport's layers, by the beginning of their names.
KERAS_GAINS = {
    "fpn_c": 0.2,
    "fpn_p": 0.5,
    "rpn_bbox_pred": 0.02,
    "rpn_class_raw": 0.5,
    "mrcnn_class_logits": 1.2,
    "mrcnn_bbox_fc": 0.06,
    "conv1": 0.0004,
    "mrcnn_mask": 2.0,
}
TRANSPOSED = ("conv5_mask", "mask_head.deconv", "score_lowres")
NORMS = (".bn", ".norm.", "downsample.1")


def weight(name, shape, seed=0):
    """The array of a state dict's entry, in PyTorch's axis order."""
    rng = np.random.default_rng(zlib.crc32(name.encode()) + seed)
    if name.endswith("running_mean"):
        return np.zeros(shape, np.float32)
    if name.endswith("running_var"):
        return np.ones(shape, np.float32)
    if name.endswith("num_batches_tracked"):
        return np.zeros(shape, np.int64)
    if any(part in name for part in NORMS) or (len(shape) == 1 and name.endswith("weight")):
        if name.endswith("bias"):
            return rng.normal(0, 0.1, shape).astype(np.float32)
        last = ".bn3." in name or "conv3.norm." in name
        gain = 0.35 if last else 1.0  # of the residual branch
        return (rng.uniform(0.6, 1.4, shape) * gain).astype(np.float32)
    if name.endswith("bias"):
        return rng.normal(0, 0.02, shape).astype(np.float32)
    transposed = any(part in name for part in TRANSPOSED)
    fan_in = shape[0] if transposed else int(np.prod(shape[1:]))
    gain = next((gain for part, gain in GAINS.items() if part in name), 2.0)
    return rng.normal(0, np.sqrt(gain / fan_in), shape).astype(np.float32)


def keras_weight(name, shape, seed=0):
    """The array of "<layer>/<variable>:0" of Matterport's model, in Keras's axis order."""
    rng = np.random.default_rng(zlib.crc32(name.encode()) + seed)
    layer, variable = name[: -len(":0")].split("/")
    if variable in ("moving_mean", "moving_variance"):
        return np.full(shape, float(variable == "moving_variance"), np.float32)
    if variable == "gamma":
        gain = 0.35 if layer.endswith("branch2c") else 1.0  # of the residual branch
        return (rng.uniform(0.6, 1.4, shape) * gain).astype(np.float32)
    if variable in ("beta", "bias"):
        return rng.normal(0, 0.1 if variable == "beta" else 0.02, shape).astype(np.float32)
    fan_in = shape[3] if layer == "mrcnn_mask_deconv" else int(np.prod(shape[:-1]))
    gain = next((gain for part, gain in KERAS_GAINS.items() if layer.startswith(part)), 2.0)
    gain = 3.0 if layer == "mrcnn_mask" else gain
    return rng.normal(0, np.sqrt(gain / fan_in), shape).astype(np.float32)


def with_statistics(tensors, epsilon):
    """`tensors` with random mean and variance in every norm, and the same outputs as before.

    Scale and bias make up for them, which a norm of another `epsilon` undoes: the variances are
    small enough for it to be seen.
    """
    tensors = dict(tensors)
    for name in [n[: -len(".running_mean")] for n in tensors if n.endswith(".running_mean")]:
        rng = np.random.default_rng(zlib.crc32(name.encode()))
        shape = tensors[f"{name}.weight"].shape
        mean, variance = rng.normal(0, 0.2, shape), rng.uniform(1e-4, 1e-2, shape)
        scale = tensors[f"{name}.weight"] / np.sqrt(1.0 + epsilon)
        new = {
            "weight": scale * np.sqrt(variance + epsilon),
            "bias": tensors[f"{name}.bias"] + mean * scale,
            "running_mean": mean,
            "running_var": variance,
        }
        tensors.update({f"{name}.{part}": a.astype(np.float32) for part, a in new.items()})
    return tensors


def torchvision_state(manifest, seed=0):
    """A whole state dict of torchvision; `manifest` lists names and shapes."""
    state = {name: weight(name, tuple(shape), seed) for name, shape in manifest}
    if not any(".bn3." in name for name in state):  # ResNet-18 and -34: bn2 ends a block
        last = [name for name in state if name.endswith(".bn2.weight")]
        state.update({name: state[name] * np.float32(0.35) for name in last})
    return with_statistics(state, 1e-5)


def image(height, width, seed):
    """uint8 [height, width, 3] RGB: ellipses plus noise."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width].astype(np.float64)
    canvas = np.zeros((height, width, 3))
    for _ in range(24):
        center_y, center_x = rng.uniform(0, height), rng.uniform(0, width)
        radius_y, radius_x = rng.uniform(4, height / 4), rng.uniform(4, width / 4)
        colour = rng.uniform(-1, 1, 3)
        inside = ((y - center_y) / radius_y) ** 2 + ((x - center_x) / radius_x) ** 2 < 1
        canvas += colour * inside[..., None]
    canvas = 0.5 + 0.18 * canvas + rng.normal(0, 0.03, canvas.shape)
    return (np.clip(canvas, 0, 1).astype(np.float32) * 255).round().astype(np.uint8)


def rpn_maps(batch, padded, level, seed):
    """([B, h, w, 3] float32 logits, [B, h, w, 3, 4] float32 (dy, dx, dh, dw)) of a pyramid level.

    A few deltas are so large that they are clamped, or leave the image, or make boxes too small.
    """
    rng = np.random.default_rng([level, seed])
    shape = (batch, *(-(-side // 2**level) for side in padded), 3)
    logits = rng.normal(0, 3, shape)
    deltas = rng.normal(0, [0.4, 0.4, 0.3, 0.3], (*shape, 4))
    deltas[rng.uniform(size=shape) < 0.02] *= 20
    return logits.astype(np.float32), deltas.astype(np.float32)


def heat_maps(number, joints, seed):
    """([number, joints, 56, 56] float32 logits, [number, 4] float32 xyxy boxes).

    The first half are peaks, with and without a little noise, the others noise alone; the boxes'
    sides go from half a pixel to 600.
    """
    rng = np.random.default_rng(seed)
    maps = rng.normal(0, 1, (number, joints, 56, 56))
    y, x = np.mgrid[:56, :56]
    for i, k in np.ndindex(number // 2, joints):
        (center_y, center_x), width = rng.uniform(-2, 58, 2), rng.uniform(1, 12)
        distance = ((y - center_y) ** 2 + (x - center_x) ** 2) / width**2
        maps[i, k] = maps[i, k] * (0.05 if i % 2 else 0) + 8 * np.exp(-distance)
    sides = np.exp(rng.uniform(np.log(0.5), np.log(600), (number, 2)))
    corner = rng.uniform(0, 300, (number, 2))
    boxes = np.concatenate([corner, corner + sides], axis=1)
    return maps.astype(np.float32), boxes.astype(np.float32)
