import dataclasses

import numpy as np
import pytest
from scipy import ndimage

from helpers.ideal_detector import drawn_shapes, ideal_source
from tfmaskrcnn.inference.image_windows import ArrayWindows
from tfmaskrcnn.inference.tiling import montage
from tfmaskrcnn.inference.tiling.montage import fields_of, joined_over_seams, moved_to, seams
from tfmaskrcnn.inference.tiling.pieces import Piece
from tfmaskrcnn.inference.tiling.tile_plan import Tile
from tfmaskrcnn.inference.tiling.tiled_prediction import PicturePredictor
from tfmaskrcnn.ops.mask_runs import area, box_runs


def micrograph(rng, size, background, brightness, count=12):
    """[H, W, 3] uint8: soft ellipses on an even, noisy ground."""
    _, labels = drawn_shapes(rng, size, count, (10, 30))
    shapes = ndimage.gaussian_filter((labels > 0).astype(float), 1.5)
    picture = background + shapes * (brightness - background) + rng.normal(0, 1.5, size)
    return np.repeat(np.clip(picture, 0, 255).astype(np.uint8)[..., None], 3, axis=2)


def montage_of(rng, rows, columns):
    """A montage whose fields have these heights and widths; dim, bright and inverted ones mix."""
    kinds = (8, 40), (14, 220), (235, 90)
    chosen = rng.permutation(np.resize(np.arange(3), len(rows) * len(columns)))
    parts = iter([kinds[k] for k in chosen])
    lines = [[micrograph(rng, (h, w), *next(parts)) for w in columns] for h in rows]
    return np.concatenate([np.concatenate(line, axis=1) for line in lines])


def piece(box, field=0, kind=1, score=0.9, size=(200, 300)):
    box = np.float32(box)
    return Piece(box, score, kind, box_runs(box, size), (field,), False)


@pytest.mark.parametrize("seed", range(4))
def test_a_montage_is_cut_where_its_pictures_meet(seed):
    rng = np.random.default_rng(seed)
    rows, columns = rng.integers(100, 300, 2), rng.integers(100, 300, 3)
    found = fields_of(ArrayWindows(montage_of(rng, rows, columns)))
    tops, lefts = (np.cumsum([0, *sides[:-1]]) for sides in (rows, columns))
    wanted = [(y, x, h, w) for y, h in zip(tops, rows) for x, w in zip(lefts, columns)]
    assert found == wanted


def test_no_field_shows_two_pictures_where_seams_do_not_go_through_the_whole():
    rng = np.random.default_rng(0)
    above = montage_of(rng, [150], [130, 270])
    picture = np.concatenate([above, montage_of(rng, [160], [250, 150])])
    pictures = [(0, 0, 150, 130), (0, 130, 150, 270), (150, 0, 160, 250), (150, 250, 160, 150)]
    found = fields_of(ArrayWindows(picture))
    assert sum(h * w for _, _, h, w in found) == picture.shape[0] * picture.shape[1]
    for y, x, h, w in found:
        assert any(
            top <= y and left <= x and y + h <= top + high and x + w <= left + wide
            for top, left, high, wide in pictures
        )


def test_strips_give_what_the_whole_gives(monkeypatch):
    picture = ArrayWindows(montage_of(np.random.default_rng(1), [180, 140], [200, 150]))
    wanted = fields_of(picture)
    monkeypatch.setattr(montage, "_STRIP", 350 * 32)
    assert fields_of(picture) == wanted and len(wanted) == 4


@pytest.mark.parametrize("seed", range(6))
def test_one_picture_stays_one(seed):
    rng = np.random.default_rng(seed)
    size = tuple(int(side) for side in rng.integers(200, 500, 2))
    soft = micrograph(rng, size, *rng.integers(0, 256, 2), count=60)
    hard, _ = drawn_shapes(rng, size, 40)
    slope = np.linspace(0, 255, size[1])[None, :, None] + rng.normal(0, 3, (*size, 3))
    noise = rng.integers(0, 256, (*size, 3))
    for image in (soft, hard, slope, noise, np.zeros((*size, 3))):
        whole = ArrayWindows(np.clip(image, 0, 255).astype(np.uint8))
        assert fields_of(whole) == [(0, 0, *size)]
    assert fields_of(ArrayWindows(np.zeros((3, 900, 1), np.uint8))) == [(0, 0, 3, 900)]


def test_fields_that_look_alike_are_left_together():
    rng = np.random.default_rng(2)
    left, right = (micrograph(rng, (200, 200), ground, 220) for ground in (14, 18))
    picture = np.concatenate([left, right], axis=1)  # exposed a little longer
    assert seams(*montage._lines(Tile(0, 0, 200, 400), ArrayWindows(picture))[1]) == [200]
    assert fields_of(ArrayWindows(picture)) == [(0, 0, 200, 400)]


