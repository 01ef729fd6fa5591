"""`model/batch_check.py` and `model/batch_values.py`: a batch made wrongly is a sentence."""

import numpy as np
import pytest
import tensorflow as tf

import tfmaskrcnn as mr
from helpers.tiny import tiny_config
from tfmaskrcnn.data import from_arrays, make_shapes
from tfmaskrcnn.errors import InputError, explained
from tfmaskrcnn.model.batch_check import BatchCheck

BOXES = np.float32([[[10, 20, 40, 60], [30, 50, 60, 90], [0, 0, 0, 0]]] * 2)
VALID = np.array([[True, True, False]] * 2)


def disc(shape=(112, 112)):
    """A mask that touches the sides of its frame."""
    y, x = (np.linspace(-1, 1, n) for n in shape)
    return np.uint8(y[:, None] ** 2 + x**2 <= 1.01)


def right(**changes):
    """A batch as the model wants it, B=2, G=3; None takes a key away."""
    rng = np.random.default_rng(0)
    masks = np.zeros((2, 3, 112, 112), np.uint8)
    masks[:, :2] = disc()
    batch = {
        "image": rng.uniform(-2, 2, (2, 64, 96, 3)).astype(np.float32),
        "size": np.float32([[64, 90], [60, 96]]),
        "image_id": np.int64([1, 2]),
        "gt_boxes": BOXES,
        "gt_classes": np.int32([[1, 3, 0]] * 2),
        "gt_masks": masks,
        "gt_valid": VALID,
        "gt_crowd": np.zeros((2, 3), bool),
    }
    return {key: value for key, value in {**batch, **changes}.items() if value is not None}


def whole_image_masks(sizes):
    """Each object where it lies in the image, on a grid of 112 x 112."""
    masks = np.zeros((2, 3, 112, 112), np.uint8)
    for i, size in enumerate(sizes):
        for j, box in enumerate(BOXES[i][:2]):
            y1, x1, y2, x2 = np.round(box / np.tile(size, 2) * 112).astype(int)
            masks[i, j, y1:y2, x1:x2] = disc((y2 - y1, x2 - x1))
    return masks


def some(**values):
    """`right`, with values of the first image's first object."""
    batch = right()
    for key, value in values.items():
        batch[key] = batch[key].copy()
        batch[key][0, 0] = value
    return batch


WRONG = {
    "a missing key": (right(gt_valid=None), "has no gt_valid, but image, size"),
    "uint8": (right(image=np.zeros((2, 64, 96, 3), np.uint8)), "uint8 .* normalised by input.mean"),
    "bytes": (some(image=255.0), r"image holds -2 to 255; .* within -2.118 to 2.64"),
    "sides": (right(image=np.zeros((2, 64, 90, 3), np.float32)), "side of 90 .* multiples of 32"),
    "channels": (
        right(image=np.zeros((2, 64, 96, 1), np.float32)),
        r"wanted float32 \[B, H, W, 3\]",
    ),
    "nan": (some(image=np.nan), "image holds numbers that are not finite"),
    "float64": (
        right(gt_boxes=np.float64(BOXES)),
        r"float64 \[2, 3, 4\]; wanted float32 \[B, G, 4\]",
    ),
    "classes": (right(gt_classes=np.float32(VALID)), r"gt_classes is float32 .* int32 \[B, G\]"),
    "one hot": (right(gt_classes=np.ones((2, 3, 4), np.int32)), r"int32 \[2, 3, 4\]"),
    "square masks": (
        right(gt_masks=np.zeros((2, 3, 96, 96), np.uint8)),
        r"uint8 \[2, 3, 96, 96\]; wanted uint8 \[B, G, 112, 112\]: .*not the whole image",
    ),
    "whole images": (right(gt_masks=whole_image_masks([(64, 96)] * 2)), "lies in the whole image"),
    "of no padding": (right(gt_masks=whole_image_masks(right()["size"])), "in the whole image"),
    "255": (right(gt_masks=255 * right()["gt_masks"]), "values up to 255; wanted 0 and 1"),
    "no mask": (right(gt_masks=0 * right()["gt_masks"]), "gt_masks is zero in all rows"),
    "shares": (right(gt_boxes=BOXES / 100), r"gt_boxes lies in 0\.\.1"),
    "zero rows": (right(gt_valid=np.ones((2, 3), bool)), r"\[0.0, 0.0, 0.0, 0.0\], without area"),
    "xywh": (some(gt_boxes=[20, 60, 30, 40]), "without area"),
    "outside": (some(gt_boxes=[20, 10, 90, 40]), r"outside of the image of 64 x 96"),
    "box nan": (some(gt_boxes=np.inf), "gt_boxes holds numbers that are not finite"),
    "class 0": (some(gt_classes=0), "gt_classes holds 0 .* wanted 1 to 3"),
    "class 4": (some(gt_classes=4), "gt_classes holds 4 "),
    "lengths": (right(image_id=np.int64([1])), "different lengths: .*image_id 1"),
    "rows": (right(gt_crowd=np.zeros((2, 4), bool)), "numbers of objects: .*gt_crowd 4"),
    "a size": (right(size=np.float32([[0.5, 64], [128, 96]])), r"size holds \[128.0, 96.0\]"),
}


