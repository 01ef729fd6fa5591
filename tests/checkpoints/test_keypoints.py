"""Keypoint R-CNN of Detectron2 and torchvision, compared stage by stage with what they compute."""

import json
import pickle
import re

import numpy as np
import pytest
import tensorflow as tf

import tfmaskrcnn as mr
from golden.relative_rms import relative_rms
from golden.weights_by_name import image, weight, with_statistics
from helpers.one_stack import on_stack_a
from helpers.paths import GOLDEN
from tfmaskrcnn.checkpoints.torchvision import weights_only
from tfmaskrcnn.cli.main import main
from tfmaskrcnn.ops.images import normalize, pad_to, preprocess
from tfmaskrcnn.ops.roi_align import build_atlas
from tfmaskrcnn.ops.structures import PYRAMID_LEVELS
from tfmaskrcnn.ops.tensors import as_graph

YXYX = [1, 0, 3, 2]  # of their xyxy, and (dy, dx, dh, dw) of their (dx, dy, dw, dh)
# Every so many pixels of each level and every so many channels, see make_*_keypointrcnn_golden.py.
STEPS, CHANNEL_STEP = (8, 4, 2, 2, 2), 32
SMALL = ("input.min_side=192", "input.max_side=256")


class Case:
    """A model with the weights that a golden file was made from, and its images."""

    def __init__(self, source):
        self.source = source
        self.golden = np.load(GOLDEN / f"{source}_keypointrcnn.npz")
        shapes = json.loads(str(self.golden["manifest"]))
        self.tensors = {name: weight(name, shape) for name, shape in shapes}
        if source == "torchvision":
            self.tensors = with_statistics(self.tensors, 1e-5)
            self.images = [image(160, 237, 0), image(192, 150, 1)]
            self.model = mr.from_checkpoint(self.tensors, source, overrides=SMALL)
            ready = [preprocess(i, self.model.config.input)[0] for i in self.images]
            self.sizes = tf.constant([i.shape[:2] for i in ready], tf.float32)
            self.batch = tf.stack([pad_to(i, 256, 256, self.model.config.input) for i in ready])
        else:
            for kind in ("mean", "var"):
                self.tensors.update(np.load(GOLDEN / f"{source}_keypointrcnn_{kind}.npz"))
            self.images = [image(192, 256, 0)]
            self.model = mr.from_checkpoint(self.tensors, source, overrides=SMALL)
            self.batch = normalize(self.images[0][None], self.model.config.input)
            self.sizes = tf.constant([[192.0, 256.0]])
        self.pyramid = self.model.features(self.batch)
        self.rpn = self.model.rpn_output(self.pyramid)

    def expected(self, key, i):
        """Detectron2's file has one image and does not number it."""
        return self.golden[f"{key}_{i}" if self.source == "torchvision" else key]


@pytest.fixture(
    scope="module", params=[pytest.param("detectron2", marks=on_stack_a), "torchvision"]
)
def case(request):
    return Case(request.param)


def test_pyramid_and_rpn_are_theirs(case):
    for i, (level, step) in enumerate(zip(PYRAMID_LEVELS, STEPS)):
        maps = case.pyramid[level].numpy()
        thin = maps[:, ::step, ::step, ::CHANNEL_STEP].transpose(0, 3, 1, 2)
        assert relative_rms(thin, case.golden[f"fpn_{i}"]) < 5e-5, level
        deltas = case.rpn.deltas[level].numpy()[..., YXYX]
        for rows, key in ((case.rpn.logits[level], "objectness"), (deltas, "deltas")):
            rows = np.reshape(rows, (*maps.shape[:3], -1)).transpose(0, 3, 1, 2)
            assert relative_rms(rows[:, :, ::step, ::step], case.golden[f"{key}_{i}"]) < 5e-5


def test_proposals_are_theirs_in_their_order(case):
    proposals = case.model.propose(case.rpn, case.sizes)
    for i in range(len(case.images)):
        expected = case.expected("proposals", i)[:, YXYX]
        found = proposals.boxes[i].numpy()[proposals.valid[i]]
        distances = np.abs(found[:, None] - expected).max(axis=-1)  # [R, R]
        assert found.shape == expected.shape and distances.min(axis=0).max() < 1e-2
        place = distances.argmin(axis=0)
        moved = np.flatnonzero(place != np.arange(len(place)))
        # Logits differ in the last bits, so neighbours that are tied may change places.
        scores = proposals.scores[i].numpy()
        np.testing.assert_allclose(scores[place[moved]], scores[moved], atol=1e-5)
        assert len(moved) <= 20


