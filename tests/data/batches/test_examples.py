"""`data/batches/examples.py`: examples by their index or one after the other."""

import itertools

import numpy as np
import pytest

from helpers.tiny import tiny_config
from tfmaskrcnn.data import from_arrays, from_generator
from tfmaskrcnn.data.batches.examples import _ExampleReader
from tfmaskrcnn.errors import InputError

POLYGON = [[10.0, 5.0, 40.5, 5.0, 30.0, 20.25]]


def examples(count=5):
    """Images of different brightness with a square whose place goes with it, and a polygon."""
    found = []
    for i in range(count):
        mask = np.zeros((40, 60), bool)
        mask[i : 20 + i, i : 30 + i] = True
        image = np.full((40, 60, 3), 10 * i, np.uint8)
        found.append({"image": image, "classes": [1, 2], "masks": [mask, POLYGON]})
    return found


def config_of(*overrides):
    small = "train.batch_size=2", "evaluation.batch_size=2", "data.augment.horizontal_flip=0.5"
    return tiny_config(*small, *overrides)


def arrays_of(found):
    images, classes, masks = ([e[key] for e in found] for key in ("image", "classes", "masks"))
    return images, None, classes, masks


def epochs_of(dataset, count=2):
    return [list(dataset.as_numpy_iterator()) for _ in range(count)]


def assert_same(first, second):
    for one, other in zip(first, second):
        assert len(one) == len(other) > 0
        for a, b in zip(one, other):
            assert set(a) == set(b)
            for key in a:
                np.testing.assert_array_equal(a[key], b[key], err_msg=key)


class Counted:
    """Examples by their index; each is made anew, and counted."""

    def __init__(self, found):
        self.found, self.asked = found, []

    def __len__(self):
        return len(self.found)

    def __getitem__(self, index):
        self.asked.append(index)
        return self.found[index]


@pytest.mark.parametrize("training", [True, False])
def test_examples_by_their_index_give_the_batches_of_the_same_arrays(training):
    found, config = examples(), config_of()
    lazy = Counted(found)
    by_index = from_generator(lazy, config, training)
    assert len(by_index) == (2 if training else 3)
    assert_same(epochs_of(by_index), epochs_of(from_arrays(*arrays_of(found), config, training)))
    assert len(lazy.asked) <= 2 * len(found)  # once an epoch; no batch is begun again


def test_a_function_is_called_for_each_epoch_and_keeps_its_order():
    found, config, calls = examples(), config_of(), []

    def fresh():
        calls.append(len(calls))
        yield from found

    streamed = from_generator(fresh, config, training=False)
    expected = from_arrays(*arrays_of(found), config, training=False)
    assert_same(epochs_of(streamed), epochs_of(expected))
    assert calls == [0, 1]
    first, second = epochs_of(from_generator(fresh, config, training=True))
    ids = [[b["image_id"].tolist() for b in epoch] for epoch in (first, second)]
    assert ids == [[[1, 2], [3, 4]]] * 2
    assert any((a["gt_boxes"] != b["gt_boxes"]).any() for a, b in zip(first, second))  # flips
    again = from_generator(fresh, config, training=True, start_epoch=1)
    assert_same([second], epochs_of(again, 1))


def test_what_is_random_in_an_example_is_asked_for_once():
    rng = np.random.default_rng(0)

    def endless():
        while True:
            at = int(rng.integers(0, 20))
            image, mask = np.zeros((64, 64, 3), np.uint8), np.zeros((64, 64), bool)
            image[at : at + 40, 8:56], mask[at : at + 40, 8:56] = 255, True
            yield {"image": image, "classes": [1], "masks": mask[None]}

    config = config_of("input.min_side=64", "data.augment.horizontal_flip=0")
    for batch in from_generator(endless, config, training=True).take(3):
        for image, box in zip(batch["image"].numpy()[..., 0], batch["gt_boxes"].numpy()[:, 0]):
            rows = np.flatnonzero((image > 0).any(axis=1))
            np.testing.assert_allclose(box[[0, 2]], [rows[0], rows[-1] + 1], atol=0.01)


def failing():
    yield examples(1)[0]
    raise KeyError("lost")


def begun():
    yield from examples()


WRONG = {
    "a generator": (begun(), "gone through once; give the function"),
    "a number": (7, "wanted a function that gives the examples"),
    "too few": (examples(1), "has 1 of them; wanted at least 2, one batch"),
    "few from a function": (
        lambda: iter(examples(1)),
        "gives 1 examples an epoch; wanted",
    ),
    "no iterator": (lambda: 3, "<lambda> failed: TypeError"),
    "an error": (failing, "The function failing at example 1 failed: KeyError: 'lost'"),
    "a class": ([{**examples(1)[0], "classes": [1, 9]}] * 2, "object 1: its class is 9"),
}
WRONG_EXAMPLES = {
    "a pair": ((1, 2), r"example 4 is \(1, 2\); wanted a dictionary of image, boxes"),
    "a missing key": ({"image": np.zeros((4, 4, 3), np.uint8)}, "example 4 has no 'classes'"),
    "a strange key": ({**examples(1)[0], "label": 3}, "has 'label'; wanted a dictionary"),
    "shares": ({**examples(1)[0], "boxes": [[0, 0, 0.5, 0.5]] * 2}, "example 4: .* lie in 0..1"),
    "swapped": (
        {**examples(1)[0], "boxes": [[0, 0, 30, 20], [10, 5, 40, 20]]},
        r"\(x1, y1, x2, y2\), as their",
    ),
}


@pytest.mark.parametrize("name", WRONG_EXAMPLES)
def test_a_wrong_example_is_one_sentence(name):
    given, message = WRONG_EXAMPLES[name]
    with pytest.raises(InputError, match=message):
        _ExampleReader(config_of())(given, 4)


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_is_one_sentence(name):
    given, message = WRONG[name]
    with pytest.raises(InputError, match=message) as caught:
        list(from_generator(given, config_of(), training=True))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("setting", ["data.repeat_threshold=0.5", "data.augment.copy_paste=0.5"])
def test_settings_that_must_know_all_images_are_refused(setting):
    with pytest.raises(InputError, match="must know all images beforehand"):
        from_generator(examples(), config_of(setting), training=True)


@pytest.mark.parametrize("by_index", [True, False])
def test_a_limit_is_of_the_first_examples(by_index):
    found = examples()
    given = found if by_index else lambda: itertools.cycle(found)
    batches = from_generator(given, config_of("data.limit=3"), training=False)
    assert [b["image_id"].tolist() for b in batches.as_numpy_iterator()] == [[1, 2], [3]]
