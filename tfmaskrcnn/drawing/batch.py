"""What the network is fed, with its ground truth drawn in; pictures of a batch on one sheet."""

import math
from typing import Any, Dict, List, Sequence

import numpy as np
from PIL import Image, ImageDraw

from tfmaskrcnn.config.model import InputConfig
from tfmaskrcnn.config.run import Config
from tfmaskrcnn.drawing.captions import MAX_LABELS, label_font, short_name
from tfmaskrcnn.drawing.coloring import CROWD_COLOR, choose_colors
from tfmaskrcnn.drawing.drawing_style import DrawingStyle, enlarged_side, picture_size
from tfmaskrcnn.drawing.fitted_sizes import as_rgb, first_channels, fitted
from tfmaskrcnn.drawing.painting import DrawnObject, paint
from tfmaskrcnn.ops.paste import paste_windows


def draw_batch(batch: Dict[str, Any], config: Config) -> List[np.ndarray]:
    """A picture for each image of a training batch: the input as it is, its objects painted on it.

    Masks are the 112 x 112 ones that the loss sees, pasted into their boxes. Padding is shown:
    where it is not black, it has the mean colour. Crowd regions are grey.

    Args:
        batch: an element of `data.from_coco` (tensors or arrays): "image" [B, H, W, C] normalised
            float32, "gt_boxes" [B, G, 4], "gt_classes", "gt_valid" and "gt_crowd" [B, G], perhaps
            "gt_masks" [B, G, 112, 112] and "gt_keypoints" [B, G, J, 3].
        config: the one that the batch was made with.

    Returns:
        B times [s H, s W, 3] uint8 RGB, where s is a whole number: 1 from 1000 pixels on.
    """
    batch = {name: np.asarray(value) for name, value in batch.items()}
    pictures = []
    for i in range(len(batch["image"])):
        valid = batch["gt_valid"][i]
        rows = {n: v[i][valid] for n, v in batch.items() if n.startswith("gt_")}
        pictures.append(
            _draw_input(input_picture(batch["image"][i], config.model.input), rows, config)
        )
    return pictures


def input_picture(image: np.ndarray, input: InputConfig) -> np.ndarray:
    """A normalised input [H, W, C] float32 as [H, W, 3] uint8 RGB, or [H, W] for 1 or 2 channels.

    Of more channels than 3 it shows the first three.
    """
    image = np.asarray(image, np.float32) * np.float32(input.std) + np.float32(input.mean)
    image = np.clip(np.round(image), 0, 255).astype(np.uint8)
    image = image[..., ::-1] if input.order == "bgr" else image
    return np.ascontiguousarray(first_channels(image))


def contact_sheet(
    pictures: Sequence[np.ndarray], captions: Sequence[str] = (), cell: int = 560
) -> np.ndarray:
    """One white sheet with pictures in rows, each fitted into a square; captions above them.

    Args:
        pictures: [H, W, 3] or [H, W] uint8, of any sizes.
        captions: one a picture, or none.
        cell: side of the square, pixels.

    Returns:
        [h, w, 3] uint8 RGB.
    """
    columns = math.ceil(math.sqrt(len(pictures)))
    gap, font = 10, label_font(15)
    top = font.size + gap if captions else 0
    small = []
    for picture in pictures:
        image = Image.fromarray(as_rgb(picture))
        image.thumbnail((cell, cell), Image.Resampling.LANCZOS)
        small.append(image)
    width = max(image.width for image in small)
    rows = [small[start : start + columns] for start in range(0, len(small), columns)]
    heights = [max(image.height for image in row) for row in rows]
    size = gap + columns * (width + gap), gap + sum(h + top + gap for h in heights)
    sheet = Image.new("RGB", size, "white")
    pen, y = ImageDraw.Draw(sheet), gap
    for r, (row, height) in enumerate(zip(rows, heights)):
        for c, image in enumerate(row):
            x, text = gap + c * (width + gap), captions[r * columns + c : r * columns + c + 1]
            if text:
                line = _fitted(text[0], width, pen, font)
                pen.text((x, y + top / 2), line, fill=(30, 30, 30), font=font, anchor="lm")
            sheet.paste(image, (x, y + top))
        y += height + top + gap
    return np.asarray(sheet)


def _fitted(text: str, width: int, pen: ImageDraw.ImageDraw, font) -> str:
    """`text`, cut at its beginning to at most `width` pixels: the end of a path tells most."""
    if pen.textlength(text, font=font) <= width:
        return text
    while len(text) > 1 and pen.textlength("\u2026" + text, font=font) > width:
        text = text[1:]
    return "\u2026" + text


def _draw_input(image: np.ndarray, rows: Dict[str, np.ndarray], config: Config) -> np.ndarray:
    boxes, classes, crowd = rows["gt_boxes"], rows["gt_classes"], rows["gt_crowd"]
    model, count = config.model, len(boxes)
    one_class = model.num_classes == 1
    names = dict(enumerate(model.class_names, start=1))
    colors = choose_colors(boxes, classes, one_class)
    colors = [CROWD_COLOR if c else color for color, c in zip(colors, crowd)]
    texts = [""] * count
    if count <= MAX_LABELS and not one_class:
        texts = [short_name(names.get(k, f"class {k}")) for k in classes.tolist()]
    points = rows.get("gt_keypoints", [None] * count)
    skeleton = model.keypoint_head.skeleton
    objects = [DrawnObject(*parts, skeleton) for parts in zip(boxes, colors, texts, points)]

    def window_of(i: int, scale, limits):
        one = slice(i, i + 1)
        scaled = boxes[one] * np.tile(scale, 2).astype(np.float32)
        return next(paste_windows(rows["gt_masks"][one], scaled, *limits))

    masks, size = "gt_masks" in rows, image.shape[:2]
    style = DrawingStyle(side=enlarged_side(size), boxes=any(texts) or not masks)
    base = fitted(image, picture_size(size, style))
    return paint(base, size, objects, window_of if masks else None, style)
