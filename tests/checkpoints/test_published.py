"""The list of published weights: each name loads from a file of the published shape."""

import re

import keras
import numpy as np
import pytest
import tensorflow as tf

from helpers.published_shapes import manifest, published_shapes
from tfmaskrcnn.checkpoints.imagenet import is_classifier
from tfmaskrcnn.checkpoints.importing import SOURCES, from_checkpoint
from tfmaskrcnn.checkpoints.published import BACKBONES, DETECTORS, LICENCES
from tfmaskrcnn.checkpoints.resnet_names import backbone_of, backbone_table, torchvision_name
from tfmaskrcnn.checkpoints.weight_table import converted
from tfmaskrcnn.config.recipes import recipes
from tfmaskrcnn.model.layers.resnet import RESNETS

ALL = {**DETECTORS, **BACKBONES}
# What torchvision's code says of its models: the numbers that are trained.
PARAMETERS = {
    "maskrcnn_resnet50_fpn_coco": 44401393,
    "maskrcnn_resnet50_fpn_v2_coco": 46359409,
    "fasterrcnn_resnet50_fpn_coco": 41755286,
    "fasterrcnn_resnet50_fpn_v2_coco": 43712278,
    "keypointrcnn_resnet50_fpn_coco": 59137258,
    "resnet50_imagenet1k_v1": 25557032,
    "resnet101_imagenet1k_v1": 44549160,
}


def zeros(shapes):
    """Arrays that take no memory."""
    return {name: np.broadcast_to(np.float32(0), shape) for name, shape in shapes.items()}


def test_every_entry_is_whole_and_the_digits_in_a_files_name_are_its_digest():
    assert len({entry.address for entry in ALL.values()}) == len(ALL)
    for name, entry in ALL.items():
        assert re.fullmatch(r"[a-z0-9_]+", name)
        assert entry.address.startswith("https://") and entry.source in LICENCES, name
        kind, digits = entry.digest.split(":")
        assert re.fullmatch("[0-9a-f]+", digits) and kind == entry.check.split()[-1], name
        told = re.search(r"[-_]([0-9a-f]{6,8})\.(?:pth|pkl)$", entry.file)
        assert digits.startswith(told.group(1)) if told else len(digits) == 32, name
        assert (entry.box_ap is None) == (name in BACKBONES) == (entry.top1 is not None), name


def test_recipes_of_the_same_name_have_the_published_ap_as_their_target():
    both = set(recipes()) & set(DETECTORS)
    assert len(both) > 6
    for name in both:
        with open(recipes()[name], encoding="utf-8") as file:
            text = file.read()
        if "published" in text:
            entry = DETECTORS[name]
            ap = entry.keypoint_ap if entry.mask_ap is None else entry.mask_ap
            assert f"AP {ap:.1f}" in text, name


@pytest.mark.parametrize("name", PARAMETERS)
def test_the_shapes_have_as_many_parameters_as_torchvision_says(name):
    frozen = "v2" not in name and name in DETECTORS
    count = 0
    for weight, shape in published_shapes(name).items():
        norm = re.search(r"(bn\d|downsample\.1)\.", weight)
        trained = not weight.endswith(("running_mean", "running_var", "num_batches_tracked"))
        count += int(np.prod(shape)) * (trained and not (frozen and norm))
    assert count == PARAMETERS[name]


def test_the_shapes_of_detectron2_are_those_of_its_own_models():
    assert published_shapes("maskrcnn_r50_fpn_3x_coco") == manifest("detectron2_maskrcnn")
    x101 = published_shapes("maskrcnn_x101_32x8d_fpn_3x_coco")
    assert x101 == manifest("detectron2_x101_maskrcnn")
    assert published_shapes("keypoint_rcnn_r50_fpn_1x_coco") == manifest("detectron2_keypointrcnn")


@pytest.mark.parametrize("name", DETECTORS)
def test_each_model_loads_from_a_file_of_the_published_shape(name):
    entry = DETECTORS[name]
    theirs, _, _ = SOURCES[entry.source]
    state = zeros(published_shapes(name))
    found = theirs.architecture_of(state, name)
    # Whatever is missing, superfluous or of another shape is an error.
    arrays = converted(theirs.weights_only(state), theirs.table_of(found), name)
    assert found.num_classes == (80 if entry.source != "torchvision" else 90) or entry.keypoint_ap
    assert bool(found.num_mask_convs) == (entry.keypoint_ap is None and "faster" not in name)
    assert bool(found.num_keypoints) == (entry.keypoint_ap is not None)
    assert arrays["box_head/class_logits/kernel"].shape[-1] == found.num_classes + 1


@pytest.mark.parametrize("name", BACKBONES)
def test_each_backbone_loads_from_a_file_of_the_published_shape(name):
    state = zeros(published_shapes(name))
    assert is_classifier(state)
    body = {n: array for n, array in state.items() if not n.startswith("fc.")}
    found = backbone_of(body, torchvision_name)
    assert found.name == re.sub(r"_imagenet1k_v\d$", "", name) and found.name in RESNETS
    assert converted(body, backbone_table(found, torchvision_name), name)


@pytest.fixture
def cheap_weights(monkeypatch):
    """Random weights take more time than all else in making a model that gets others at once."""

    def zeros(self, shape, dtype=None, **_):
        return tf.zeros(shape, dtype or "float32")

    for kind in (keras.initializers.VarianceScaling, keras.initializers.RandomNormal):
        monkeypatch.setattr(kind, "__call__", zeros)


# Bodies, norms and heads of all the files that no golden file of a whole model has.
@pytest.mark.parametrize(
    "name",
    [
        "maskrcnn_r50_fpn_syncbn_3x_coco",
        "maskrcnn_r50_fpn_gn_scratch_3x_coco",
        "maskrcnn_r101_fpn_lsj_400ep_coco",
        "faster_rcnn_x101_32x8d_fpn_3x_coco",
        "keypoint_rcnn_r101_fpn_3x_coco",
    ],
)
def test_a_whole_model_is_made_in_the_dialect_that_its_file_does_not_tell(name, cheap_weights):
    entry = DETECTORS[name]
    state = zeros(published_shapes(name))
    config = from_checkpoint(state, entry.source, overrides=entry.settings).config
    norm = "gn" if "_gn_" in name else "sync_bn" if re.search("syncbn|lsj", name) else "none"
    assert config.fpn.norm == config.box_head.norm == norm
    assert config.backbone.norm == (norm if norm != "none" else "frozen_bn")
    # The stride is that of MSRA's ResNets, but where the configuration says otherwise.
    stride = False if re.search("syncbn|_gn_|x101", name) else None
    assert config.backbone.stride_in_1x1 is stride
    assert config.rpn.num_convs == (2 if "lsj" in name else 1)
    assert config.class_names[0] == "person" and config.category_ids[0] == 1
    assert config.roi.sampling_ratio == 0 and config.input.resize == "pillow"
