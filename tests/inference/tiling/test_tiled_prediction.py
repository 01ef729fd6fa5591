import numpy as np
import pytest

from helpers.ideal_detector import drawn_shapes, ideal_source
from tfmaskrcnn.inference.image_windows import ArrayWindows
from tfmaskrcnn.inference.opening import Source
from tfmaskrcnn.inference.tiling import tiled_prediction
from tfmaskrcnn.inference.tiling.tile_plan import TileOptions
from tfmaskrcnn.inference.tiling.tiled_prediction import PicturePredictor, tiled
from tfmaskrcnn.inference.trained_sizes import NetworkInput
from tfmaskrcnn.instances import Instances

SIZE = 430, 530


def matched(found, labels):
    """How often each shape was found, and its best IoU; [n] each."""
    sizes = np.bincount(labels.ravel())
    times, best = np.zeros(len(sizes), int), np.zeros(len(sizes))
    for top, left, bitmap in found.windows():
        h, w = bitmap.shape
        common = np.bincount(labels[top : top + h, left : left + w][bitmap], minlength=len(sizes))
        own = common[1:].argmax() + 1
        times[own] += 1
        best[own] = max(best[own], common[own] / (sizes[own] + bitmap.sum() - common[own]))
    return times[1:], best[1:]


@pytest.mark.parametrize("seed", range(4))
def test_shapes_over_seams_are_found_once_and_whole(seed):
    image, labels = drawn_shapes(np.random.default_rng(seed), SIZE, 60)
    found = PicturePredictor(ideal_source(seed))(ArrayWindows(image))
    times, best = matched(found, labels)
    assert len(times) == 60 and found.size == SIZE
    assert times.tolist() == [1] * 60
    assert best.min() > 0.99
    assert np.all(np.diff(found.scores) <= 0) and set(found.classes) == {1, 2}


def test_boxes_alone_are_joined_too():
    image, labels = drawn_shapes(np.random.default_rng(5), SIZE, 40)
    found = PicturePredictor(ideal_source(5, masks=False, error=0.3))(ArrayWindows(image))
    assert len(found) == 40 and not found.has_masks


def test_keypoints_are_in_the_picture_s_pixels():
    image, labels = drawn_shapes(np.random.default_rng(6), SIZE, 40)
    found = PicturePredictor(ideal_source(6, joints=2))(ArrayWindows(image))
    assert len(found) == 40
    middle = (found.boxes[:, :2] + found.boxes[:, 2:]) / 2
    assert found.keypoints.shape == (40, 2, 3)
    assert np.abs(found.keypoints[:, 0, :2] - middle).max() < 5  # the box is a little wrong


def test_what_is_longer_than_the_overlap_and_what_is_larger_than_a_tile_is_one_object():
    image = np.zeros((700, 900, 3), np.uint8)
    y, x = np.mgrid[:700, :900]
    disc = (y - 300) ** 2 + (x - 300) ** 2 < 200**2
    bar = (abs(y - 620) < 8) & (abs(x - 450) < 50)  # in no tile as a whole, shorter than a tile
    small = (abs(y - 100) < 9) & (abs(x - 700) < 9)
    image[disc | bar | small] = (1, 200, 0)
    found = PicturePredictor(ideal_source(7))(ArrayWindows(image))
    times, best = matched(found, 1 * disc + 2 * bar + 3 * small)
    assert times.tolist() == [1, 1, 1] and best.min() > 0.99


def test_a_crowd_that_the_overview_sees_as_one_stays_a_crowd():
    image = np.zeros((300, 300, 3), np.uint8)
    image[100:220, 100:220] = (1, 200, 0)
    image[100:220:20] = image[:, 100:220:20] = 0  # a gap of one pixel: gone at a quarter
    found = PicturePredictor(ideal_source(8))(ArrayWindows(image))
    assert len(found) == 6 * 6


def test_the_picture_is_seen_as_a_whole_where_tiles_need_not_be():
    image, _ = drawn_shapes(np.random.default_rng(9), (128, 128), 5)
    source = ideal_source(9)
    calls = []
    spied = source._replace(predict=lambda images: calls.append(images) or source.predict(images))
    predictor = PicturePredictor(spied)
    assert not predictor.in_tiles(image.shape[:2]) and predictor.plan(image.shape[:2]) is None
    predictor(ArrayWindows(image))
    assert len(calls) == 1 and calls[0][0] is not None
    np.testing.assert_array_equal(calls[0][0], image)


def test_progress_is_told_of_all_tiles_and_batches_give_the_same():
    image, _ = drawn_shapes(np.random.default_rng(10), SIZE, 20)
    told = []
    found = PicturePredictor(ideal_source(1, error=0), progress=lambda *a: told.append(a))(
        ArrayWindows(image)
    )
    options = TileOptions(batch_size=7)
    again = PicturePredictor(ideal_source(1, error=0), options)(ArrayWindows(image))
    assert told[0][0] == 1 and told[-1][0] == told[-1][1] == told[0][1] == len(told)
    np.testing.assert_array_equal(found.boxes, again.boxes)


def test_a_picture_without_objects_gives_none():
    found = PicturePredictor(ideal_source(2))(ArrayWindows(np.zeros((*SIZE, 3), np.uint8)))
    assert len(found) == 0 and found.size == SIZE and found.rle() == []


def test_a_large_picture_is_made_smaller_before_a_model_that_would_do_so(monkeypatch):
    monkeypatch.setattr(tiled_prediction, "MAX_PIXELS", 100 * 100)
    image, labels = drawn_shapes(np.random.default_rng(11), (250, 300), 8, sides=(24, 60))
    source = ideal_source(3)._replace(input=NetworkInput(64, 90))
    sizes = []
    spied = source._replace(
        predict=lambda images: sizes.append(images[0].shape) or source.predict(images)
    )
    found = PicturePredictor(spied, TileOptions("none"))(ArrayWindows(image))
    assert sizes == [(84, 100, 3)] and found.size == (250, 300)
    times, best = matched(found, labels)
    assert times.tolist() == [1] * 8 and best.min() > 0.6


def test_a_source_in_tiles_says_so_once(caplog):
    image, _ = drawn_shapes(np.random.default_rng(12), SIZE, 5)
    source = tiled(ideal_source(4), TileOptions())
    with caplog.at_level("INFO"):
        both = source.predict([image, image[:100, :100]])
        source.predict([image])
    assert [found.size for found in both] == [SIZE, (100, 100)]
    assert len(caplog.messages) == 1 and "tiles of 128 x 128" in caplog.messages[0]


def test_a_function_needs_a_number():
    from tfmaskrcnn.errors import InputError

    with pytest.raises(InputError, match="'auto', but a function does not tell"):
        tiled_prediction.tiled_predictor(lambda images: [], lambda: None, TileOptions())
    predict = tiled_prediction.tiled_predictor(ideal_source().predict, len, TileOptions(128))
    assert isinstance(predict([np.zeros((200, 300, 3), np.uint8)])[0], Instances)
    assert isinstance(ideal_source(), Source)
