import functools
import math

import numpy as np
import pytest
import tensorflow as tf

from tfmaskrcnn.config.heads import BoxHeadConfig, MaskHeadConfig, mask_channels
from tfmaskrcnn.config.model import RpnConfig
from tfmaskrcnn.model.losses import (
    box_losses,
    class_loss,
    delta_loss,
    mask_loss,
    mask_losses,
    number_of,
    objectness_loss,
    rpn_losses,
)
from tfmaskrcnn.model.roi_samples import RoiSample, positives_only, sample_rois
from tfmaskrcnn.ops.masks import mask_targets
from tfmaskrcnn.ops.structures import PYRAMID_LEVELS, GroundTruth, Proposals, RpnOutput
from tfmaskrcnn.ops.tensors import as_graph

CLASSES, SIDE = 3, 8  # K and M
RPN = RpnConfig(samples_per_image=16)
BOX = BoxHeadConfig(samples_per_image=16)
MASK = MaskHeadConfig()
TIGHT = BoxHeadConfig(samples_per_image=8, positive_fraction=0.5, delta_weights=(1, 1, 1, 1))
# Boxes that overlap one another by less than any threshold.
GRID = [[y, x, y + 20.0, x + 30.0] for y in (0, 40, 80) for x in (0, 50, 100)]


def ground_truth(boxes, classes=None, valid=None, crowd=None, masks=None):
    """A `GroundTruth` from [B, G, 4] boxes; by default all valid, of class 1, masks of ones."""
    boxes = np.asarray(boxes, np.float32)
    shape = boxes.shape[:2]
    no = np.zeros(shape, bool)
    return GroundTruth(
        tf.constant(boxes),
        tf.constant(np.ones(shape) if classes is None else classes, tf.int32),
        tf.constant(np.ones((*shape, 112, 112)) if masks is None else masks, tf.uint8),
        tf.constant(~no if valid is None else valid),
        tf.constant(no if crowd is None else crowd),
    )


def no_objects(batch=1, rows=2):
    """Ground truth that is padding alone, as the data pipeline makes it."""
    return ground_truth(
        np.zeros((batch, rows, 4)),
        np.zeros((batch, rows)),
        np.zeros((batch, rows), bool),
        masks=np.zeros((batch, rows, 112, 112)),
    )


def proposals_of(boxes, valid=None):
    boxes = tf.constant(boxes, tf.float32)
    shape = boxes.shape[:2]
    valid = tf.ones(shape, tf.bool) if valid is None else tf.constant(valid)
    return Proposals(boxes, tf.zeros(shape), valid)


def rpn_output(anchors, logits, deltas):
    """An `RpnOutput` with [N, 4] anchors dealt out to the levels in turn."""
    cuts = np.linspace(0, len(anchors), len(PYRAMID_LEVELS) + 1).astype(int)
    spans = {level: slice(*cuts[i : i + 2]) for i, level in enumerate(PYRAMID_LEVELS)}
    return RpnOutput(
        {level: tf.constant(logits, tf.float32)[:, s] for level, s in spans.items()},
        {level: tf.constant(deltas, tf.float32)[:, s] for level, s in spans.items()},
        {level: tf.constant(anchors, tf.float32)[s] for level, s in spans.items()},
    )


def seeds(*numbers):
    return tf.constant([[n, 3] for n in numbers], tf.int32)


def perfect_deltas(boxes, anchors, weights=(1.0, 1.0, 1.0, 1.0)):
    """R-CNN, appendix C, in NumPy."""
    size, anchor_size = boxes[..., 2:] - boxes[..., :2], anchors[..., 2:] - anchors[..., :2]
    center, anchor_center = boxes[..., :2] + size / 2, anchors[..., :2] + anchor_size / 2
    shift = (center - anchor_center) / anchor_size
    return np.concatenate([shift, np.log(size / anchor_size)], -1) * np.asarray(weights)


def random_scene(seed, batch=2, objects=4, rows=6):
    """Ground truth with padding and a crowd row, and proposals around the objects."""
    rng = np.random.default_rng(seed)
    boxes, classes = np.zeros((batch, rows, 4)), np.zeros((batch, rows), int)
    for b in range(batch):
        boxes[b, :objects] = np.array(GRID)[rng.permutation(9)[:objects]]
        classes[b, :objects] = rng.integers(1, CLASSES + 1, objects)
    valid = np.tile(np.arange(rows) < objects, (batch, 1))
    crowd = np.tile(np.arange(rows) == objects - 1, (batch, 1))
    masks = rng.uniform(size=(batch, rows, 112, 112)) < 0.5
    truth = ground_truth(boxes, classes, valid, crowd, masks)
    near = np.repeat(boxes[:, :objects], 8, axis=1) + rng.normal(0, 2.0, (batch, 8 * objects, 4))
    corner = rng.uniform(0, 100, (batch, 30, 2))
    far = np.concatenate([corner, corner + rng.uniform(5, 40, (batch, 30, 2))], -1)
    return truth, proposals_of(np.concatenate([near, far, np.zeros((batch, 4, 4))], 1))


