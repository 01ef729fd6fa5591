"""Images with their instances drawn in, images side by side, curves of a training run."""

import logging
from collections.abc import Mapping
from typing import BinaryIO, Dict, List, Optional, Sequence, Tuple, Union

import numpy as np
from PIL import Image, ImageDraw

from tfmaskrcnn.data.coco.segmentation import as_rle
from tfmaskrcnn.drawing.captions import MAX_LABELS, has_room, label_font, short_name
from tfmaskrcnn.drawing.coloring import CROWD_COLOR, choose_colors
from tfmaskrcnn.drawing.drawing_style import DrawingStyle, checked_style, picture_size
from tfmaskrcnn.drawing.fitted_sizes import as_rgb, first_channels, fitted
from tfmaskrcnn.drawing.painting import DrawnObject, WindowOf, paint, smooth_window
from tfmaskrcnn.errors import InputError
from tfmaskrcnn.instances import Instances
from tfmaskrcnn.ops.paste import paste_windows, rle_windows
from tfmaskrcnn.support.given import Kind, takes

__all__ = [
    "MAX_LABELS",
    "DrawingStyle",
    "draw",
    "draw_ground_truth",
    "first_channels",
    "plot_curves",
    "side_by_side",
]
_LOG = logging.getLogger(__name__)
# A keypoint of a lower score is not drawn; Detectron's choice for the probability of a pixel.
MIN_KEYPOINT_SCORE = 0.05

_A_RECORD = Kind(lambda value: hasattr(value, "segmentations"), "a Record of load_coco(...)")
_PICTURES = Kind(lambda value: isinstance(value, (list, tuple)) and bool(value), "a list of images")
_NUMBERS = Kind(lambda value: isinstance(value, Mapping), "lists of numbers by name")


@takes(instances=Instances)
def draw(
    image: np.ndarray,
    instances: Instances,
    score_threshold: float = 0.5,
    max_instances: Optional[int] = None,
    labels: Optional[bool] = None,
    style: Optional[DrawingStyle] = None,
) -> np.ndarray:
    """The image with masks, boxes, keypoints and texts of its instances.

    Masks are made one at a time: memory is that of two pictures, however many there are.

    Args:
        image: [H, W, 3] uint8 RGB, or [H, W] grey; of other numbers of channels the first three, or
            the first alone, are shown. Of the size of `instances`, or already of the picture's
            (see `drawing_style.picture_size`).
        instances: what was found in it.
        score_threshold: leave out instances with a lower score.
        max_instances: of these, draw the best; None draws all.
        labels: True writes "name 0.97" at all of them, False nothing; None is up to the style.
        style: how it is to look; None is `DrawingStyle()`.

    Returns:
        [h, w, 3] uint8 RGB: the image's own size unless the style asks for another, or the image
        has more than 50 megapixels and is drawn reduced (a line in the log says so).

    Raises:
        InputError: a value of the style cannot be drawn.
    """
    style = checked_style(style or DrawingStyle())
    if labels is not None:
        style = style._replace(labels=labels, scores=labels)
    base = _base(image, instances.size, style)
    numbers = instances.numbers[instances.scores >= score_threshold][:max_instances]
    found = instances[instances.scores >= score_threshold][:max_instances]
    one_class = _one_class(found.class_names, found.classes)
    texts = _texts(found, numbers, style, one_class, base.shape[:2])
    colors = choose_colors(found.boxes, found.classes, one_class, style.color_by, found.ids)
    points = [None] * len(found)
    if found.keypoints is not None:
        points = found.keypoints - np.float32([0, 0, MIN_KEYPOINT_SCORE])
    objects = [
        DrawnObject(*parts, found.skeleton) for parts in zip(found.boxes, colors, texts, points)
    ]
    named = any(texts) and style.labels is not False and not one_class
    style = _with_boxes(style, found.has_masks, named)
    window_of = _window_of(found) if found.has_masks else None
    return paint(base, found.size, objects, window_of, style)


