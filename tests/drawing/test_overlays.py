"""`drawing/overlays.py`: what is painted where; how it looks was checked by eye."""

import os

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image, ImageFont

from tfmaskrcnn.data.coco.records import Record
from tfmaskrcnn.drawing import overlays
from tfmaskrcnn.drawing.overlays import draw, draw_ground_truth, plot_curves, side_by_side
from tfmaskrcnn.drawing.painting import PALETTE, choose_colors, label_font
from tfmaskrcnn.instances import Instances
from tfmaskrcnn.ops.paste import masks_to_rle

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


def test_nothing_found_leaves_a_large_image_as_it_is():
    image = np.random.default_rng(0).integers(0, 256, (1000, 1010, 3), dtype=np.uint8)
    none = instances(np.zeros((0, 4)), size=(1000, 1010), mask_probabilities=None)
    np.testing.assert_array_equal(draw(image, none), image)


def test_a_mask_is_translucent_inside_opaque_at_its_border_and_absent_elsewhere():
    one_class = instances([[200, 300, 600, 900]], names=("cat",))  # neither box nor label
    drawn = draw(grey_image(), one_class)
    inside = np.zeros((1000, 1200), bool)
    inside[200:600, 300:900] = True
    assert not changed(drawn)[~inside].any()
    assert changed(drawn)[inside].mean() > 0.99  # a pasted mask is round at its corners
    np.testing.assert_array_equal(
        drawn[400, 600], np.round(0.6 * GREY + 0.4 * np.array(PALETTE[0]))
    )
    for y, x in ((200, 600), (599, 600), (400, 300), (400, 899)):
        np.testing.assert_array_equal(drawn[y, x], PALETTE[0])


def test_boxes_and_labels_are_drawn_with_several_classes():
    found = instances([[200, 300, 600, 900]])
    unlabelled = changed(draw(grey_image(), found, labels=False))
    labelled = changed(draw(grey_image(), found))
    assert labelled[200, 300] and not unlabelled[200, 300]  # the box has corners, the mask has not
    label = labelled & ~unlabelled
    label[200:600, 300:900] = False
    assert label.sum() > 500 and not label[202:].any()  # it stands on the box
    assert not unlabelled[:200].any()


def test_boxes_alone_are_frames():
    drawn = changed(
        draw(grey_image(), instances([[200, 300, 600, 900]], masks=False), labels=False)
    )
    assert drawn[200:600, 300].all() and drawn[200, 300:900].all() and drawn[599, 899]
    assert not drawn[205:595, 305:895].any() and drawn.sum() < 5 * (400 + 600) * 2


def test_one_class_and_crowds_are_drawn_without_labels():
    boxes = [[10 + 20 * i, 10, 25 + 20 * i, 40] for i in range(45)]
    crowd = instances(boxes, classes=[1, 2] * 22 + [1])
    np.testing.assert_array_equal(
        draw(grey_image(), crowd), draw(grey_image(), crowd, labels=False)
    )
    assert np.any(draw(grey_image(), crowd[:8]) != draw(grey_image(), crowd[:8], labels=False))
    single = crowd[crowd.classes == 1][:5]
    single = instances(single.boxes, names=("cat",))
    np.testing.assert_array_equal(
        draw(grey_image(), single), draw(grey_image(), single, labels=False)
    )


def test_low_scores_and_more_than_the_maximum_are_left_out():
    found = instances([[0, 0, 100, 100], [200, 0, 300, 100], [400, 0, 500, 100]], names=("cat",))
    rows = changed(draw(grey_image(), found, score_threshold=0.7)).any(axis=1)  # .95 .775 .6
    assert rows[50] and rows[250] and not rows[450]
    rows = changed(draw(grey_image(), found, max_instances=1)).any(axis=1)
    assert rows[50] and not rows[250]


@pytest.mark.parametrize("size, factor", [((256, 256), 4), ((480, 640), 2), ((1000, 1400), 1)])
def test_small_images_are_enlarged_by_a_whole_factor(size, factor):
    found = instances([[10, 20, 60, 90]], size=size, names=("cat",))
    drawn = draw(grey_image(*size), found)
    assert drawn.shape == (size[0] * factor, size[1] * factor, 3) and drawn.dtype == np.uint8
    rows, columns = (np.flatnonzero(changed(drawn).any(axis=a)) for a in (1, 0))
    assert (rows[0], rows[-1] + 1) == (10 * factor, 60 * factor)
    assert (columns[0], columns[-1] + 1) == (20 * factor, 90 * factor)


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
    drawn = changed(draw(grey_image(200, 200), found))
    truth = np.kron(disc, np.ones((5, 5), bool))
    assert (drawn & truth).sum() / (drawn | truth).sum() > 0.96


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


def test_classes_keep_their_colour_and_never_share_one_while_there_are_enough():
    boxes = np.zeros((3, 4), np.float32)
    first, second, again = choose_colors(boxes, np.array([2, 5, 2]), one_class=False)
    assert (first, second, again) == (PALETTE[1], PALETTE[4], PALETTE[1])
    clash = choose_colors(boxes, np.array([1, 1 + len(PALETTE), 2]), one_class=False)
    assert len(set(clash)) == 3 and clash[0] == PALETTE[0]
    assert len(choose_colors(np.zeros((80, 4)), np.arange(1, 81), one_class=False)) == 80


@pytest.mark.parametrize("seed", range(20))
def test_touching_instances_of_one_class_differ_in_colour(seed):
    rng = np.random.default_rng(seed)
    y, x = (a.ravel() * 20.0 for a in np.mgrid[:6, :6])
    boxes = rng.permutation(np.stack([y, x, y + 20, x + 20], axis=1)).astype(np.float32)
    colors = choose_colors(boxes, np.ones(36, int), one_class=True)
    for i in range(36):
        for j in range(i):
            if np.abs(boxes[i, :2] - boxes[j, :2]).max() <= 20:
                assert colors[i] != colors[j]


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
