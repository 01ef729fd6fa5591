"""`drawing/overlays.py`: what is painted where; how it looks was checked by eye."""

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from tfmaskrcnn.data.coco.records import Record
from tfmaskrcnn.drawing import drawing_style, overlays
from tfmaskrcnn.drawing.coloring import PALETTE
from tfmaskrcnn.drawing.drawing_style import DrawingStyle
from tfmaskrcnn.drawing.overlays import draw, draw_ground_truth, plot_curves, side_by_side
from tfmaskrcnn.instances import Instances
from tfmaskrcnn.ops.paste import masks_to_rle, rle_windows

GREY = 100


def grey_image(height=1000, width=1200):
    return np.full((height, width, 3), GREY, np.uint8)


def instances(boxes, classes=None, size=(1000, 1200), masks=True, names=("cat", "dog"), **changes):
    count = len(boxes)
    values = {
        "boxes": boxes,
        "scores": np.linspace(0.95, 0.6, count),
        "classes": classes or [1] * count,
        "size": size,
        "mask_probabilities": np.ones((count, 28, 28)) if masks else None,
        "class_names": names,
    }
    return Instances(**{**values, **changes})


def changed(image, before=GREY):
    return np.any(np.asarray(image).astype(int) != before, axis=-1)


def colored(image):
    """Where there is colour: all that is drawn on grey but the dark seams around it."""
    return np.ptp(np.asarray(image).astype(int), axis=-1) > 0


def test_nothing_found_leaves_a_large_image_as_it_is():
    image = np.random.default_rng(0).integers(0, 256, (1000, 1010, 3), dtype=np.uint8)
    none = instances(np.zeros((0, 4)), size=(1000, 1010), mask_probabilities=None)
    np.testing.assert_array_equal(draw(image, none), image)


@pytest.mark.parametrize("channels", [1, 2, 4])
def test_images_of_other_channels_are_drawn_as_predicted_on(channels):
    image = np.full((40, 50, channels), GREY, np.uint8)
    found = instances([[5, 5, 30, 40]], size=(40, 50))
    np.testing.assert_array_equal(draw(image, found), draw(grey_image(40, 50), found))


def test_a_mask_is_translucent_inside_opaque_at_its_border_and_absent_elsewhere():
    one_class = instances([[200, 300, 600, 900]], names=("cat",))
    drawn = draw(grey_image(), one_class, labels=False)
    inside = np.zeros((1000, 1200), bool)
    inside[200:600, 300:900] = True
    assert not colored(drawn)[~inside].any()
    assert colored(drawn)[inside].mean() > 0.99  # a pasted mask is round at its corners
    np.testing.assert_array_equal(
        drawn[400, 600], np.round(0.6 * GREY + 0.4 * np.array(PALETTE[0]))
    )
    for y, x in ((200, 600), (599, 600), (400, 300), (400, 899)):
        np.testing.assert_array_equal(drawn[y, x], PALETTE[0])
    around = inside.copy()
    around[199:601, 299:901] = True
    assert not changed(drawn)[~around].any()
    assert (drawn[199, 320:880] < GREY).all() and (drawn[320:580, 900] < GREY).all()  # the seam


def test_boxes_and_labels_are_drawn_with_several_classes():
    found = instances([[200, 300, 600, 900]])
    unlabelled = colored(draw(grey_image(), found, labels=False))
    labelled = colored(draw(grey_image(), found))
    assert labelled[200, 300] and not unlabelled[200, 300]  # the box has corners, the mask has not
    label = labelled & ~unlabelled
    label[200:600, 300:900] = False
    assert label.sum() > 500 and not label[202:].any()  # it stands on the box
    assert not unlabelled[:200].any()


def test_boxes_alone_are_frames():
    found = instances([[200, 300, 600, 900]], masks=False)
    drawn = colored(draw(grey_image(), found, labels=False))
    assert drawn[200:600, 300].all() and drawn[200, 300:900].all() and drawn[599, 899]
    assert not drawn[205:595, 305:895].any() and drawn.sum() < 5 * (400 + 600) * 2