def random_predictions(seed, batch=2, rois=16):
    rng = np.random.default_rng(1000 + seed)
    logits = rng.normal(size=(batch, rois, CLASSES + 1))
    deltas = rng.normal(size=(batch, rois, CLASSES, 4))
    masks = rng.normal(size=(batch, rois, SIDE, SIDE, CLASSES))
    return [tf.constant(x, tf.float32) for x in (logits, deltas, masks)]


def head_losses(truth, proposals, predictions, seed_rows, config=BOX):
    rois = sample_rois(proposals, truth, seed_rows, config)
    logits, deltas, masks = predictions
    return {
        **box_losses(logits, deltas, rois, truth, config),
        **mask_losses(masks, rois, truth, MASK),
    }


def divided(term):
    return float(term.total / tf.maximum(term.count, 1.0))


def only(tensors, image):
    return type(tensors)(*(t if t is None else t[image : image + 1] for t in tensors))


# The single terms.


def test_objectness_is_binary_cross_entropy_summed_over_valid_rows():
    logits = tf.constant([[0.0, 2.0, -1.0, 5.0]])
    positive = tf.constant([[True, True, False, False]])
    valid = tf.constant([[True, True, True, False]])
    expected = math.log(2) + math.log(1 + math.exp(-2)) + math.log(1 + math.exp(-1))
    np.testing.assert_allclose(objectness_loss(logits, positive, valid), expected, rtol=1e-6)


def test_class_loss_is_softmax_cross_entropy_summed_over_valid_rows():
    logits = tf.constant([[[0.0, 0.0, 0.0], [math.log(2), 0.0, math.log(5)], [9.0, 9.0, 9.0]]])
    classes, valid = tf.constant([[1, 2, 0]]), tf.constant([[True, True, False]])
    term = class_loss(logits, classes, valid)
    np.testing.assert_allclose(term.total, math.log(3) + math.log(8 / 5), rtol=1e-6)
    assert float(term.count) == 2.0


def test_class_weights_multiply_the_loss_of_their_class_and_are_not_divided_by():
    logits = tf.constant([[[0.0, 0.0, 0.0], [math.log(2), 0.0, math.log(5)], [9.0, 9.0, 9.0]]])
    classes, valid = tf.constant([[0, 2, 1]]), tf.constant([[True, True, False]])
    term = class_loss(logits, classes, valid, class_weights=(1.0, 7.0, 3.0))
    np.testing.assert_allclose(term.total, math.log(3) + 3 * math.log(8 / 5), rtol=1e-6)
    assert float(term.count) == 2.0  # RoIs, whatever they weigh
    focal = class_loss(logits, classes, valid, 2.0, (1.0, 7.0, 3.0))
    expected = (2 / 3) ** 2 * math.log(3) + 3 * (3 / 8) ** 2 * math.log(8 / 5)
    np.testing.assert_allclose(focal.total, expected, rtol=1e-6)


def test_by_default_the_class_loss_is_the_cross_entropy_to_the_bit():
    truth, proposals = random_scene(0)
    logits, deltas, _ = random_predictions(0)
    rois = sample_rois(proposals, truth, seeds(1, 2), BOX)
    each = tf.nn.sparse_softmax_cross_entropy_with_logits(rois.classes, logits)
    expected = tf.reduce_sum(tf.where(rois.valid, each, 0.0))
    ones = (1.0,) * (CLASSES + 1)
    none = BOX.model_copy(update={"loss": "focal", "focal_gamma": 0.0})
    for config, weights in ((BOX, None), (BOX, ones), (none, None)):
        term = box_losses(logits, deltas, rois, truth, config, weights)["cls_loss"]
        np.testing.assert_array_equal(term.total, expected)


