"""Images with their instances drawn in, images side by side, curves of a training run."""

from typing import BinaryIO, Dict, Iterator, Optional, Sequence, Tuple, Union

import numpy as np
from PIL import Image, ImageDraw

from tfmaskrcnn.data.coco.segmentation import decode
from tfmaskrcnn.drawing.painting import (
    CROWD_COLOR,
    DrawnObject,
    as_rgb,
    choose_colors,
    label_font,
    paint,
    smooth_window,
)
from tfmaskrcnn.instances import Instances
from tfmaskrcnn.ops.paste import Window, paste_windows, rle_to_masks

MAX_LABELS = 40  # with more objects labels hide more than they tell
# A keypoint of a lower score is not drawn; Detectron's choice for the probability of a pixel.
MIN_KEYPOINT_SCORE = 0.05


def draw(
    image: np.ndarray,
    instances: Instances,
    score_threshold: float = 0.5,
    max_instances: int = 1000,
    labels: Optional[bool] = None,
) -> np.ndarray:
    """The image with masks, boxes, keypoints and labels of its instances; small ones are enlarged.

    Colours tell classes apart; instances, where there is only one class.

    Args:
        image: [H, W, 3] uint8 RGB, or [H, W] grey.
        instances: what was found in it.
        score_threshold: leave out instances with a lower score.
        max_instances: of these, draw the best.
        labels: write "name 0.97" at the boxes; None leaves labels out for more than 40 instances
            or if there is one class.

    Returns:
        [s H, s W, 3] uint8 RGB, where s is a whole number: 1 from 1000 pixels on.
    """
    if tuple(np.shape(image)[:2]) != instances.size:
        raise ValueError(f"the image is {np.shape(image)}, the instances are of {instances.size}")
    found = instances[instances.scores >= score_threshold][:max_instances]
    one_class = len(found.class_names) == 1 or (
        not found.class_names and len(found) > 0 and found.classes.max() == 1
    )
    if labels is None:
        labels = len(found) <= MAX_LABELS and not one_class
    texts = [f"{n} {s:.2f}" if labels else "" for n, s in zip(found.names, found.scores)]
    colors = choose_colors(found.boxes, found.classes, one_class)
    points = [None] * len(found)
    if found.keypoints is not None:
        points = found.keypoints - np.float32([0, 0, MIN_KEYPOINT_SCORE])
    objects = [
        DrawnObject(*parts, found.skeleton) for parts in zip(found.boxes, colors, texts, points)
    ]
    return paint(image, objects, lambda scale: _instance_windows(found, scale))


def draw_ground_truth(
    image: np.ndarray,
    record,
    class_names: Sequence[str] = (),
    labels: Optional[bool] = None,
    skeleton: Sequence[Tuple[int, int]] = (),
) -> np.ndarray:
    """The image with the annotated objects of its `Record`, drawn like `draw` does.

    Crowd regions are grey. If an annotation has no segmentation, all are drawn as boxes.
    `skeleton` are pairs of keypoints to join by lines.
    """
    count = len(record.classes)
    one_class = len(class_names) == 1 or (not class_names and np.all(record.classes == 1))
    if labels is None:
        labels = count <= MAX_LABELS and not one_class
    names = dict(enumerate(class_names, start=1))
    texts, colors = [], choose_colors(record.boxes, record.classes, one_class)
    for i, (k, crowd) in enumerate(zip(record.classes.tolist(), record.crowd)):
        colors[i] = CROWD_COLOR if crowd else colors[i]
        name = names.get(k, f"class {k}")
        texts.append((f"{name} (crowd)" if crowd else name) if labels else "")
    size = record.height, record.width
    boxes_alone = any(s is None for s in record.segmentations)
    masks = (decode(s, *size) for s in ([] if boxes_alone else record.segmentations))
    points = [None] * count if record.keypoints is None else record.keypoints
    objects = [DrawnObject(*parts, skeleton) for parts in zip(record.boxes, colors, texts, points)]
    return paint(image, objects, lambda scale: (smooth_window(m, scale) for m in masks))


def first_channels(image: np.ndarray) -> np.ndarray:
    """The first three channels of [H, W, C], or the first alone: what a picture can show."""
    return image[..., :3] if image.shape[2] > 2 else image[..., 0]


