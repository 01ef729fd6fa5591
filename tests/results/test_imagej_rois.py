"""`results/imagej_rois.py`: regions read back by roifile and filled as ImageJ fills them."""

import os
import sys

import numpy as np
import pytest
import roifile
from matplotlib.path import Path

from helpers.some_results import OPTIONS, SIZE, boxes_alone, result_of, some_masks
from tfmaskrcnn.errors import InputError
from tfmaskrcnn.results.imagej_rois import write

EXACT = OPTIONS._replace(tolerance=0.0)


def filled(roi, size=SIZE):
    """The pixels whose centres are inside an odd number of the region's rings."""
    y, x = np.mgrid[: size[0], : size[1]]
    centres = np.stack([x.ravel(), y.ravel()], axis=1) + 0.5
    rings = [np.concatenate([ring, ring[:1]]) for ring in roi.coordinates(multi=True)]
    inside = sum(Path(ring).contains_points(centres).astype(int) for ring in rings)
    return (inside % 2 == 1).reshape(size)


def regions(tmp_path, result, options):
    write(result, str(tmp_path), options)
    return roifile.roiread(tmp_path / f"{result.stem}.zip")


def test_regions_are_the_pixels_exactly_at_tolerance_0(tmp_path):
    read = regions(tmp_path, result_of(name="sub/a.png"), EXACT)
    assert [roi.name for roi in read] == [
        "0001_nucleus",
        "0002_two-words--1",
        "0003_nucleus",
        "0004_two-words--1",
        "0005_nucleus",
    ]
    assert [roi.group for roi in read] == [1, 2, 1, 2, 1]
    kinds = [roi.roitype for roi in read]
    polygon, composite = roifile.ROI_TYPE.POLYGON, roifile.ROI_TYPE.RECT
    assert kinds == [polygon, composite, composite, polygon, polygon]
    for roi, mask in zip(read, some_masks()):
        np.testing.assert_array_equal(filled(roi), mask)
        rows, columns = np.nonzero(mask)
        assert (roi.top, roi.left) == (rows.min(), columns.min())


def test_few_points_are_nearly_the_same_pixels(tmp_path):
    exact = regions(tmp_path, result_of(), EXACT)
    read = regions(tmp_path, result_of(), OPTIONS)
    for roi, before, mask in zip(read, exact, some_masks()):
        drawn = filled(roi)
        assert (drawn & mask).sum() / (drawn | mask).sum() > (0.97 if mask.sum() > 100 else 0.5)
        points = [len(np.concatenate(r.coordinates(multi=True))) for r in (roi, before)]
        assert points[0] <= points[1]
    assert len(read[0].coordinates()) < len(exact[0].coordinates()) / 2


def test_boxes_alone_are_rectangles_to_a_fraction_of_a_pixel(tmp_path):
    result = boxes_alone()
    result.found.boxes[0] = [1.25, 2.5, 10.75, 20.5]
    roi, *_ = regions(tmp_path, result, OPTIONS)
    assert (roi.roitype, roi.subpixelrect) == (roifile.ROI_TYPE.RECT, True)
    assert (roi.left, roi.top, roi.right, roi.bottom) == (2, 1, 21, 11)
    assert (roi.xd, roi.yd, roi.widthd, roi.heightd) == (2.5, 1.25, 18.0, 9.5)


def test_nothing_found_has_no_file_and_removes_an_earlier_one(tmp_path):
    write(result_of(), str(tmp_path), OPTIONS)
    nothing = result_of(some_masks()[:0])
    write(nothing, str(tmp_path), OPTIONS)
    assert not os.listdir(tmp_path)


def test_large_images_and_many_classes_keep_their_places(tmp_path):
    mask = np.zeros((1, 2, 70000), bool)
    mask[0, 0, 69990:69995] = True
    result = result_of(mask, classes=[300])
    (roi,) = regions(tmp_path, result, EXACT)
    assert roi.coordinates()[:, 0].min() == 69990
    assert (roi.name, roi.group) == ("0001_class-300", 255)


def test_the_same_objects_are_the_same_file(tmp_path):
    write(result_of(), str(tmp_path), OPTIONS)
    first = (tmp_path / "a.zip").read_bytes()
    write(result_of(), str(tmp_path), OPTIONS)
    assert (tmp_path / "a.zip").read_bytes() == first


def test_without_roifile_a_sentence_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "roifile", None)
    with pytest.raises(InputError, match=r"pip install 'tfmaskrcnn\[formats\]'"):
        write(result_of(), str(tmp_path), OPTIONS)
    assert not os.listdir(tmp_path)