def test_weighed_focal_losses_of_half_batches_add_up_to_the_whole():
    truth, proposals = random_scene(1)
    logits, deltas, _ = random_predictions(1)
    rois = sample_rois(proposals, truth, seeds(1, 2), BOX)
    config = BOX.model_copy(update={"loss": "focal"})

    def terms(*rows):
        parts = (tf.gather(x, rows) for x in (logits, deltas))
        own = RoiSample(*(tf.gather(x, rows) for x in rois))
        objects = GroundTruth(*(x if x is None else tf.gather(x, rows) for x in truth))
        return box_losses(*parts, own, objects, config, (1.0, 0.3, 2.0, 9.0))

    whole, first, second = terms(0, 1), terms(0), terms(1)
    for name, term in whole.items():
        for found, *parts in zip(term, first[name], second[name]):
            np.testing.assert_allclose(found, sum(parts), rtol=1e-6)
    assert float(whole["box_loss"].count) == float(whole["cls_loss"].count)


def test_without_rois_a_weighed_focal_loss_is_0():
    empty = tf.zeros([2, 0], tf.int32)
    term = class_loss(tf.zeros([2, 0, 3]), empty, tf.cast(empty, tf.bool), 2.0, (1.0, 2.0, 3.0))
    assert float(term.total) == float(term.count) == 0.0


@pytest.mark.parametrize(
    "beta, expected",
    [
        (0.0, 0.25 + 0.5 + 3.0),
        (1.0, 0.03125 + 0.125 + 2.5),
        (3.0, (0.0625 + 0.25) / 6 + 1.5),  # where the square meets the line both say 1.5
    ],
)
def test_delta_loss_is_smooth_l1_summed_over_positive_rows(beta, expected):
    deltas = tf.constant([[[0.25, -0.5, 0.0, 3.0], [9.0, 9.0, 9.0, 9.0]]])
    found = delta_loss(deltas, tf.zeros([1, 2, 4]), tf.constant([[True, False]]), beta)
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_mask_loss_is_the_mean_over_a_mask_summed_over_positives():
    logits = tf.constant(np.stack([np.zeros((2, 2)), [[2, -2], [2, -2]], 50 * np.ones((2, 2))]))
    logits = tf.cast(logits, tf.float32)[None]
    targets = tf.constant([[[[0.0, 1.0], [1.0, 0.0]], [[1.0, 0.0], [0.0, 0.0]], [[0.0, 0.0]] * 2]])
    term = mask_loss(logits, targets, tf.constant([[True, True, False]]))
    right, wrong = math.log(1 + math.exp(-2)), math.log(1 + math.exp(2))
    np.testing.assert_allclose(term.total, math.log(2) + (3 * right + wrong) / 4, rtol=1e-6)
    assert float(term.count) == 2.0


def test_number_of_counts_in_float32():
    found = number_of(tf.constant([[True, False], [True, True]]))
    assert found.dtype == tf.float32 and float(found) == 3.0
    assert float(number_of(tf.zeros([2, 0], tf.bool))) == 0.0


# The RPN.


def shifted_grid_case(logit=30.0):
    """Anchors 1 pixel beside four objects, five anchors on nothing, and what fits them."""
    grid = np.array(GRID)
    anchors = grid + 1.0
    truth = ground_truth(grid[None, :4])
    deltas = np.zeros((1, 9, 4))
    deltas[0, :4] = perfect_deltas(grid[:4], anchors[:4])
    logits = np.full((1, 9), -logit)
    logits[0, :4] = logit
    return anchors, truth, logits, deltas


def test_a_perfect_rpn_has_no_loss():
    anchors, truth, logits, deltas = shifted_grid_case()
    terms = rpn_losses(rpn_output(anchors, logits, deltas), truth, seeds(1), RPN)
    assert set(terms) == {"rpn_cls_loss", "rpn_box_loss"}
    for term in terms.values():
        assert 0 <= float(term.total) < 1e-5


def test_rpn_losses_of_a_hand_checked_case():
    anchors, truth, logits, deltas = shifted_grid_case()
    terms = rpn_losses(rpn_output(anchors, 0 * logits, 0 * deltas), truth, seeds(1), RPN)
    # All nine anchors fit into the sample of 16: ln 2 each. A pixel is 1/20 of the four objects'
    # height and 1/30 of their width; their size is right.
    np.testing.assert_allclose(terms["rpn_cls_loss"].total, 9 * math.log(2), rtol=1e-5)
    np.testing.assert_allclose(terms["rpn_box_loss"].total, 4 * (1 / 20 + 1 / 30), rtol=1e-4)


