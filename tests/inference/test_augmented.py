"""`inference/augmented.py` with predictors that find what was drawn, and need no model."""

import numpy as np
import pytest

from tfmaskrcnn import InputError, Instances
from tfmaskrcnn.config.model import InputConfig
from tfmaskrcnn.config.run import Config
from tfmaskrcnn.config.yaml_files import override, parse_config
from tfmaskrcnn.inference import augmented as module
from tfmaskrcnn.inference.augmented import augmented, check_augmentation, open_augmented
from tfmaskrcnn.inference.opening import Source
from tfmaskrcnn.inference.variants import variants_of


def blocks(images):
    """Each grey value of an image as an object whose class it is; keypoints at two corners."""
    return [_blocks(image[:, :, 0]) for image in images]


def _blocks(grey):
    values = [value for value in np.unique(grey) if value]
    places = [np.nonzero(grey == value) for value in values]
    boxes = np.array([[y.min(), x.min(), y.max() + 1, x.max() + 1] for y, x in places])
    masks = np.ones((len(values), 4, 4))
    masks[:, :2] = 0.25  # a model that is less sure of what is above
    # As a model calls left what is left in the picture that it sees.
    points = [[[y1, x1, 1], [y1, x2, 1]] for y1, x1, y2, x2 in boxes]
    scores = np.linspace(0.9, 0.5, len(values))
    return Instances(boxes, scores, values, grey.shape, masks, keypoints=points)


def drawn(size, *places):
    """uint8 [H, W, 1] with a block of value 1 at the first (y1, x1, y2, x2), 2 at the second..."""
    image = np.zeros((*size, 1), np.uint8)
    for value, (y1, x1, y2, x2) in enumerate(places, start=1):
        image[y1:y2, x1:x2] = value
    return image


# Odd sizes, several classes, nothing.
IMAGES = [
    drawn((13, 21), (2, 3, 9, 8), (4, 12, 7, 20)),
    drawn((32, 17), (0, 0, 32, 5)),
    drawn((9, 9)),
]


def test_one_variant_is_the_plain_predictor():
    for plain, found in zip(blocks(IMAGES), augmented({1.0: blocks}, variants_of([]))(IMAGES)):
        np.testing.assert_array_equal(found.boxes, plain.boxes)
        np.testing.assert_array_equal(found.mask_probabilities, plain.mask_probabilities)


def test_all_flips_of_images_of_several_sizes_find_what_is_there():
    words = ["hflip", "vflip", "transpose"]
    together = augmented({1.0: blocks}, variants_of(words))(IMAGES)
    for plain, found in zip(blocks(IMAGES), together):
        assert found.size == plain.size
        np.testing.assert_allclose(found.boxes, plain.boxes, atol=1e-5)
        np.testing.assert_allclose(found.scores, plain.scores, atol=1e-6)
        np.testing.assert_array_equal(found.classes, plain.classes)
        # What is above in one is below or beside in others: each quarter has the same mean.
        np.testing.assert_allclose(found.mask_probabilities, 0.625, atol=1e-5)


def test_left_stays_left_in_a_mirror():
    plain = blocks(IMAGES)[0]
    pairs = augmented({1.0: blocks}, variants_of(["hflip"])[1:] * 2, flip_pairs=[(0, 1)])
    np.testing.assert_allclose(pairs(IMAGES)[0].keypoints, plain.keypoints)
    none = augmented({1.0: blocks}, variants_of(["hflip"])[1:] * 2)
    np.testing.assert_allclose(none(IMAGES)[0].keypoints, plain.keypoints[:, ::-1])


def test_every_scale_has_its_predictor_and_limits_hold():
    def twice(images):  # finds the first class alone
        return [found[found.classes == 1] for found in blocks(images)]

    predictors = {1.0: blocks, 2.0: twice}
    found = augmented(predictors, variants_of(["2"]))(IMAGES)[0]
    np.testing.assert_allclose(found.scores, [0.9, 0.25])
    assert len(augmented(predictors, variants_of(["2"]), min_score=0.3)(IMAGES)[0]) == 1
    assert len(augmented(predictors, variants_of(["2"]), most=1)(IMAGES)[0]) == 1


def test_a_run_is_opened_once_for_each_scale(monkeypatch):
    opened = []

    def open_checked(folder, config, runtime=None):
        opened.append((config.model.input.min_side, config.model.input.max_side))
        return Source(blocks, ("a", "b"), (1, 2))

    monkeypatch.setattr(module, "open_checked", open_checked)
    settings = ["input.min_side=100", "box_head.max_detections=1", "keypoint_head.num_keypoints=2"]
    config = parse_config({}, settings)
    source = open_augmented("run", config, ["hflip", "0.5", "1.25"])
    assert opened == [(100, 1333), (50, 666), (125, 1666)]
    assert source.class_names == ("a", "b")
    assert [len(found) for found in source.predict(IMAGES)] == [1, 1, 0]  # max_detections
    assert open_augmented("run", config, None).predict is blocks


def test_no_word_is_a_horizontal_flip_and_none_is_no_augmentation():
    assert check_augmentation("run", Config(), []) == variants_of(["hflip"])
    assert check_augmentation("run", Config(), None) == variants_of([])


def test_a_saved_model_takes_flips_and_no_scales():
    assert len(check_augmentation("exported/1", None, ["hflip", "vflip", "1"])) == 4
    with pytest.raises(InputError, match="exported/1 is a SavedModel.* --tta 0.8 needs a run"):
        check_augmentation("exported/1", None, ["hflip", "0.8"])
    with pytest.raises(InputError, match="--tta: 'turn' is none of hflip"):
        check_augmentation("exported/1", None, ["turn"])


@pytest.mark.parametrize(
    "values, scale, expected",
    [
        ({"min_side": 320, "max_side": 512}, 1.25, ["input.min_side=400", "input.max_side=640"]),
        ({"min_side": 3, "max_side": 9}, 0.1, ["input.min_side=1", "input.max_side=1"]),
        ({"fixed_size": (320, 512)}, 1.25, ["input.fixed_size=[384, 640]"]),
        (
            {"padding": "centred", "min_side": 800, "max_side": 1024},
            0.8,
            ["input.min_side=640", "input.max_side=832"],
        ),
    ],
)
def test_a_scaled_input_is_one_that_the_configuration_allows(values, scale, expected):
    changes = module.scaled_input(InputConfig(**values), scale)
    assert changes == expected
    override(Config.model_validate({"model": {"input": values}}), changes)
