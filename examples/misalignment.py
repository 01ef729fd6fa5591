"""What RoIPool's two roundings do to a RoI, beside RoIAlign: draws `misalignment.png`.

    python examples/misalignment.py [PICTURE]

All that is drawn is measured from `tfmaskrcnn.ops` on an 8x8 feature map with 2x2 bins: RoIPool's
bins by `bin_edges` and the pixels of its maxima by its gradient; RoIAlign's sample points by what
it reads from maps that hold their own coordinates.
"""

import os
import sys

import numpy as np
import tensorflow as tf
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from tfmaskrcnn.ops.roi_align import roi_align
from tfmaskrcnn.ops.roi_pool import bin_edges, roi_pool

SIDE, BINS, SAMPLES = 8, 2, 2
ROI = (0.7, 2.6, 5.4, 6.45)  # yxyx feature pixels
COLORS = ("#e6550d", "#2171b5", "#31a354", "#9e4fb8")  # of the bins, row by row


def main() -> int:
    """Write the picture."""
    here = os.path.dirname(os.path.abspath(__file__))
    path = sys.argv[1] if len(sys.argv) > 1 else os.path.join(here, "misalignment.png")
    figure = Figure(figsize=(10.4, 5.9), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    features, roi = feature_map(), np.float32([[ROI]])
    left, right = figure.subplots(1, 2)
    draw_pool(left, features, roi)
    draw_align(right, features, roi)
    figure.savefig(path)
    print(path)
    return 0


def feature_map() -> np.ndarray:
    """[1, 8, 8, 1] float32: a bright object that fills the RoI, blurred as features are."""
    y, x = np.mgrid[0:SIDE, 0:SIDE] + 0.5
    inside = 1 / (1 + np.exp(-4 * np.minimum(y - ROI[0], ROI[2] - y)))
    inside *= 1 / (1 + np.exp(-4 * np.minimum(x - ROI[1], ROI[3] - x)))
    texture = np.random.default_rng(3).uniform(-0.15, 0.15, [SIDE, SIDE])
    return (0.15 + 0.7 * inside + texture).astype(np.float32)[None, ..., None]


def draw_pool(axes, features, roi) -> None:
    """The bins of whole pixels, and the pixel that each maximum comes from."""
    watched = tf.constant(features)
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(watched)
        pooled = roi_pool(watched, roi, BINS)[0, 0, ..., 0]
        each = [pooled[i // BINS, i % BINS] for i in range(BINS**2)]
    edges = bin_edges(roi, tf.fill([1, 1, 2], float(SIDE)), BINS)[0, 0].numpy()  # [2, S, 2]
    draw_map(axes, features)
    (top, left), (bottom, right) = edges[:, 0, 0], edges[:, -1, 1]
    for i, color in enumerate(COLORS):
        (y1, y2), (x1, x2) = edges[0, i // BINS], edges[1, i % BINS]
        draw_bin(axes, (y1, x1, y2, x2), color)
        y, x = np.argwhere(tape.gradient(each[i], watched).numpy()[0, ..., 0])[0] + 0.5
        y += 0.3 * (i // BINS - 0.5)  # two bins may share a pixel
        axes.plot(x, y, "*", color=color, markersize=17, markeredgecolor="white")
    draw_roi(axes)
    text = f"RoIPool: rounded to rows {top:.0f} to {bottom:.0f}, columns {left:.0f} to {right:.0f}"
    axes.set_title(f"{text},\nthen to bins of whole pixels, which overlap", fontsize=11)
    axes.set_xlabel(f"star: the pixel of the maximum\n{as_text(pooled)}", fontsize=10)


def draw_align(axes, features, roi) -> None:
    """The bins where they are, and the points at which the map is sampled."""
    aligned = roi_align(features, roi, BINS, SAMPLES)[0, 0, ..., 0]
    y, x = np.mgrid[0:SIDE, 0:SIDE] + 0.5
    coordinates = np.stack([y, x], axis=-1)[None].astype(np.float32)
    # One sample a bin of a finer grid: the same points, each by itself.
    points = roi_align(coordinates, roi, BINS * SAMPLES, 1)[0, 0].numpy()
    draw_map(axes, features)
    y1, x1, y2, x2 = ROI
    height, width = (y2 - y1) / BINS, (x2 - x1) / BINS
    for i, color in enumerate(COLORS):
        top, left = y1 + i // BINS * height, x1 + i % BINS * width
        draw_bin(axes, (top, left, top + height, left + width), color)
        rows, columns = (slice(n * SAMPLES, (n + 1) * SAMPLES) for n in divmod(i, BINS))
        own = points[rows, columns].reshape(-1, 2)
        axes.plot(own[:, 1], own[:, 0], "o", color=color, markersize=9, markeredgecolor="white")
    draw_roi(axes)
    text = "RoIAlign: nothing is rounded,\neach bin is the mean of 4 interpolated samples"
    axes.set_title(text, fontsize=11)
    axes.set_xlabel(f"dot: a sample\n{as_text(aligned)}", fontsize=10)


def draw_map(axes, features) -> None:
    """The feature map in grey, a cell a pixel."""
    extent = (0, SIDE, SIDE, 0)
    axes.imshow(features[0, ..., 0], cmap="gray", vmin=-0.3, vmax=1.1, extent=extent)
    axes.set_xticks(range(SIDE + 1))
    axes.set_yticks(range(SIDE + 1))
    axes.grid(color="white", linewidth=0.6, alpha=0.5)
    axes.tick_params(length=0, labelsize=8)


def draw_bin(axes, box, color: str) -> None:
    """A translucent rectangle; drawn a little inside, so that neighbours and overlaps show."""
    y1, x1, y2, x2 = box
    corner, size = (x1 + 0.05, y1 + 0.05), (x2 - x1 - 0.1, y2 - y1 - 0.1)
    axes.add_patch(Rectangle(corner, *size, facecolor=color, alpha=0.25))
    axes.add_patch(Rectangle(corner, *size, fill=False, edgecolor=color, linewidth=2.2))


def draw_roi(axes) -> None:
    """The RoI as the network proposed it."""
    y1, x1, y2, x2 = ROI
    style = {"edgecolor": "#ffd400", "linestyle": (0, (4, 2)), "linewidth": 2.4, "zorder": 5}
    axes.add_patch(Rectangle((x1, y1), x2 - x1, y2 - y1, fill=False, **style))
    axes.text(x1 + 0.05, y1 - 0.12, "RoI", color="#ffd400", fontsize=10, weight="bold")


def as_text(values) -> str:
    """[2, 2] as a line."""
    rows = [" ".join(f"{v:.2f}" for v in row) for row in np.asarray(values)]
    return f"2x2 output: {' / '.join(rows)}"


if __name__ == "__main__":
    sys.exit(main())
