"""`drawing/canvas.py`: what is laid onto the picture, and only there."""

import numpy as np
import pytest

from tfmaskrcnn.drawing import canvas
from tfmaskrcnn.drawing.canvas import Canvas, eroded
from tfmaskrcnn.ops.paste import Window

RED = (255, 0, 0)


def eroded_step_by_step(bitmap, steps):
    """Crosses and squares in turn, as the definition says."""
    h, w = bitmap.shape
    for step in range(steps):
        p = np.pad(bitmap, 1)
        bitmap = p[1:-1, 1:-1] & p[:h, 1:-1] & p[2:, 1:-1] & p[1:-1, :w] & p[1:-1, 2:]
        if step % 2:
            bitmap = bitmap & p[:h, :w] & p[:h, 2:] & p[2:, :w] & p[2:, 2:]
    return bitmap


@pytest.mark.parametrize("steps", [0, 1, 2, 3, 4, 5, 7, 12, 21])
def test_erosion_by_large_steps_is_that_by_single_ones(steps):
    rng = np.random.default_rng(steps)
    y, x = np.mgrid[:80, :90]
    bitmap = (y - 40) ** 2 + (x - 45) ** 2 < 36**2
    bitmap &= rng.uniform(size=bitmap.shape) > 0.003
    np.testing.assert_array_equal(eroded(bitmap, steps), eroded_step_by_step(bitmap, steps))
    everywhere = np.ones((50, 60), bool)
    expected = eroded_step_by_step(everywhere, steps)
    np.testing.assert_array_equal(eroded(everywhere, steps), expected)


@pytest.mark.parametrize("factor", [1, 2])
@pytest.mark.parametrize("place", [(20, 30), (21, 31), (-7, 55), (60, -5), (-100, 5), (5, 500)])
def test_masks_change_their_own_part_of_the_picture_alone(place, factor):
    base = np.full((40, 50, 3), 100, np.uint8)
    sheet, bitmap = Canvas(base), np.ones((23, 19), bool)
    sheet.mask(Window(*place, bitmap), factor, RED, 1.0)
    expected = np.zeros((40 * factor, 50 * factor), bool)
    rows, columns = (slice(max(p, 0), max(p + n, 0)) for p, n in zip(place, bitmap.shape))
    expected[rows, columns] = True
    touched = expected.reshape(40, factor, 50, factor).any(axis=(1, 3))
    red = np.ptp(sheet.picture.astype(int), axis=2) > 0
    np.testing.assert_array_equal(red, touched)
    assert (base == 100).all()


def test_large_masks_are_laid_in_strips(monkeypatch):
    base = np.random.default_rng(0).integers(0, 256, (90, 70, 3), dtype=np.uint8)
    window = Window(5, 6, np.random.default_rng(1).uniform(size=(100, 80)) > 0.3)
    whole, strips = Canvas(base), Canvas(base)
    whole.mask(window, 2, RED, 2.0)
    monkeypatch.setattr(canvas, "_STRIP_PIXELS", 100)
    strips.mask(window, 2, RED, 2.0)
    np.testing.assert_array_equal(whole.picture, strips.picture)


def test_contours_can_be_told_from_white_and_from_black():
    for ground in (0, 128, 255):
        sheet = Canvas(np.full((60, 60, 3), ground, np.uint8))
        sheet.mask(Window(20, 20, np.ones((20, 20), bool)), 1, (255, 255, 120), 1.0)
        edge = sheet.picture[30, 18:22].astype(int) @ [0.299, 0.587, 0.114]
        assert np.ptp(edge) > 100  # between the contour and the ground, or its seam


def test_keypoints_are_dots_and_with_a_skeleton_lines():
    points = np.float32([[20, 20, 1], [20, 80, 1], [80, 50, 0]])
    dots, lines, none = (Canvas(np.full((100, 100, 3), 100, np.uint8)) for _ in range(3))
    dots.keypoints(points, [], RED, 2.0)
    lines.keypoints(points, [(0, 1), (1, 2)], RED, 2.0)
    none.keypoints(points * [1, 1, 0], [(0, 1)], RED, 2.0)
    for sheet in (dots, lines):
        assert (sheet.picture[20, 20] == RED).all() and (sheet.picture[20, 80] == RED).all()
        assert (sheet.picture[70:] == 100).all()
    assert (lines.picture[20, 50] == RED).all() and (dots.picture[20, 50] == 100).all()
    assert (none.picture == 100).all()
