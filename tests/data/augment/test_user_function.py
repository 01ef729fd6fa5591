"""`data/augment/user_function.py`: the contract with a function of the user's, kept and broken."""

import random
import sys
import threading
import time

import numpy as np
import pytest

from helpers.tiny import tiny_config, tiny_data
from tfmaskrcnn.data import albumentations_transform, from_records, load_coco
from tfmaskrcnn.data.augment import user_function as bridge
from tfmaskrcnn.data.augment.user_function import called, find_function, packed, unpacked
from tfmaskrcnn.data.coco.records import Record
from tfmaskrcnn.data.coco.segmentation import decode
from tfmaskrcnn.errors import InputError, explained

IMAGE = np.random.default_rng(0).integers(0, 256, (40, 60, 3), np.uint8)
POLYGONS = [[np.float32([10, 5, 30, 5, 30, 25, 10, 25])], [np.float32([40, 20, 60, 20, 50, 40])]]


def record(crowd=(False, False)):
    boxes = np.float32([[5, 10, 25, 30], [20, 40, 40, 60]])
    classes, crowd = np.int32([2, 1]), np.array(crowd)
    return Record(7, "", "seven.png", 40, 60, boxes, classes, crowd, POLYGONS, [70, 71])


def made(function, given=None, masks=True, seed=5):
    return called(function, IMAGE, given or record(), seed, 3, masks)


def test_the_function_gets_what_is_promised():
    seen = {}

    def note(**given):
        seen.update(given)
        return {}

    image, found = made(note)
    assert set(seen) == {"image", "boxes", "masks", "classes", "crowd", "seed"}
    dtypes = {name: value.dtype for name, value in seen.items() if name != "seed"}
    assert dtypes == {"image": "u1", "boxes": "f4", "masks": "u1", "classes": "i4", "crowd": "?"}
    assert seen["masks"].shape == (2, 40, 60) and seen["seed"] == 5
    np.testing.assert_array_equal(seen["masks"][0], decode(POLYGONS[0], 40, 60))
    # A function that changes nothing changes nothing.
    np.testing.assert_array_equal(image, IMAGE)
    for name in ("boxes", "classes", "crowd"):
        np.testing.assert_array_equal(getattr(found, name), getattr(record(), name))
    for one, two in zip(found.segmentations, POLYGONS):
        np.testing.assert_array_equal(decode(one, 40, 60), decode(two, 40, 60))


def test_any_size_and_any_number_of_objects_come_back():
    def half(image, masks, classes, **_):
        masks = np.concatenate([masks, masks[:1] * 0])[:, ::2, ::2]
        return {"image": image[::2, ::2], "masks": masks, "classes": [*classes, 3]}

    image, found = made(half)
    assert image.shape == (20, 30, 3) and (found.height, found.width) == (20, 30)
    assert found.classes.tolist() == [2, 1]  # the third has no pixel
    np.testing.assert_array_equal(found.boxes[0], [3, 5, 13, 15])  # tight, as masks had no boxes
    _, found = made(lambda **_: {"masks": np.zeros((0, 40, 60)), "classes": []})
    assert found.boxes.shape == (0, 4) and found.crowd.shape == (0,)


def test_boxes_alone_go_without_masks():
    def shifted(image, boxes, **given):
        assert "masks" not in given
        return {"boxes": boxes + 50}

    image, found = made(shifted, masks=False)
    assert found.boxes.shape == (0, 4)  # all outside
    image, found = made(lambda boxes, **_: {"boxes": boxes - 8}, masks=False)
    np.testing.assert_array_equal(found.boxes, [[0, 2, 17, 22], [12, 32, 32, 52]])
    assert found.segmentations == [None, None]


@pytest.mark.parametrize(
    "returned, said",
    [
        (None, "it returned NoneType, wanted a dict of image, boxes, classes, crowd, masks"),
        ({"mask": 1}, r"it returned \['mask'\], wanted a dict"),
        ({"image": IMAGE / 255}, r"its image is float64 \(40, 60, 3\), wanted uint8"),
        ({"image": IMAGE[..., 0]}, r"its image is uint8 \(40, 60\)"),
        ({"image": IMAGE[:20]}, r"its masks are \(2, 40, 60\) for an image \(20, 60\)"),
        ({"masks": np.ones((1, 40, 60))}, "it returned 1 boxes, 2 classes, 2 crowd, 1 masks"),
        ({"classes": [1, 4]}, r"its classes are \[1, 4\], wanted 1 to 3"),
        ({"boxes": np.full((2, 4), np.nan)}, "finite"),
        ({"boxes": np.zeros((2, 3))}, r"its boxes are \(2, 3\), wanted \[n, 4\]"),
    ],
)
def test_what_does_not_fit_together_is_named_with_image_and_function(returned, said):
    with pytest.raises(InputError, match=r"augment.function .*, image 7 \(seven.png\): .*" + said):
        made(lambda **_: returned, record((True, False)))


def test_an_error_inside_the_function_is_one_sentence():
    with pytest.raises(InputError, match=r"failed on image 7 \(seven.png\): KeyError: 'angle'."):
        made(lambda **given: given["angle"])


@pytest.mark.parametrize(
    "name, said",
    [
        ("no_such_module:f", "cannot be imported: ModuleNotFoundError: .*no_such_module"),
        ("json:f", "cannot be imported: AttributeError"),
        ("json:__doc__", "wanted a function"),
    ],
)
def test_a_name_that_is_no_function_is_refused(name, said):
    with pytest.raises(InputError, match=f"augment.function '{name}' .*{said}"):
        find_function(name)