@pytest.fixture(scope="module")
def config():
    return tiny_config()


@pytest.mark.parametrize("name", WRONG)
def test_a_batch_made_wrongly_is_one_sentence(name, config):
    batch, message = WRONG[name]
    with pytest.raises(InputError, match=message) as caught:
        BatchCheck(config.model).of_batch(batch)
    assert "\n" not in str(caught.value) and "from_arrays" in str(caught.value)


def test_right_batches_pass_padding_rows_and_images_without_objects_too(config):
    nothing = right(gt_valid=np.zeros((2, 3), bool), gt_masks=np.zeros((2, 3, 112, 112), np.uint8))
    garbage = right(gt_boxes=np.where(VALID[..., None], BOXES, np.float32(-7)))
    for batch in (right(), nothing, garbage, {**right(), "more": "of it"}):
        BatchCheck(config.model).of_batch(batch)
    boxes_alone = tiny_config("mask_head.enabled=false")
    BatchCheck(boxes_alone.model).of_batch(right(gt_masks=None))
    images, coco = make_shapes(2, 96, 128, seed=1)
    ids = [[a for a in coco["annotations"] if a["image_id"] == i] for i in (1, 2)]
    masks, classes = (
        [[a[key] for a in mine] for mine in ids] for key in ("segmentation", "category_id")
    )
    for settings in ([], ["input.padding=centred", "input.order=bgr", "input.std=[1, 1, 1]"]):
        settings = tiny_config(*settings)
        made = from_arrays(images, None, classes, masks, settings, training=True)
        assert BatchCheck(settings.model).of_data(made) is made
        BatchCheck(settings.model).of_batch(next(iter(made)))


def dataset_of(*batches):
    spec = {key: tf.TensorSpec([None, *v.shape[1:]], v.dtype) for key, v in batches[0].items()}
    return tf.data.Dataset.from_generator(lambda: iter(batches), output_signature=spec)


def test_values_of_a_data_set_are_looked_at_in_its_first_batch_alone(config):
    check, wrong = BatchCheck(config.model), some(gt_classes=9)
    later = check.of_data(dataset_of(right(), wrong))
    assert [int(b["gt_classes"].numpy().max()) for b in later] == [3, 9]
    with pytest.raises(tf.errors.OpError) as caught:
        next(iter(check.of_data(dataset_of(wrong, right()))))
    assert "gt_classes holds 9" in str(explained(caught.value, {}))
    with pytest.raises(InputError, match="normalised"):  # known without a batch
        check.of_data(dataset_of(right(image=np.zeros((2, 64, 96, 3), np.uint8))))
    pair = dataset_of(right()).map(lambda batch: (batch,))
    (found,) = next(iter(check.of_data(pair)))
    np.testing.assert_array_equal(found["gt_masks"], right()["gt_masks"])


def test_whatever_else_fit_takes_is_looked_at_too(config):
    check, wrong = BatchCheck(config.model), some(gt_classes=9)
    kept = check.of_data(batch for batch in (right(), wrong))
    assert [int(batch["gt_classes"].max()) for batch in kept] == [3, 9]
    for x in (wrong, (wrong,), iter([wrong]), [wrong], [(wrong,)]):
        with pytest.raises(InputError, match="gt_classes holds 9"):
            check.of_data(x)
    for x in (None, np.zeros((2, 3)), iter([]), [], 7):
        assert check.of_data(x) is x


def test_ragged_boxes_are_told(config):
    ragged = right(gt_boxes=tf.RaggedTensor.from_tensor(BOXES))
    with pytest.raises(InputError, match="gt_boxes is ragged float32"):
        BatchCheck(config.model).of_batch(ragged)


@pytest.fixture(scope="module")
def model(config):
    model = mr.MaskRCNN(config)
    model.compile(run_eagerly=True)
    return model


@pytest.mark.parametrize("method", ["fit", "evaluate", "train_on_batch", "test_on_batch"])
def test_every_road_into_the_model_tells_it_before_a_step(method, model, monkeypatch):
    monkeypatch.setattr(model, "loss_terms", lambda *args, **kwargs: pytest.fail("a step"))
    wrong = right(gt_masks=whole_image_masks([(64, 96)] * 2))
    given = wrong if method.endswith("on_batch") else dataset_of(wrong)
    for _ in range(2):  # the second time as well
        with pytest.raises(InputError, match="whole image") as caught:
            getattr(model, method)(given)
        assert "\n" not in str(caught.value)
    if method == "fit":
        with pytest.raises(InputError, match="The batch has no gt_boxes"):
            model.fit(dataset_of(right()), validation_data=dataset_of(right(gt_boxes=None)))