def test_rpn_losses_are_divided_by_the_anchors_to_sample():
    anchors, truth, logits, deltas = shifted_grid_case()
    truth = GroundTruth(*(p if p is None else tf.concat([p] * 3, 0) for p in truth))
    rpn = rpn_output(anchors, np.tile(logits, (3, 1)), np.tile(deltas, (3, 1, 1)))
    for term in rpn_losses(rpn, truth, seeds(1, 2, 3), RPN).values():
        assert float(term.count) == 3 * 16  # though an image has nine anchors


def test_smooth_l1_of_the_rpn_uses_its_beta():
    anchors, truth, logits, deltas = shifted_grid_case()
    config = RPN.model_copy(update={"smooth_l1_beta": 1.0})
    terms = rpn_losses(rpn_output(anchors, logits, 0 * deltas), truth, seeds(1), config)
    expected = 4 * 0.5 * (1 / 20**2 + 1 / 30**2)
    np.testing.assert_allclose(terms["rpn_box_loss"].total, expected, rtol=1e-3)


def test_an_rpn_of_sampled_anchors_looks_at_no_others():
    rng = np.random.default_rng(0)
    corner = rng.uniform(200, 400, (100, 2))
    anchors = np.concatenate([corner, corner + 20.0], 1)
    truth = ground_truth([[[0, 0, 20, 30], [0, 0, 0, 0]]], valid=[[True, False]])
    anchors[7] = [0, 0, 20, 30]
    rpn = rpn_output(anchors, np.zeros((1, 100)), np.zeros((1, 100, 4)))
    for seed in range(20):
        total = rpn_losses(rpn, truth, seeds(seed), RPN)["rpn_cls_loss"].total
        np.testing.assert_allclose(total, 16 * math.log(2), rtol=1e-5)


def test_without_objects_the_rpn_learns_background_alone():
    anchors, _, logits, deltas = shifted_grid_case()
    terms = rpn_losses(rpn_output(anchors, 0 * logits, deltas), no_objects(), seeds(1), RPN)
    np.testing.assert_allclose(terms["rpn_cls_loss"].total, 9 * math.log(2), rtol=1e-5)
    assert float(terms["rpn_box_loss"].total) == 0.0


# The sample of RoIs.


def test_ground_truth_boxes_are_rois_too():
    truth = ground_truth([GRID[:3]], [[1, 2, 3]])
    none = proposals_of(np.zeros((1, 4, 4)), np.zeros((1, 4), bool))
    rois = sample_rois(none, truth, seeds(1), TIGHT)
    assert int(tf.reduce_sum(tf.cast(rois.valid, tf.int32))) == 3
    order = np.argsort(rois.gt_index[0, :3])
    np.testing.assert_array_equal(rois.boxes.numpy()[0, :3][order], GRID[:3])
    np.testing.assert_array_equal(rois.classes.numpy()[0, :3][order], [1, 2, 3])
    np.testing.assert_array_equal(rois.positive[0], [True] * 3 + [False] * 5)


def test_rois_take_the_class_of_their_object_or_background():
    boxes = [[0, 0, 20, 30], [1, 1, 21, 31], [41, 51, 61, 81], [200, 200, 250, 250]]
    truth = ground_truth([[GRID[0], GRID[4]]], [[3, 2]])
    half = BOX.model_copy(update={"positive_fraction": 0.5})
    rois = sample_rois(proposals_of([boxes]), truth, seeds(1), half)
    columns = (rois.boxes, rois.classes, rois.positive, rois.valid)
    found = {
        tuple(box): (kind, positive)
        for box, kind, positive, valid in zip(*(part.numpy()[0] for part in columns))
        if valid
    }
    assert found == {
        (0, 0, 20, 30): (3, True),
        (1, 1, 21, 31): (3, True),
        (41, 51, 61, 81): (2, True),
        (200, 200, 250, 250): (0, False),
        (40, 50, 60, 80): (2, True),  # the second object itself
    }


@pytest.mark.parametrize("seed", range(20))
def test_positives_come_first_and_are_never_crowd_nor_padding(seed):
    truth, proposals = random_scene(seed)
    rois = sample_rois(proposals, truth, seeds(seed, seed + 50), BOX)
    positive, valid = rois.positive.numpy(), rois.valid.numpy()
    assert (np.diff(positive.astype(int) + valid, axis=1) <= 0).all()
    assert positive.any(1).all() and positive.sum(1).max() <= 4
    assert (rois.gt_index.numpy()[positive] < 3).all()  # row 3 is crowd, 4 and 5 padding
    np.testing.assert_array_equal(rois.classes.numpy() > 0, positive)
    sides = rois.boxes[..., 2:] - rois.boxes[..., :2]
    iou_rows = tf.gather(truth.boxes, rois.gt_index, batch_dims=1)
    overlap = tf.minimum(rois.boxes[..., 2:], iou_rows[..., 2:])
    overlap = tf.maximum(overlap - tf.maximum(rois.boxes[..., :2], iou_rows[..., :2]), 0)
    overlap, area = tf.reduce_prod(overlap, -1), tf.reduce_prod(sides, -1)
    share = (overlap / (area + 600.0 - overlap)).numpy()  # every object has 20 x 30 pixels
    assert (share[positive] >= 0.5).all() and (share[valid & ~positive] < 0.5).all()