def test_a_function_is_found_beside_the_user(tmp_path, monkeypatch):
    (tmp_path / "own_augmentation.py").write_text("def keep(**given):\n    return {}\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.path", sys.path[1:])
    assert find_function("own_augmentation:keep")() == {}


def test_names_and_keypoints_are_checked_by_the_configuration():
    with pytest.raises(InputError, match="augment.function"):
        tiny_config("data.augment.function=blur")
    with pytest.raises(InputError, match="augment.function moves no keypoints"):
        tiny_config("data.augment.function='a:b'", "keypoint_head.enabled=true")


def test_records_survive_the_way_through_the_graph():
    _, found = made(lambda **_: {})
    again = unpacked(record(), np.int32([40, 60]), *packed(found))
    assert again.segmentations == found.segmentations and again.height == 40
    np.testing.assert_array_equal(again.classes, found.classes)


class Compose:
    """What matters of `albumentations.Compose`: here it flips, by a random state of its own."""

    def __init__(self):
        self.chance, self.inside = random.Random(), 0

    def set_random_seed(self, seed):
        self.chance.seed(seed)

    def __call__(self, image, masks=()):
        self.inside += 1
        assert self.inside == 1, "two threads at once"
        time.sleep(0.002)
        axis = 1 if self.chance.random() < 0.5 else 0
        self.inside -= 1
        return {"image": np.flip(image, axis), "masks": [np.flip(m, axis) for m in masks]}


def test_albumentations_move_masks_and_follow_the_seed():
    function = albumentations_transform(Compose())
    images = [made(function, seed=seed)[0] for seed in range(8)]
    again = [made(function, seed=seed)[0] for seed in range(8)]
    assert len({image.tobytes() for image in images}) == 2
    for one, two in zip(images, again):
        np.testing.assert_array_equal(one, two)
    image, found = made(function, seed=1)
    axis = 1 if np.array_equal(image, IMAGE[:, ::-1]) else 0
    expected = np.flip(decode(POLYGONS[1], 40, 60), axis)
    np.testing.assert_array_equal(decode(found.segmentations[1], 40, 60), expected)
    empty = record()._replace(
        boxes=np.zeros((0, 4), np.float32),
        classes=np.zeros(0, np.int32),
        crowd=np.zeros(0, bool),
        segmentations=[],
    )
    assert made(function, empty)[1].boxes.shape == (0, 4)
    with pytest.raises(InputError, match="albumentations_transform wants masks"):
        made(function, masks=False)


def test_threads_take_turns_in_albumentations():
    function, failures = albumentations_transform(Compose()), []

    def work(seed):
        try:
            made(function, seed=seed)
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures


def test_old_albumentations_are_seeded_through_the_global_state(monkeypatch):
    compose = Compose()
    monkeypatch.delattr(Compose, "set_random_seed")
    compose.chance = random
    function = albumentations_transform(compose)
    images = [made(function, seed=3)[0] for _ in range(4)]
    assert len({image.tobytes() for image in images}) == 1


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return load_coco(*tiny_data(tmp_path_factory.mktemp("shapes"), num_images=3))


def test_batches_are_made_of_what_the_function_returns(data):
    """White where there is an object: image and masks agree after all that comes later."""

    def painted(image, masks, seed, **_):
        grown = np.pad(masks, ((0, 0), (0, 20), (10, 0)))
        white = np.repeat(grown.any(axis=0)[..., None], 3, axis=2).astype(np.uint8)
        return {"image": white * 255, "masks": grown}

    config = tiny_config(
        "input={mean: [0, 0, 0], std: [255, 255, 255]}",
        "data.augment={rotation: 30, copy_paste: 0.5}",
        "train.batch_size=1",
    )
    first = from_records(data, config, training=True, transform=painted)
    batches = list(first.as_numpy_iterator())
    for batch in batches:
        white = batch["image"][0, ..., 0] > 0.5
        seen = np.zeros_like(white)
        for box, mask in zip(batch["gt_boxes"][0], batch["gt_masks"][0]):
            if (box[2:] > box[:2]).all():
                y, x = np.mgrid[0 : white.shape[0], 0 : white.shape[1]] + 0.5
                row = np.floor((y - box[0]) / (box[2] - box[0]) * 112).astype(int)
                col = np.floor((x - box[1]) / (box[3] - box[1]) * 112).astype(int)
                inside = (row >= 0) & (row < 112) & (col >= 0) & (col < 112)
                seen |= inside & (mask[row.clip(0, 111), col.clip(0, 111)] > 0)
        assert np.count_nonzero(white & seen) > 0.93 * np.count_nonzero(white | seen)
    again = from_records(data, config, training=True, transform=painted)
    for one, two in zip(batches, again.as_numpy_iterator()):
        assert all(np.array_equal(one[key], two[key]) for key in one)


def test_a_named_function_runs_in_training_alone_and_its_error_comes_out(data, monkeypatch):
    def broken(**_):
        raise RuntimeError("no luck")

    monkeypatch.setattr(bridge, "broken", broken, raising=False)
    config = tiny_config("data.augment.function='tfmaskrcnn.data.augment.user_function:broken'")
    next(iter(from_records(data, config, training=False)))
    with pytest.raises(Exception) as caught:
        next(iter(from_records(data, config, training=True)))
    message = str(explained(caught.value, {}))
    assert message.endswith("RuntimeError: no luck.") and "failed on image" in message