def test_heads_are_theirs_on_their_proposals(case):
    model, golden = case.model, case.golden
    rois = tf.constant(case.expected("proposals", 0)[None, :100, YXYX])
    atlas = build_atlas({k: maps[:1] for k, maps in case.pyramid.items()}, inference=True)
    features = model.roi_features(atlas, rois, 7)
    expected = golden["roi_features"]
    thin = features[0].numpy().transpose(0, 3, 1, 2)[: len(expected), :: 2 * CHANNEL_STEP]
    np.testing.assert_allclose(thin, expected, atol=1e-4)
    logits, deltas = model.box_head(features)
    shift = 1 if case.source == "detectron2" else 0  # whose last class is the background
    expected = np.roll(golden["class_logits"], shift, axis=1)
    np.testing.assert_allclose(logits[0, : len(expected)], expected, atol=1e-4)
    expected = golden["box_deltas"].reshape(len(expected), -1, 4)[:, -1:, YXYX]
    np.testing.assert_allclose(deltas[0, : len(expected)], expected, atol=1e-4)
    if "heatmaps" in golden:
        expected = golden["heatmaps"]
        features = model.roi_features(atlas, rois[:, : len(expected)], 14)
        maps = model.keypoint_head(features)[0, :, ::4, ::4, ::4]
        np.testing.assert_allclose(maps, expected, atol=1e-3)


@pytest.mark.slow
@on_stack_a
def test_detections_and_keypoints_are_theirs(case):
    found = as_graph(case.model.detect)(case.batch, case.sizes)
    scale = np.ones([len(case.images), 2])
    if case.source == "torchvision":  # its results are in pixels of the original image
        originals = np.array([i.shape[:2] for i in case.images])
        scale = case.sizes.numpy() / originals
    for i in range(len(case.images)):
        boxes = case.expected("boxes", i)[:, YXYX]
        ours = found.boxes[i].numpy() / np.tile(scale[i], 2)
        distances = np.abs(ours[:, None] - boxes).max(axis=-1)
        matched, place = distances.min(axis=0) < 0.05, distances.argmin(axis=0)
        assert len(boxes) == 100 and matched.sum() >= 98
        scores = found.scores[i].numpy()[place]
        np.testing.assert_allclose(scores[matched], case.expected("scores", i)[matched], atol=1e-4)
        keypoints = found.keypoints[i].numpy()[place]
        expected = case.expected("keypoints", i)
        distance = np.abs(keypoints[..., :2] / scale[i] - expected[..., 1::-1]).max(axis=-1)
        # Noise has many maxima: a pair that is as high in float32 may change places.
        assert (distance[matched] < 0.01).mean() > 0.998
        scores = expected[..., 2]
        if case.source == "torchvision":
            scores = case.expected("keypoint_scores", i)
        np.testing.assert_allclose(keypoints[matched][..., 2], scores[matched], atol=1e-3)


def test_the_configuration_is_that_of_persons(case):
    config = case.model.config
    head = config.keypoint_head
    assert config.class_names == ("person",) and config.category_ids == (1,)
    assert head.enabled and not config.mask_head.enabled
    assert (head.num_keypoints, head.num_convs, head.names[0]) == (17, 8, "nose")
    is_torchvision = case.source == "torchvision"
    assert head.score == ("logit" if is_torchvision else "probability")
    assert head.pixel_offset == (0 if is_torchvision else 0.5)
    assert config.rpn.post_nms_top_k_training == (2000 if is_torchvision else 1500)


def test_a_missing_weight_of_the_keypoint_head_is_named(case):
    tensors = dict(case.tensors)
    name = next(n for n in tensors if n.endswith("score_lowres.bias") or "kps_score" in n)
    name = name.replace(".weight", ".bias")
    del tensors[name]
    with pytest.raises(mr.InputError, match=rf"1 missing \({name}\)".replace(".", r"\.")):
        mr.from_checkpoint(tensors, case.source)


@on_stack_a
def test_names_of_older_torchvisions_are_read_too():
    names = json.loads(str(np.load(GOLDEN / "torchvision_keypointrcnn.npz")["manifest"]))
    tensors = {name: np.zeros(1) for name, _ in names if "num_batches" not in name}
    blocks = r"(backbone\.fpn\.\w+_blocks\.\d)\.0\."
    old = {re.sub(blocks, r"\1.", n.replace("conv.0.0.", "conv.")): t for n, t in tensors.items()}
    assert len(set(old) - set(tensors)) == 18
    assert set(weights_only(old)) == set(tensors)


@on_stack_a
@pytest.mark.slow
def test_a_file_becomes_a_run(case, tmp_path):
    path, run = tmp_path / "model.pkl", str(tmp_path / "run")
    path.write_bytes(pickle.dumps(case.tensors, protocol=2))
    assert main(["import-weights", case.source, str(path), run, "--set", *SMALL]) == 0
    assert mr.load(run).config == case.model.config