def test_one_class_has_scores_without_names_and_crowds_have_no_texts():
    boxes = [[10 + 20 * i, 10, 25 + 20 * i, 40] for i in range(45)]
    crowd = instances(boxes, classes=[1, 2] * 22 + [1])
    bare = draw(grey_image(), crowd, labels=False)
    np.testing.assert_array_equal(draw(grey_image(), crowd), bare)
    few = crowd[:8]
    assert np.any(draw(grey_image(), few) != draw(grey_image(), few, labels=False))
    single = instances([[300, 300, 500, 700]], names=("cat",))
    drawn = draw(grey_image(), single)
    named = draw(grey_image(), single, labels=True)
    narrow, wide = (changed(a)[:295].any(axis=0).sum() for a in (drawn, named))
    assert wide > 1.5 * narrow > 0  # "0.95" and "cat 0.95"
    without = DrawingStyle(scores=False)
    np.testing.assert_array_equal(
        draw(grey_image(), single, style=without), draw(grey_image(), single, labels=False)
    )


def test_texts_that_nobody_asked_for_leave_small_pictures_to_be_seen():
    boxes = [[30 * i, 30 * j, 30 * i + 25, 30 * j + 25] for i in range(3) for j in range(4)]
    found = instances(boxes, size=(100, 120), names=("cat",))
    image = grey_image(100, 120)
    np.testing.assert_array_equal(draw(image, found), draw(image, found, labels=False))
    large = DrawingStyle(side=1200)
    assert np.any(draw(image, found, style=large) != draw(image, found, labels=False, style=large))


@pytest.mark.parametrize("asked", ["numbers", "labels", "scores"])
def test_texts_that_are_asked_for_stand_at_every_object_of_many(asked):
    grid = [(50 * i + 2, 60 * j + 2) for i in range(10) for j in range(10)]
    found = instances([[y, x, y + 38, x + 48] for y, x in grid], names=("cat",))
    bare = draw(grey_image(), found)
    written = np.any(draw(grey_image(), found, style=DrawingStyle(**{asked: True})) != bare, -1)
    for y, x in grid:
        assert written[y : y + 38, x : x + 48].sum() > 20


def test_numbers_are_those_of_the_table():
    boxes = [[100, 100, 300, 400], [500, 100, 700, 400]]
    numbered = DrawingStyle(numbers=True, scores=False, labels=False, color_by="class")
    found = instances(boxes)
    own, same, other = (
        draw(grey_image(), instances(boxes[1:], ids=ids), style=numbered)[450:]
        for ids in (None, [2], [8])
    )
    drawn = draw(grey_image(), found, style=numbered)[450:]
    np.testing.assert_array_equal(drawn, same)  # the second of two
    assert np.any(drawn != own) and np.any(drawn != other)


def test_low_scores_and_more_than_the_maximum_are_left_out():
    found = instances([[0, 0, 100, 100], [200, 0, 300, 100], [400, 0, 500, 100]], names=("cat",))
    rows = colored(draw(grey_image(), found, score_threshold=0.7)).any(axis=1)  # .95 .775 .6
    assert rows[50] and rows[250] and not rows[450]
    rows = colored(draw(grey_image(), found, max_instances=1)).any(axis=1)
    assert rows[50] and not rows[250]


@pytest.mark.parametrize("side", [None, 1024, 700, 100])
def test_pictures_have_the_image_s_size_or_the_side_that_is_asked_for(side):
    found = instances([[10, 20, 60, 90]], size=(256, 192), names=("cat",))
    drawn = draw(grey_image(256, 192), found, labels=False, style=DrawingStyle(side=side))
    factor = (side or 256) / 256
    assert drawn.shape == (round(256 * factor), round(192 * factor), 3)
    assert drawn.dtype == np.uint8
    rows, columns = (np.flatnonzero(colored(drawn).any(axis=a)) for a in (1, 0))
    ends = [rows[0], columns[0], rows[-1] + 1, columns[-1] + 1]
    np.testing.assert_allclose(ends, np.multiply([10, 20, 60, 90], factor), atol=1)


def test_exact_masks_keep_their_place_when_enlarged():
    y, x = np.mgrid[:200, :200] + 0.5
    disc = (y - 90) ** 2 + (x - 110) ** 2 <= 30**2
    found = instances(
        [[60, 80, 120, 140]],
        size=(200, 200),
        names=("cat",),
        mask_probabilities=None,
        exact_rle=masks_to_rle(disc[None]),
    )
    drawn = colored(draw(grey_image(200, 200), found, labels=False, style=DrawingStyle(side=1000)))
    truth = np.kron(disc, np.ones((5, 5), bool))
    assert (drawn & truth).sum() / (drawn | truth).sum() > 0.96
    own = colored(draw(grey_image(200, 200), found, labels=False))
    np.testing.assert_array_equal(own, disc)