def test_crowd_boxes_are_neither_rois_nor_background():
    beside = [1, 1, 21, 31]  # a crowd where the object is; its box would match the object
    truth = ground_truth([[GRID[0], GRID[8], beside]], crowd=[[False, True, True]])
    boxes = [[80, 100, 100, 130], [82, 102, 98, 128], [200, 200, 220, 220]]
    rois = sample_rois(proposals_of([boxes]), truth, seeds(1), BOX)
    kept = rois.boxes.numpy()[rois.valid.numpy()]
    np.testing.assert_array_equal(kept, [GRID[0], [200, 200, 220, 220]])


def test_the_mask_head_needs_the_first_rows_alone():
    for seed in range(20):
        truth, proposals = random_scene(seed, batch=1)
        rois = sample_rois(proposals, truth, seeds(seed), BOX)
        first = positives_only(rois, BOX, fixed=True)
        assert first.boxes.shape == [1, 4, 4]  # a quarter of 16
        assert float(number_of(first.positive)) == float(number_of(rois.positive)) > 0
    tiny = BoxHeadConfig(samples_per_image=3, positive_fraction=0.25)
    rois = sample_rois(proposals, truth, seeds(0), tiny)
    first = positives_only(rois, tiny, fixed=True)
    assert first.boxes.shape[1] == 1 and float(number_of(rois.positive)) == 1.0


@pytest.mark.parametrize("seed", range(3))
def test_the_mask_loss_of_the_first_rows_is_that_of_all(seed):
    truth, proposals = random_scene(seed)
    rois = sample_rois(proposals, truth, seeds(seed, seed + 50), BOX)
    masks = random_predictions(seed)[2]
    whole = mask_losses(masks, rois, truth, MASK)["mask_loss"]
    first = positives_only(rois, BOX, fixed=True)
    first = mask_losses(masks[:, :4], first, truth, MASK)["mask_loss"]
    np.testing.assert_allclose(first.total, whole.total, rtol=1e-6)
    assert float(first.count) == float(whole.count)


@pytest.mark.parametrize(
    "counts, rows",
    [([0], 16), ([1], 16), ([16], 16), ([17, 3], 32), ([5, 128], 128), ([113], 128)],
)
def test_the_mask_head_sees_the_positives_rounded_up_to_eighths(counts, rows):
    positive = tf.constant(np.arange(512) < np.array(counts)[:, np.newaxis])
    boxes = tf.reshape(tf.range(512.0 * 4 * len(counts)), [len(counts), 512, 4])
    index = tf.tile([tf.range(512)], [len(counts), 1])
    found = positives_only(RoiSample(boxes, index, index, positive, positive), BoxHeadConfig())
    assert found.boxes.shape == [len(counts), rows, 4]
    np.testing.assert_array_equal(found.boxes, boxes[:, :rows])
    assert float(number_of(found.positive)) == sum(counts)


# The heads.


def two_rois():
    """A RoI of class 2, a pixel beside its object, one of background and one row of padding."""
    truth = ground_truth([[GRID[4], GRID[0]]], [[2, 1]])
    boxes = np.array([[[41, 51, 61, 81], [100, 0, 120, 30], [0, 0, 20, 30]]], np.float32)
    flags = [[True, False, False]], [[True, True, False]]
    rois = RoiSample(
        tf.constant(boxes),
        tf.constant([[2, 0, 0]]),
        tf.constant([[0, 1, 1]]),
        *map(tf.constant, flags),
    )
    return rois, truth


