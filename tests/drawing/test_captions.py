"""`drawing/captions.py`: where texts stand."""

import os

import numpy as np
import pytest
from PIL import ImageFont

from tfmaskrcnn.drawing import captions
from tfmaskrcnn.drawing.captions import has_room, label_font, short_name, write_labels

RED = (255, 0, 0)


def written(boxes, texts, every=False, size=(500, 700)):
    picture = np.full((*size, 3), 100, np.uint8)
    boxes = np.float32(boxes).reshape(-1, 4)
    write_labels(picture, boxes, texts, [RED] * len(texts), every)
    return np.any(picture != 100, axis=-1)


def test_a_label_stands_on_its_box_and_below_it_at_the_upper_border():
    on = written([[200, 100, 300, 300]], ["cat 0.97"])
    rows = np.flatnonzero(on.any(axis=1))
    assert rows[-1] <= 200 and 10 < len(rows) < 25
    assert written([[0, 100, 300, 300]], ["cat 0.97"])[:25, 100:140].any()
    assert not written([[200, 100, 300, 300]], [""]).any()


@pytest.mark.parametrize("seed", range(20))
def test_labels_never_cover_each_other_nor_leave_the_picture(seed, monkeypatch):
    places = []
    monkeypatch.setattr(captions, "_write_beside", lambda _, place, *rest: places.append(place))
    rng = np.random.default_rng(seed)
    corner = rng.uniform(-50, 700, (30, 2))
    written(np.concatenate([corner, corner + rng.uniform(1, 200, (30, 2))], axis=1), ["cat"] * 30)
    places = np.array(places)
    assert len(places) > 10 and (places >= 0).all() and (places[:, 2:] <= (500, 700)).all()
    shared = captions._overlaps(places, places)
    assert (shared[~np.eye(len(places), dtype=bool)] < 1e-6).all()


def test_what_finds_no_place_is_left_out_or_stands_inside():
    boxes = [[100 + i, 100, 110 + i, 110] for i in range(30)]
    assert written(boxes, ["0.97"] * 30).sum() < written(boxes, ["0.97"] * 30, every=True).sum()
    inside = written(boxes[:1] * 41, ["7"] * 41, every=True)
    rows, columns = (np.flatnonzero(inside.any(axis=a)) for a in (1, 0))
    assert rows[0] > 95 and rows[-1] < 115 and columns[0] > 95 and columns[-1] < 115


def test_texts_inside_objects_at_the_border_and_outside_are_no_error():
    boxes = [[-9, -9, 9, 9], [495, 690, 520, 720], [900, 900, 950, 950], [5, 5, 5, 5]] * 11
    assert written(boxes, ["17"] * 44, every=True)[:8, :8].any()
    assert written(boxes, ["17"] * 44, every=True, size=(3, 4)).shape == (3, 4)


def test_texts_inside_objects_at_the_border_are_whole():
    def ink(box):
        return written([box] * 41, ["17 person 0.93"] * 41, every=True).sum()

    assert ink([-4, -4, 4, 4]) == ink([250, 300, 258, 308]) == ink([492, 690, 500, 700])
    # In a picture that has no room for a text there is none.
    assert not written([[0, 0, 9, 9]], ["17 person"], every=True, size=(30, 40)).any()


def test_names_at_objects_are_one_short_line():
    assert short_name("two\n words ") == "two words" and short_name("x" * 30) == "x" * 30
    assert short_name("x" * 200) == "x" * 29 + "\u2026"


def test_room_is_a_matter_of_number_length_and_size():
    assert has_room(40, 8, (1000, 1000)) and not has_room(41, 8, (1000, 1000))
    assert has_room(5, 4, (256, 256)) and not has_room(30, 4, (256, 256))
    assert has_room(0, 0, (10, 10))


def test_labels_have_a_font_where_the_system_has_none(monkeypatch):
    real = ImageFont.truetype

    def no_system_fonts(font, size):
        if not os.path.isabs(font):
            raise OSError("cannot open resource")
        return real(font, size)

    label_font.cache_clear()
    monkeypatch.setattr(ImageFont, "truetype", no_system_fonts)
    assert label_font(17).size == 17 and "matplotlib" in label_font(17).path
    label_font.cache_clear()