def test_a_picture_of_too_many_pixels_is_reduced_and_this_is_said(monkeypatch, caplog):
    monkeypatch.setattr(drawing_style, "MAX_PIXELS", 30_000)
    found = instances([[100, 100, 200, 200]], size=(300, 400), names=("cat",))
    with caplog.at_level("INFO"):
        drawn = draw(grey_image(300, 400), found, labels=False)
    assert drawn.shape == (150, 200, 3)
    assert "300x400 pixels is drawn reduced to 150x200" in caplog.text
    rows = np.flatnonzero(colored(drawn).any(axis=1))
    assert abs(rows[0] - 50) <= 1 and abs(rows[-1] - 99) <= 1
    # What was reduced before is taken as it is.
    np.testing.assert_array_equal(draw(grey_image(150, 200), found, labels=False), drawn)
    asked = DrawingStyle(side=400)
    assert draw(grey_image(300, 400), found, style=asked).shape == (300, 400, 3)


def test_masks_are_made_one_by_one(monkeypatch):
    made = []

    def one(rles, *size):
        made.append(len(rles))
        return rle_windows(rles, *size)

    monkeypatch.setattr(overlays, "rle_windows", one)
    masks = np.zeros((3, 50, 60), bool)
    masks[:, 10:20, 10:20] = True
    rles = {"mask_probabilities": None, "exact_rle": masks_to_rle(masks)}
    found = instances([[10, 10, 20, 20]] * 3, size=(50, 60), **rles)
    draw(grey_image(50, 60), found)
    assert made == [1, 1, 1] and "masks" not in found.__dict__


def test_splash_keeps_the_colours_of_objects_alone():
    image = np.random.default_rng(0).integers(0, 256, (300, 400, 3), dtype=np.uint8)
    found = instances([[50, 60, 150, 200]], size=(300, 400))
    splash = DrawingStyle(look="splash")
    drawn = draw(image, found, style=splash)
    np.testing.assert_array_equal(drawn[55:145, 65:195], image[55:145, 65:195])
    around = np.ones((300, 400), bool)
    around[50:150, 60:200] = False
    assert not colored(drawn)[around].any()
    grey = draw(grey_image(300, 400), found, style=splash)
    assert (grey[100, 100] == GREY).all() and (grey[10, 10] < GREY / 2).all()
    boxes = instances([[50, 60, 150, 200]], size=(300, 400), masks=False)
    boxed = draw(image, boxes, style=splash)
    np.testing.assert_array_equal(boxed[50:150, 60:200], image[50:150, 60:200])


def test_parts_can_be_left_out_or_asked_for():
    found, image = instances([[200, 300, 600, 900]]), grey_image()
    nothing = DrawingStyle(masks=False, boxes=False)
    np.testing.assert_array_equal(draw(image, found, labels=False, style=nothing), image)
    frame = colored(draw(image, found, labels=False, style=DrawingStyle(masks=False)))
    assert frame[200, 300:900].all() and not frame[210:590, 310:890].any()
    thin, thick = (
        draw(image, found, labels=False, style=DrawingStyle(line_width=width)) for width in (1, 9)
    )
    opaque = [np.all(drawn == PALETTE[0], axis=-1).sum() for drawn in (thin, thick)]
    assert opaque[1] == pytest.approx(9 * opaque[0], rel=0.1)


def test_small_objects_stay_visible_on_large_ones_whatever_the_order():
    boxes = [[100, 100, 900, 900], [400, 400, 500, 500]]
    for order in ([0, 1], [1, 0]):
        found = instances(np.array(boxes)[order], classes=[order[0] + 1, order[1] + 1])
        drawn = draw(grey_image(), found, labels=False)
        expected = np.round(0.6 * GREY + 0.4 * np.array(PALETTE[1]))
        np.testing.assert_array_equal(drawn[450, 450], expected)


def test_masks_reaching_over_the_image_and_outside_it_are_no_error():
    boxes = [[-50, -80, 100, 120], [950, 1100, 1200, 1500], [2000, 2000, 2100, 2100], [5, 5, 5, 5]]
    for masks in (True, False):
        drawn = draw(grey_image(), instances(boxes, masks=masks))
        assert drawn.shape == (1000, 1200, 3) and changed(drawn)[0, 0:100].any()


def test_grey_images_are_taken_and_other_arrays_refused():
    found = instances([[200, 300, 600, 900]])
    grey = grey_image()[..., 0]
    np.testing.assert_array_equal(draw(grey, found), draw(grey_image(), found))
    with pytest.raises(ValueError, match="the image is .* the instances are of"):
        draw(grey_image(100, 100), found)
    with pytest.raises(ValueError, match="wanted a uint8 image"):
        draw(grey_image() / 255.0, found)


