"""Backbones, norms and heads other than the defaults, each through training and prediction."""

import numpy as np
import pytest
import tensorflow as tf

import tfmaskrcnn as mr
from helpers.one_stack import on_stack_b
from helpers.tiny import tiny_config, tiny_data
from tfmaskrcnn.config.yaml_files import parse_config
from tfmaskrcnn.data import from_coco
from tfmaskrcnn.errors import InputError
from tfmaskrcnn.model.weights import named_weights
from tfmaskrcnn.train import make_optimizer

WIDE = ("fpn.channels=32", "mask_head.channels=32", "box_head.conv_channels=32")
VARIANTS = {
    "gn": ("backbone.norm=gn", "fpn.norm=gn", "box_head.norm=gn", "mask_head.norm=gn"),
    "v2": (
        *("fpn.norm=bn", "box_head.norm=bn", "mask_head.norm=bn", "rpn.num_convs=2"),
        "rpn.channels=24",
    ),
    "sync_bn": ("backbone.norm=sync_bn", "fpn.norm=sync_bn", "mask_head.norm=sync_bn"),
    "class_agnostic": ("box_head.class_agnostic=true",),
    "resnext": ("backbone.name=resnext50_32x4d", "backbone.freeze_at=2"),
}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return tiny_data(tmp_path_factory.mktemp("shapes"))


@on_stack_b
@pytest.mark.slow
@pytest.mark.parametrize("name", VARIANTS)
def test_every_weight_that_is_trained_moves_and_the_model_predicts(data, name):
    convs = () if name in ("class_agnostic",) else (*WIDE, "box_head.num_convs=2")
    fcs = "box_head.num_fcs=1" if convs else "box_head.num_fcs=2"
    config = tiny_config(*convs, fcs, *VARIANTS[name])
    model = mr.MaskRCNN(config.model)
    batch = next(iter(from_coco(*data, config, training=True)))
    model.compile(make_optimizer(config.train, 2), run_eagerly=True)
    before = {path: v.numpy() for path, v in named_weights(model).items()}
    logs = [model.train_on_batch(batch, return_dict=True) for _ in range(3)][-1]
    assert np.isfinite(logs["loss"]) and logs["box_loss"] > 0
    after = {path: v.numpy() for path, v in named_weights(model).items()}
    assert all(np.isfinite(value).all() for value in after.values())
    trained = {id(v) for v in model.trainable_variables}
    still = [
        path
        for path, v in named_weights(model).items()
        if ("moving" in path or id(v) in trained) and np.array_equal(before[path], after[path])
    ]
    # Frozen stages keep their statistics; a dead ReLU may keep single vectors.
    still = [path for path in still if not path.startswith(("backbone/stem", "backbone/res2"))]
    assert len(still) <= 2, still
    image = np.random.default_rng(0).integers(0, 256, (90, 120, 3), np.uint8)
    found = model.predict_images([image], score_threshold=0.0)[0]
    assert len(found) == 20 and np.isfinite(found.boxes).all()


def test_batches_of_padding_leave_the_mask_heads_statistics(tmp_path):
    data = tiny_data(tmp_path, num_images=1, num_objects=(1, 1))
    config = tiny_config(*WIDE, "mask_head.norm=bn", "train.batch_size=1")
    model = mr.MaskRCNN(config.model)
    batch = dict(next(iter(from_coco(*data, config, training=True))))
    batch["gt_valid"] = tf.zeros_like(batch["gt_valid"])  # no object: no positive RoI
    model.compile(make_optimizer(config.train, 2), run_eagerly=True)
    model.train_on_batch(batch)
    norm = model.mask_head.convs[0].norm
    np.testing.assert_array_equal(norm.moving_variance.numpy(), np.ones(32))


def test_a_group_norm_that_does_not_divide_the_channels_is_explained():
    for override in (
        "backbone={name: efficientnet_lite0, norm: gn}",
        "fpn={channels: 48, norm: gn}",
        "mask_head={channels: 48, norm: gn}",
        "box_head={conv_channels: 48, norm: gn}",
    ):
        with pytest.raises(InputError, match="norm gn makes 32 groups"):
            parse_config({}, [override], "test")