def test_perfect_heads_have_no_loss():
    rois, truth = two_rois()
    logits = 60.0 * tf.one_hot(rois.classes, CLASSES + 1)
    deltas = np.random.default_rng(0).normal(size=(1, 3, CLASSES, 4))
    deltas[0, 0, 1] = perfect_deltas(truth.boxes[0, 0], rois.boxes[0, 0], BOX.delta_weights)
    terms = box_losses(logits, tf.constant(deltas, tf.float32), rois, truth, BOX)
    targets = mask_targets(rois.boxes, truth.boxes, truth.masks, rois.gt_index, SIDE)
    masks = np.random.default_rng(1).normal(size=(1, 3, SIDE, SIDE, CLASSES))
    masks[..., 1] = 60.0 * (2.0 * targets - 1.0)
    terms.update(mask_losses(tf.constant(masks, tf.float32), rois, truth, MASK))
    assert set(terms) == {"cls_loss", "box_loss", "mask_loss"}
    for term in terms.values():
        assert 0 <= float(term.total) < 1e-4 and float(term.count) > 0


def test_head_losses_of_a_hand_checked_case():
    rois, truth = two_rois()
    zeros = tf.zeros([1, 3, CLASSES + 1]), tf.zeros([1, 3, CLASSES, 4])
    terms = box_losses(*zeros, rois, truth, BOX)
    np.testing.assert_allclose(terms["cls_loss"].total, 2 * math.log(4), rtol=1e-6)
    # A pixel of 20 x 30, times the factors 10 of dy and dx.
    np.testing.assert_allclose(terms["box_loss"].total, 10 / 20 + 10 / 30, rtol=1e-4)
    # Both are divided by the RoIs, positive or not; the mask loss by the positive ones.
    assert float(terms["cls_loss"].count) == float(terms["box_loss"].count) == 2.0
    mask = mask_losses(tf.zeros([1, 3, SIDE, SIDE, CLASSES]), rois, truth, MASK)["mask_loss"]
    np.testing.assert_allclose(mask.total, math.log(2), rtol=1e-6)
    assert float(mask.count) == 1.0


def test_smooth_l1_of_the_box_head_uses_its_beta():
    rois, truth = two_rois()
    zeros = tf.zeros([1, 3, CLASSES + 1]), tf.zeros([1, 3, CLASSES, 4])
    config = BOX.model_copy(update={"smooth_l1_beta": 1.0})
    found = box_losses(*zeros, rois, truth, config)["box_loss"].total
    np.testing.assert_allclose(found, 0.5 * (0.5**2 + (1 / 3) ** 2), rtol=1e-3)


def test_box_and_mask_loss_look_at_the_true_class_alone():
    rois, truth = two_rois()
    logits, deltas, masks = (x[:1, :3] for x in random_predictions(0))

    def losses(class_index, change):
        there = tf.one_hot(class_index, CLASSES)
        box = box_losses(logits, deltas + change * there[:, None], rois, truth, BOX)["box_loss"]
        mask = mask_losses(masks + change * there, rois, truth, MASK)["mask_loss"]
        return float(box.total), float(mask.total)

    before = losses(0, 0.0)
    assert losses(0, 7.0) == before and losses(2, 7.0) == before
    assert losses(1, 7.0)[0] != before[0] and losses(1, 7.0)[1] != before[1]


def test_the_box_loss_of_a_class_agnostic_head_takes_the_one_box_of_each_roi():
    rois, truth = two_rois()
    logits, deltas, _ = (x[:1, :3] for x in random_predictions(0))
    shared = deltas[:, :, 1:2]  # of class 2, the only positive's
    found = box_losses(logits, shared, rois, truth, BOX)["box_loss"]
    np.testing.assert_allclose(
        found.total, box_losses(logits, deltas, rois, truth, BOX)["box_loss"].total
    )


