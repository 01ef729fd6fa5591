"""`data/checking/turned_views.py`: masks that lie on edges in the other view of turned images."""

import numpy as np
import pytest
from PIL import Image

from tfmaskrcnn.data.coco.orientation import turned, turned_back


def drawn(draft, orientation, view, size=(96, 96), contrast=180):
    """Four images with bright squares where the polygons are, in the view that was drawn on."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    for k in range(4):
        pixels = np.random.default_rng(k).integers(0, 40, (*size, 3), dtype=np.uint8)
        boxes = [(10 + 5 * k, 8, 20, 24), (50, 20 + 3 * k, 30, 18)]
        for x, y, w, h in boxes:
            pixels[y : y + h, x : x + w] += contrast
        stored = turned_back(pixels, orientation) if view == "turned" else pixels
        image = draft.image(f"{k}.jpg", size, stored, {"exif": exif, "quality": 95})
        for box in boxes:
            draft.object(image["id"], box)


@pytest.mark.parametrize("orientation", range(2, 9))
@pytest.mark.parametrize("exif", ["apply", "ignore"])
def test_masks_on_the_other_view_are_told(empty_draft, orientation, exif):
    drawn(empty_draft, orientation, "stored" if exif == "apply" else "turned")
    result = empty_draft.check(f"input.exif={exif}")
    (found,) = result.by_rule["exif-view"]
    other = "ignore" if exif == "apply" else "apply"
    assert f"input.exif={other}" in found.message and len(result.by_rule["exif"]) == 4
    assert "exif-view" not in empty_draft.check(f"input.exif={other}").by_rule


@pytest.mark.parametrize("orientation", [1, 3])
def test_masks_on_the_right_view_and_noise_are_not(empty_draft, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    for k in range(4):
        empty_draft.image(f"{k}.jpg", save={"exif": exif})
        for x in (10, 60):
            empty_draft.object(k + 1, (x, 20, 30, 30))
    assert "exif-view" not in empty_draft.check().by_rule


def test_faint_edges_tell_nothing(empty_draft):
    drawn(empty_draft, 3, "stored", contrast=6)
    assert "exif-view" not in empty_draft.check().by_rule


def test_turning_and_turning_back_are_inverse():
    pixels = np.arange(24).reshape(4, 6)
    for orientation in range(1, 9):
        assert np.array_equal(turned_back(turned(pixels, orientation), orientation), pixels)