def side_by_side(images: Sequence[np.ndarray], captions: Sequence[str] = ()) -> np.ndarray:
    """One white sheet with the images in a row at the same height, captions above them."""
    height = max(len(image) for image in images)
    gap, font = max(8, height // 60), label_font(int(np.clip(height // 32, 13, 36)))
    top = 2 * gap + font.size if captions else gap
    pictures = []
    for image in images:
        picture = Image.fromarray(as_rgb(image))
        width = round(picture.width * height / picture.height)
        pictures.append(picture.resize((width, height), Image.Resampling.LANCZOS))
    total = sum(p.width for p in pictures) + gap * (len(pictures) + 1)
    sheet = Image.new("RGB", (total, top + height + gap), "white")
    pen, left = ImageDraw.Draw(sheet), gap
    for i, picture in enumerate(pictures):
        if i < len(captions):
            pen.text((left, top / 2), captions[i], fill=(30, 30, 30), font=font, anchor="lm")
        sheet.paste(picture, (left, top))
        left += picture.width + gap
    return np.asarray(sheet)


def plot_curves(history: Dict[str, Sequence[float]], path: Union[str, BinaryIO]) -> None:
    """Write a figure of a training run: losses on the left, COCO AP on the right.

    Args:
        history: name -> one value an epoch, as `fit(...).history` has it. Names with "loss" are
            losses, `val_` ones dashed; names that end with `_ap`, `_ap50`, `_ap75` are APs. Others
            are left out.
        path: of the image, its ending chooses the format; or a file to write a PNG into.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    losses = {n: v for n, v in history.items() if "loss" in n}
    precisions = {n: v for n, v in history.items() if n.endswith(("_ap", "_ap50", "_ap75"))}
    panels = [(kind, values) for kind, values in (("loss", losses), ("AP", precisions)) if values]
    if not panels:
        raise ValueError(f"nothing to plot: no losses or APs among {sorted(history)}")
    figure = Figure(figsize=(6.2 * len(panels), 4.2), dpi=130, layout="constrained")
    FigureCanvasAgg(figure)
    for axes, (kind, values) in zip(np.ravel(figure.subplots(1, len(panels))), panels):
        (_plot_losses if kind == "loss" else _plot_precisions)(axes, values)
        axes.set_xlabel("epoch")
        axes.set_ylabel(kind)
        axes.grid(alpha=0.25, linewidth=0.6)
        axes.spines[["top", "right"]].set_visible(False)
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.set_xlim(*_epoch_limits(history))
        axes.legend(frameon=False, fontsize=8.5)
    figure.savefig(path)


def _plot_losses(axes, losses: Dict[str, Sequence[float]]) -> None:
    """The total thick and dark, its parts thin in colour, the same colour dashed for `val_`."""
    parts = sorted({n.replace("val_", "", 1) for n in losses} - {"loss"})
    colors = {"loss": "#222222", **{n: f"C{i % 10}" for i, n in enumerate(parts)}}
    named = set()
    for name in sorted(losses, key=lambda n: (n.replace("val_", "", 1) != "loss", n)):
        key = name.replace("val_", "", 1)
        style = "--" if name.startswith("val_") else "-"
        label = {"loss": "total"}.get(key, key.replace("_loss", "").replace("_", " "))
        label = "_" if key in named else label  # the legend tells colours, and dashes once
        named.add(key)
        _plot(axes, losses[name], style, colors[key], 2.2 if key == "loss" else 1.3, label)
    if any(name.startswith("val_") for name in losses):
        axes.plot([], [], "--", color="#777777", linewidth=1.3, label="dashed: val split")
    axes.set_ylim(bottom=0)


def _plot_precisions(axes, precisions: Dict[str, Sequence[float]]) -> None:
    """Masks, boxes and keypoints by colour, AP thick, AP50 and AP75 by line style."""
    for name in sorted(precisions, key=lambda n: ("mask" not in n, n)):
        kind, measure = name.split("_")[-2:]
        color = {"mask": "#1f6fd6", "box": "#e8710a", "keypoint": "#1b9e4b"}.get(kind, "#555555")
        style = {"ap": "-", "ap50": "--", "ap75": ":"}[measure]
        values = [v if v >= 0 else np.nan for v in precisions[name]]  # -1 is COCO's "absent"
        label = f"{kind} {measure.upper()}"
        _plot(axes, values, style, color, 2.2 if measure == "ap" else 1.3, label)
    axes.set_ylim(0, 1)


def _plot(axes, values, style: str, color: str, width: float, label: str) -> None:
    values = np.asarray(values, float)
    known = np.isfinite(values)  # not every epoch is evaluated
    # A line of one point cannot be seen, and where one is missing nobody should take it for known.
    marker = "o" if known.sum() < 2 or not known.all() else None
    epochs, points = np.arange(1, len(values) + 1)[known], {"marker": marker, "markersize": 3.5}
    axes.plot(epochs, values[known], style, color=color, linewidth=width, label=label, **points)


def _epoch_limits(history: Dict[str, Sequence[float]]) -> Tuple[float, float]:
    """The same for all panels, though not every epoch is evaluated."""
    count = max(map(len, history.values()))
    margin = 0.03 * (count - 1) or 0.5
    return 1 - margin, count + margin


def _instance_windows(found: Instances, scale: int) -> Iterator[Window]:
    """The masks at `scale` times the image's size; nothing if there are boxes alone."""
    if found.exact_rle is not None:
        for rle in found.exact_rle:
            yield smooth_window(rle_to_masks([rle], *found.size)[0], scale)
    elif found.mask_probabilities is not None:
        height, width = (side * scale for side in found.size)
        masks, boxes = found.mask_probabilities, found.boxes * scale
        yield from paste_windows(masks, boxes, height, width, rule=found.paste_rule)