@takes(record=_A_RECORD)
def draw_ground_truth(
    image: np.ndarray,
    record,
    class_names: Sequence[str] = (),
    labels: Optional[bool] = None,
    skeleton: Sequence[Tuple[int, int]] = (),
    style: Optional[DrawingStyle] = None,
) -> np.ndarray:
    """The image with the annotated objects of its `Record`, drawn like `draw` does.

    Crowd regions are grey. If an annotation has no segmentation, all are drawn as boxes.
    `skeleton` are pairs of keypoints to join by lines.
    """
    style, count = checked_style(style or DrawingStyle()), len(record.classes)
    one_class = _one_class(class_names, record.classes)
    wanted = style.labels if labels is None else labels
    if wanted is None:
        wanted = count <= MAX_LABELS and not one_class
    names = dict(enumerate(class_names, start=1))
    texts = []
    colors = choose_colors(record.boxes, record.classes, one_class, style.color_by)
    for i, (k, crowd) in enumerate(zip(record.classes.tolist(), record.crowd)):
        colors[i] = CROWD_COLOR if crowd else colors[i]
        name = short_name(names.get(k, f"class {k}"))
        texts.append((f"{name} (crowd)" if crowd else name) if wanted else "")
    size = record.height, record.width
    segmentations = record.segmentations
    masks = all(s is not None for s in segmentations)
    points = [None] * count if record.keypoints is None else record.keypoints
    objects = [DrawnObject(*parts, skeleton) for parts in zip(record.boxes, colors, texts, points)]

    def window_of(i: int, scale, limits):
        (window,) = rle_windows([as_rle(segmentations[i], *size)], *size)
        return smooth_window(window, scale, limits)

    style = _with_boxes(style, masks, any(texts))
    base = _base(image, size, style)
    return paint(base, size, objects, window_of if masks else None, style)


def _base(image: np.ndarray, size: Tuple[int, int], style: DrawingStyle) -> np.ndarray:
    """The image in the size of its picture."""
    wanted = picture_size(size, style)
    if tuple(np.shape(image)[:2]) not in (tuple(size), wanted):
        raise InputError(f"the image is {np.shape(image)}, the instances are of {size}")
    if wanted != tuple(size) and style.side is None:
        sizes = "{}x{} pixels is drawn reduced to {}x{}".format(*size, *wanted)
        _LOG.info("A picture of %s; choose its size to have another.", sizes)
    return fitted(first_channels(np.asarray(image)), wanted)


def _one_class(names: Sequence[str], classes: np.ndarray) -> bool:
    """Whether there is no other class that one could mean."""
    return len(names) == 1 or (not names and len(classes) > 0 and classes.max() == 1)


def _texts(found, numbers, style: DrawingStyle, one_class: bool, size) -> List[str]:
    """D texts such as "#3 cat 0.97"; which parts they have is up to the style and the room."""
    parts = {"number": [f"#{n}" for n in numbers], "score": [f"{s:.2f}" for s in found.scores]}
    parts["class"] = [short_name(name) for name in found.names]
    wanted = {"number": style.numbers, "class": style.labels, "score": style.scores}
    free = ["score"] if one_class else ["class", "score"]
    letters = [sum(len(t) + 1 for t in row) for row in zip(*(parts[name] for name in free))]
    room = style.look == "overlay" and has_room(len(found), np.mean(letters or [0]), size)
    for name in free:
        if wanted[name] is None:
            wanted[name] = room
    if not wanted["class"] and not wanted["score"]:
        parts["number"] = [str(n) for n in numbers]
    rows = zip(*(parts[n] if wanted[n] else [""] * len(found) for n in wanted))
    return [" ".join(part for part in row if part) for row in rows]


def _with_boxes(style: DrawingStyle, masks: bool, named: bool) -> DrawingStyle:
    """The style with boxes or without: they help to tell what a name belongs to."""
    if style.boxes is not None:
        return style
    frames = style.look == "overlay" and (named or not (masks and style.masks))
    return style._replace(boxes=frames)


def _window_of(found: Instances) -> WindowOf:
    """What gives the masks in the pixels of a picture."""

    def probabilities_of(i: int, scale, limits):
        boxes = found.boxes[i : i + 1] * np.tile(scale, 2).astype(np.float32)
        masks = found.mask_probabilities[i : i + 1]
        return next(paste_windows(masks, boxes, *limits, rule=found.paste_rule))

    def pixels_of(i: int, scale, limits):
        (window,) = rle_windows(found.exact_rle[i : i + 1], *found.size)
        return smooth_window(window, scale, limits)

    return probabilities_of if found.exact_rle is None else pixels_of


@takes(images=_PICTURES)
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


@takes(history=_NUMBERS)
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
        raise InputError(f"nothing to plot: no losses or APs among {sorted(history)}")
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