def test_a_piece_is_moved_with_its_mask_and_keypoints():
    inside = Piece(
        np.float32([2, 3, 12, 9]),
        0.7,
        1,
        box_runs((2, 3, 12, 9), (50, 60)),
        (4,),
        False,
        keypoints=np.float32([[5, 6, 0.5]]),
    )
    moved = moved_to(inside, Tile(100, 200, 50, 60), 3, 400)
    np.testing.assert_array_equal(moved.box, [102, 203, 112, 209])
    np.testing.assert_array_equal(moved.runs, box_runs((102, 203, 112, 209), (400, 300)))
    assert moved.tiles == (3,) and moved.keypoints.tolist() == [[105, 206, 0.5]]


def test_what_goes_on_over_a_seam_is_joined_and_what_does_not_is_not():
    fields = [Tile(0, 0, 200, 150), Tile(0, 150, 200, 150)]
    grey = np.zeros((200, 300, 3), np.uint8)
    grey[20:50, 140:160] = 90  # one object in two fields
    grey[80:110, 140:150], grey[80:110, 150:160] = 90, 200  # of another brightness
    halves = [
        *(piece((20, 140, 50, 150)), piece((20, 150, 50, 160), 1, score=0.8)),
        *(piece((80, 140, 110, 150)), piece((80, 150, 110, 160), 1)),
        *(piece((140, 140, 160, 150)), piece((150, 150, 180, 160), 1)),  # beside one another
        *(piece((182, 140, 198, 150)), piece((182, 150, 198, 160), 1, kind=2)),
        piece((60, 100, 70, 146)),  # ends before the seam
    ]
    found = joined_over_seams(halves, fields, ArrayWindows(grey))
    assert len(found) == 8
    (whole,) = (p for p in found if len(p.tiles) == 2)
    assert whole.box.tolist() == [20, 140, 50, 160] and whole.score == pytest.approx(0.9)
    assert area(whole.runs) == 30 * 20
    turned = [
        dataclasses.replace(
            p,
            box=p.box[[1, 0, 3, 2]],
            runs=box_runs(p.box[[1, 0, 3, 2]], (300, 200)),
        )
        for p in halves
    ]
    across = [Tile(0, 0, 150, 200), Tile(150, 0, 150, 200)]
    found = joined_over_seams(turned, across, ArrayWindows(grey.swapaxes(0, 1)))
    assert sorted(len(p.tiles) for p in found) == [1] * 7 + [2]


def test_only_what_faces_each_other_over_a_seam_is_compared(monkeypatch):
    fields = [Tile(0, 0, 2000, 50), Tile(0, 50, 2000, 50)]
    boxes = [(y, x, y + 8, x + 10) for y in range(0, 2000, 10) for x in (40, 50)]
    boxes += [(0, 30, 2000, 40), (0, 60, 2000, 70)]  # not at the seam
    halves = [piece(b, int(b[1] >= 50), size=(2000, 100)) for b in boxes]
    go_on, asked = montage._go_on, []

    def counted(a, b, picture):
        asked.append((a.number, b.number))
        return go_on(a, b, picture)

    monkeypatch.setattr(montage, "_go_on", counted)
    grey = ArrayWindows(np.full((2000, 100, 3), 90, np.uint8))
    found = joined_over_seams(halves, fields, grey)
    assert len(found) == 202 and len(asked) == 200  # not 200 * 200
    assert [p.box.tolist() for p in found[:200]] == [[y, 40, y + 8, 60] for y in range(0, 2000, 10)]
    chain = [piece((y, 40, y + 40, 50), size=(2000, 100)) for y in (0, 10)]
    chain.append(piece((5, 50, 45, 60), 1, size=(2000, 100)))
    found = joined_over_seams(chain[::-1], fields, grey)
    assert [p.tiles for p in found] == [(0, 1)]  # each is joined with what one of them touches


def test_only_a_model_that_stretches_contrast_sees_fields(caplog):
    rng = np.random.default_rng(3)
    parts = [drawn_shapes(rng, (300, 200), 15) for _ in range(2)]
    image = np.concatenate([parts[0][0], parts[1][0]], axis=1)
    image[:, :200, 1] //= 5  # a dim picture beside a bright one
    image[:, 200:, 2] = 40
    picture, source = ArrayWindows(image), ideal_source(3)
    stretching = source._replace(input=source.input._replace(stretch_contrast=True))
    with caplog.at_level("INFO"):
        PicturePredictor(source)(picture)
        assert not caplog.messages
        found = PicturePredictor(stretching)(picture)
    assert caplog.messages == [montage.SENTENCE % 2]
    assert 28 <= len(found) <= 30 and found.size == (300, 400)