def test_ground_truth_is_drawn_from_polygons_and_rle_with_crowds_in_grey():
    square = np.zeros((1000, 1200), bool)
    square[600:800, 600:800] = True
    record = Record(
        image_id=1,
        path="",
        file_name="",
        height=1000,
        width=1200,
        boxes=np.array([[100, 100, 300, 300], [600, 600, 800, 800]], np.float32),
        classes=np.array([2, 1], np.int32),
        crowd=np.array([False, True]),
        segmentations=[
            [np.array([100, 100, 300, 100, 300, 300, 100, 300], np.float32)],
            masks_to_rle(square[None])[0],
        ],
        annotation_ids=[1, 2],
    )
    drawn = draw_ground_truth(grey_image(), record, ("cat", "dog"))
    np.testing.assert_array_equal(
        drawn[200, 200], np.round(0.6 * GREY + 0.4 * np.array(PALETTE[1]))
    )
    assert len(set(drawn[700, 700].tolist())) == 1 and drawn[700, 700, 0] > GREY
    assert changed(drawn)[60:100, 100:160].any()  # the label
    no_object = record._replace(
        boxes=np.zeros((0, 4), np.float32),
        classes=np.zeros(0, np.int32),
        crowd=np.zeros(0, bool),
        segmentations=[],
    )
    np.testing.assert_array_equal(draw_ground_truth(grey_image(), no_object), grey_image())


def test_ground_truth_of_boxes_alone_is_drawn_as_frames():
    record = Record(
        image_id=1,
        path="",
        file_name="",
        height=1000,
        width=1000,
        boxes=np.float32([[100, 100, 300, 300], [500, 500, 800, 900]]),
        classes=np.int32([1, 2]),
        crowd=np.array([False, False]),
        segmentations=[None, None],
        annotation_ids=[1, 2],
    )
    image = np.full((1000, 1000, 3), 128, np.uint8)
    drawn = draw_ground_truth(image, record, ("cat", "dog"), labels=False)
    assert (drawn[200, 200] == 128).all() and (drawn[650, 700] == 128).all()  # not filled
    assert (drawn[100, 200] != 128).any() and (drawn[650, 500] != 128).any()


def test_images_stand_side_by_side_at_one_height():
    first, second = np.full((200, 100, 3), 10, np.uint8), np.full((100, 100), 20, np.uint8)
    sheet = side_by_side([first, second])
    assert sheet.shape == (200 + 2 * 8, 100 + 200 + 3 * 8, 3)
    assert (sheet[8:208, 8:108] == 10).all() and (sheet[10:200, 118:300] == 20).all()
    captioned = side_by_side([first, second], ["before", "after"])
    assert len(captioned) > len(sheet) and (captioned[:20] < 100).any()


def test_curves_are_written_with_losses_and_precision(tmp_path):
    history = {
        "loss": [2.0, 1.5, 1.2],
        "val_loss": [2.1, 1.6, 1.4],
        "mask_loss": [0.5, 0.4, 0.3],
        "val_mask_ap": [0.0, 0.1, 0.2],
        "val_box_ap50": [-1, 0.2, 0.4],
        "learning_rate": [1e-2] * 3,
    }
    both, one = str(tmp_path / "both.png"), str(tmp_path / "one.png")
    plot_curves(history, both)
    plot_curves({"loss": [2.0]}, one)
    with Image.open(both) as image, Image.open(one) as single:
        assert image.width > 1.8 * single.width and image.height == single.height
    with pytest.raises(ValueError, match="no losses or APs among .'accuracy'."):
        plot_curves({"accuracy": [1]}, both)


def test_losses_on_the_val_split_are_dashed_in_the_colour_of_their_term():
    names = ("loss", "mask_loss", "box_loss")
    losses = {f"{split}{name}": [2.0, 1.0] for split in ("", "val_") for name in names}
    axes = Figure().subplots()
    overlays._plot_losses(axes, losses)
    colors = {style: [] for style in ("-", "--")}
    for line in axes.lines[:-1]:
        colors[line.get_linestyle()].append(line.get_color())
    assert colors["-"] == colors["--"] and len(set(colors["-"])) == 3
    shown = axes.get_legend_handles_labels()[1]
    assert shown == ["total", "box", "mask", "dashed: val split"]