def test_mask_targets_are_cut_from_the_objects_own_mask():
    masks = np.zeros((1, 2, 112, 112))
    masks[0, 0, :56] = 1  # the upper half of the first object
    masks[0, 1] = 1
    truth = ground_truth([[GRID[4], GRID[0]]], [[2, 1]], masks=masks)
    own = tf.constant([GRID[4]], tf.float32)
    yes = tf.constant([[True]])
    rois = RoiSample(own[None], tf.constant([[2]]), tf.constant([[0]]), yes, yes)
    upper = np.full((1, 1, SIDE, SIDE, CLASSES), -60.0)
    upper[:, :, : SIDE // 2] = 60.0
    right = mask_losses(tf.constant(upper, tf.float32), rois, truth, MASK)["mask_loss"]
    assert float(right.total) < 1e-6
    wrong = mask_losses(tf.constant(-upper, tf.float32), rois, truth, MASK)["mask_loss"]
    np.testing.assert_allclose(wrong.total, 60.0, rtol=1e-5)


def half_mask_scene():
    """One RoI of class 2 whose mask is its upper half, and one of background."""
    masks = np.zeros((1, 1, 112, 112))
    masks[0, 0, :56] = 1
    truth = ground_truth([[GRID[4]]], [[2]], masks=masks)
    boxes = tf.constant([[GRID[4], GRID[0]]], tf.float32)
    rois = RoiSample(
        boxes,
        tf.constant([[2, 0]]),
        tf.constant([[0, 0]]),
        tf.constant([[True, False]]),
        tf.constant([[True, True]]),
    )
    return truth, rois


def test_in_the_softmax_mask_loss_background_and_classes_compete():
    truth, rois = half_mask_scene()
    config = MaskHeadConfig(loss="softmax")
    logits = np.zeros((1, 2, SIDE, SIDE, CLASSES + 1), np.float32)
    even = mask_losses(tf.constant(logits), rois, truth, config)["mask_loss"]
    assert float(even.count) == 1.0
    np.testing.assert_allclose(even.total, np.log(CLASSES + 1), rtol=1e-6)
    logits[:, :, : SIDE // 2, :, 2] = 60.0  # class 2 inside
    logits[:, :, SIDE // 2 :, :, 0] = 60.0  # background outside
    right = mask_losses(tf.constant(logits), rois, truth, config)["mask_loss"]
    assert float(right.total) < 1e-6
    logits[..., 1] = 120.0  # with a sigmoid, another class's channel would not matter
    wrong = mask_losses(tf.constant(logits), rois, truth, config)["mask_loss"]
    np.testing.assert_allclose(wrong.total, 60.0, rtol=1e-5)


@pytest.mark.parametrize("loss", ["sigmoid", "softmax"])
def test_class_agnostic_masks_are_learnt_whatever_the_class(loss):
    truth, rois = half_mask_scene()
    config = MaskHeadConfig(loss=loss, class_agnostic=True)
    logits = np.full((1, 2, SIDE, SIDE, mask_channels(config, CLASSES)), -60.0, np.float32)
    logits[..., : SIDE // 2, :, -1] = 60.0
    if loss == "softmax":
        logits[..., 0] = 0.0
    other = rois._replace(classes=tf.constant([[1, 0]]))
    for sample in (rois, other):
        term = mask_losses(tf.constant(logits), sample, truth, config)["mask_loss"]
        assert float(term.total) < 1e-6 and float(term.count) == 1.0


# The whole.


def all_losses(truth, proposals, predictions, rpn, seed_rows):
    terms = rpn_losses(rpn, truth, seed_rows, RPN)
    return {**terms, **head_losses(truth, proposals, predictions, seed_rows)}


def random_rpn(seed, batch=2):
    rng = np.random.default_rng(2000 + seed)
    anchors = np.repeat(GRID, 6, axis=0) + rng.normal(0, 2.0, (54, 4))
    return rpn_output(anchors, rng.normal(size=(batch, 54)), rng.normal(size=(batch, 54, 4)))


def one_image_of(rpn, image):
    cut = slice(image, image + 1)
    return RpnOutput(
        {level: x[cut] for level, x in rpn.logits.items()},
        {level: x[cut] for level, x in rpn.deltas.items()},
        rpn.anchors,
    )


@pytest.mark.parametrize("seed", range(5))
def test_the_sums_and_counts_of_half_batches_add_up_to_the_whole(seed):
    truth, proposals = random_scene(seed)
    predictions, rpn, rows = random_predictions(seed), random_rpn(seed), seeds(seed, seed + 50)
    whole = all_losses(truth, proposals, predictions, rpn, rows)
    halves = [
        all_losses(
            only(truth, i),
            only(proposals, i),
            [p[i : i + 1] for p in predictions],
            one_image_of(rpn, i),
            rows[i : i + 1],
        )
        for i in range(2)
    ]
    for name, term in whole.items():
        assert float(term.total) > 0, name
        np.testing.assert_allclose(halves[0][name].total + halves[1][name].total, term.total, 1e-5)
        assert float(halves[0][name].count + halves[1][name].count) == float(term.count)


@pytest.mark.parametrize("seed", range(5))
def test_garbage_in_rows_of_padding_changes_nothing(seed):
    truth, proposals = random_scene(seed)
    predictions, rpn, rows = random_predictions(seed), random_rpn(seed), seeds(seed, seed + 50)
    usable = tf.tile(tf.range(66)[None] < 40, [2, 1])
    proposals = proposals._replace(valid=usable)
    clean = all_losses(truth, proposals, predictions, rpn, rows)
    rng = np.random.default_rng(seed)
    padding = tf.tile(tf.range(6)[None] >= 4, [2, 1])
    boxes = tf.constant(rng.uniform(0, 60, (2, 6, 4)) + [0, 0, 60, 60], tf.float32)
    garbage = truth._replace(
        boxes=tf.where(padding[..., None], boxes, truth.boxes),
        classes=tf.where(padding, 3, truth.classes),
        masks=tf.where(padding[..., None, None], tf.ones([], tf.uint8), truth.masks),
        crowd=truth.crowd | padding,
    )
    # Unused proposals on top of the objects would be positive, were they looked at.
    unused = tf.concat([proposals.boxes[:, :40], tf.repeat(truth.boxes[:, :2], 13, axis=1)], axis=1)
    dirty = all_losses(garbage, proposals._replace(boxes=unused), predictions, rpn, rows)
    for name, term in clean.items():
        np.testing.assert_array_equal(dirty[name], term, err_msg=name)


def test_rows_that_are_no_sample_do_not_count():
    rois, truth = two_rois()
    logits, deltas, masks = (x[:1, :3] for x in random_predictions(0))
    loud = [tf.concat([x[:, :2], 1e6 * tf.ones_like(x[:, 2:])], 1) for x in (logits, deltas, masks)]
    clean = {
        **box_losses(logits, deltas, rois, truth, BOX),
        **mask_losses(masks, rois, truth, MASK),
    }
    dirty = {**box_losses(*loud[:2], rois, truth, BOX), **mask_losses(loud[2], rois, truth, MASK)}
    for name, term in clean.items():
        np.testing.assert_array_equal(dirty[name], term, err_msg=name)


def test_without_objects_boxes_and_masks_have_no_loss():
    _, proposals = random_scene(0)
    predictions, rows = random_predictions(0), seeds(1, 2)
    terms = all_losses(no_objects(2), proposals, predictions, random_rpn(0), rows)
    for name in ("rpn_box_loss", "box_loss", "mask_loss"):
        assert float(terms[name].total) == divided(terms[name]) == 0.0
    assert float(terms["mask_loss"].count) == 0.0
    assert divided(terms["cls_loss"]) > 0 and divided(terms["rpn_cls_loss"]) > 0


@pytest.mark.parametrize("beta", [0.0, 1.0])
@pytest.mark.parametrize("objects", [True, False])
def test_gradients_are_finite_and_reach_every_prediction(objects, beta):
    truth, proposals = random_scene(0)
    truth = truth if objects else no_objects(2, 6)
    predictions, rpn = random_predictions(0), random_rpn(0)
    rpn_config = RPN.model_copy(update={"smooth_l1_beta": beta})
    config = BOX.model_copy(update={"smooth_l1_beta": beta})
    watched = [*predictions, rpn.logits["p2"], rpn.deltas["p2"]]
    with tf.GradientTape() as tape:
        tape.watch(watched)
        terms = rpn_losses(rpn, truth, seeds(1, 2), rpn_config)
        terms.update(head_losses(truth, proposals, predictions, seeds(1, 2), config))
        total = tf.add_n([t.total / tf.maximum(t.count, 1.0) for t in terms.values()])
    logits, deltas, masks, rpn_logits, rpn_deltas = tape.gradient(
        total, watched, unconnected_gradients="zero"
    )
    for gradient in (logits, deltas, masks, rpn_logits, rpn_deltas):
        assert np.isfinite(gradient).all()
    assert np.abs(logits).sum() > 0 and np.abs(rpn_logits).sum() > 0
    for gradient in (deltas, masks, rpn_deltas):
        assert (np.abs(gradient).sum() > 0) == objects


def test_it_runs_in_a_graph_of_unknown_batch_size():
    truth, proposals = random_scene(0)
    # Noise has ties at 0.5, which a graph rounds in its own way.
    truth = truth._replace(masks=tf.ones_like(truth.masks))
    predictions, rows = random_predictions(0), seeds(3, 4)

    def spec(x):
        return tf.TensorSpec([None, *x.shape[1:]], x.dtype)

    given = {name: part for name, part in truth._asdict().items() if part is not None}
    arguments = (given, proposals, predictions, rows)

    @functools.partial(as_graph, input_signature=tf.nest.map_structure(spec, arguments))
    def graph(given, proposals, predictions, rows):
        return head_losses(GroundTruth(**given), proposals, predictions, rows)

    expected = head_losses(truth, proposals, predictions, rows)
    for name, term in graph(*arguments).items():
        np.testing.assert_allclose(term, expected[name], rtol=1e-5, err_msg=name)
