"""Whether the tensors that a configuration makes can exist: settings that are too much together.

Each number has an end of its own (`base`); a side of 60,000 pixels and a batch of 60,000 images are
possible alone. What is counted is rough, the ends are far from what is trained.
"""

from typing import Iterator, Tuple

from tfmaskrcnn.config.base import MAX_NUMBERS, MAX_PIXELS
from tfmaskrcnn.config.heads import mask_channels

_STRIDE = 4  # of p2, the largest map of the pyramid
_LEVELS = 5
MAX_BATCH_NUMBERS = 1 << 34  # in the images of one part of a batch


def input_pixels(config) -> int:
    """At most so many has the network's input, before its padding, by an `InputConfig`."""
    height, width = config.static_size or (config.min_side, config.max_side)
    return height * width


def check_tensors(model) -> None:
    """A `ValueError` if a `ModelConfig` makes a tensor of more numbers than fit into a memory."""
    pixels = input_pixels(model.input)
    if pixels > MAX_PIXELS:
        raise ValueError(f"model.input makes images of {pixels} pixels; at most {MAX_PIXELS}")
    for numbers, keys in _tensors(model, pixels):
        if numbers > MAX_NUMBERS:
            raise ValueError(
                f"{keys} make a tensor of {numbers} numbers together; at most {MAX_NUMBERS}"
            )


def check_batch(pixels: int, images: int, channels: int, keys: str) -> None:
    """A `ValueError` if so many images of so many pixels are too much at a time."""
    if pixels > MAX_PIXELS:
        raise ValueError(f"{keys} make images of {pixels} pixels; at most {MAX_PIXELS}")
    if pixels * images * channels > MAX_BATCH_NUMBERS:
        raise ValueError(
            f"{keys} make batches of {images} images of {pixels} pixels; that is more than "
            f"{MAX_BATCH_NUMBERS} numbers"
        )


def _tensors(model, pixels: int) -> Iterator[Tuple[int, str]]:
    """The numbers of each large tensor of an image, or kernel, and the keys that they come from."""
    rpn, box, mask, points = model.rpn, model.box_head, model.mask_head, model.keypoint_head
    cells = pixels // _STRIDE**2
    channels, classes = model.fpn.channels, model.num_classes + 1
    anchors = len(model.anchors.sizes[0]) * len(model.anchors.ratios)
    yield pixels * model.input.channels, "model.input's sizes and channels"
    yield cells * channels, "model.input's sizes and fpn.channels"
    yield cells * (rpn.channels or channels), "model.input's sizes and rpn.channels"
    yield cells * anchors * 4, "model.input's sizes and anchors"
    rois = max(rpn.post_nms_top_k, rpn.post_nms_top_k_training, box.samples_per_image)
    yield rois * box.roi_side**2 * channels, "rpn.post_nms_top_k, box_head.roi_side, fpn.channels"
    yield rois * box.roi_side**2 * box.conv_channels, "box_head.roi_side, box_head.conv_channels"
    yield rois * classes * 4, "rpn.post_nms_top_k and num_classes"
    width = box.conv_channels if box.num_convs else channels
    yield box.roi_side**2 * width * box.hidden, "box_head.roi_side, its channels and hidden"
    yield box.hidden * classes * 4, "box_head.hidden and num_classes"
    found = max(box.max_detections, round(box.samples_per_image * box.positive_fraction))
    if mask.enabled:
        area = (2 * mask.roi_side) ** 2
        outputs = mask_channels(mask, model.num_classes)
        yield found * area * mask.channels, "box_head.max_detections, mask_head.roi_side, channels"
        yield found * area * outputs, "box_head.max_detections, mask_head.roi_side, num_classes"
    if points.enabled:
        area = (4 * points.roi_side) ** 2
        yield found * area * points.num_keypoints, "keypoint_head's roi_side and num_keypoints"
        yield found * area // 16 * points.channels, "keypoint_head's roi_side and channels"
    for name, head, width in (
        ("rpn", rpn, rpn.channels or channels),
        ("box_head", box, box.conv_channels),
        ("mask_head", mask, mask.channels),
        ("keypoint_head", points, points.channels),
    ):
        yield 9 * head.num_convs * width**2, f"{name}.num_convs and its channels"
    yield 9 * _LEVELS * channels**2, "fpn.channels"
