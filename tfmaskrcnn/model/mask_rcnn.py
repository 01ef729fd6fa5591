"""Mask R-CNN as a `keras.Model` (He et al., arXiv 1703.06870): wiring only."""

import contextlib
import functools
from typing import Dict, List, Optional, Sequence, Union

import keras
import numpy as np
import tensorflow as tf

from tfmaskrcnn import compat
from tfmaskrcnn.config.class_weights import weights_by_class
from tfmaskrcnn.config.given_config import as_config
from tfmaskrcnn.config.model import OWN, ModelConfig
from tfmaskrcnn.config.run import Config
from tfmaskrcnn.errors import InputError
from tfmaskrcnn.instances import Instances
from tfmaskrcnn.model import losses
from tfmaskrcnn.model.batch_check import BatchCheck
from tfmaskrcnn.model.detections import mask_probabilities, select_detections
from tfmaskrcnn.model.fit import TrainableModel
from tfmaskrcnn.model.keras_habits import check_call
from tfmaskrcnn.model.layers.backbones import make_backbone, with_own_backbone
from tfmaskrcnn.model.layers.fpn import Fpn
from tfmaskrcnn.model.layers.rpn import RpnHead
from tfmaskrcnn.model.losses import BOX_LOSS_NAMES, KEYPOINT_LOSS_NAMES, MASK_LOSS_NAMES, LossTerm
from tfmaskrcnn.model.predictor import Predictor
from tfmaskrcnn.model.proposals import select_proposals
from tfmaskrcnn.model.roi_heads import make_box_head, make_keypoint_head, make_mask_head
from tfmaskrcnn.model.roi_samples import most_positives, positives_only, sample_rois
from tfmaskrcnn.model.weights import named_weights
from tfmaskrcnn.ops.anchors import pyramid_anchors
from tfmaskrcnn.ops.atlas import Atlas, build_atlas
from tfmaskrcnn.ops.crop import pyramid_crop
from tfmaskrcnn.ops.heatmaps import decode_heatmaps
from tfmaskrcnn.ops.placement import clip_sizes, in_image, inner_boxes, outer_boxes, points_in_image
from tfmaskrcnn.ops.roi_align import pyramid_roi_align
from tfmaskrcnn.ops.roi_pool import pyramid_roi_pool
from tfmaskrcnn.ops.structures import (
    PYRAMID_LEVELS,
    Detections,
    Proposals,
    RpnOutput,
    ground_truth_of,
)
from tfmaskrcnn.ops.tensors import side


@compat.register
class MaskRCNN(TrainableModel):
    """Mask R-CNN that trains with `compile` and `fit` and predicts with `predict_images`.

    A training batch is a dict as `tfmaskrcnn.data.from_coco` makes it: `image` [B, H, W, 3]
    float32, normalised and zero-padded; `size` [B, 2] float32, height and width without padding;
    `image_id` [B] int64; `seed` [B, 2] int32; and `gt_boxes`, `gt_classes`, `gt_masks`, `gt_valid`,
    `gt_crowd`, with a keypoint head `gt_keypoints`, as in `structures.GroundTruth`. Without a mask
    branch `gt_masks` is not looked at.

    Args:
        config: a `ModelConfig`, a whole `Config`, or either as a dict. Layers compute in Keras's
            global precision policy, or in `train.precision` where a whole `Config` sets one.
        backbone: a functional model instead of the one that the configuration names; it is copied
            with its weights. `backbone.norm` and `backbone.freeze_at` hold for it, and `input` has
            to say what its preprocessing does.
        feature_layers: names of four of its layers, of strides 4, 8, 16 and 32.

    Raises:
        InputError: the configuration is wrong, or the backbone is none.
    """

    def __init__(
        self,
        config: Union[ModelConfig, Config, dict],
        backbone: Optional[keras.Model] = None,
        feature_layers: Optional[Sequence[str]] = None,
        **kwargs,
    ):
        kwargs.setdefault("dtype", "float32")  # boxes in pixels must not be cast to half precision
        kwargs.setdefault("name", "mask_rcnn")
        super().__init__(**kwargs)
        # Else Keras 3 compiles the step with XLA on a GPU, where CropAndResize has no kernel.
        self.supports_jit = False
        config = as_config(config)
        whole = isinstance(config, Config)
        self.config = config.model if whole else config
        if backbone is not None or feature_layers is not None:
            self.config = with_own_backbone(self.config, backbone, feature_layers)
        mixed = whole and config.train.precision != "float32"
        with compat.precision(config.train.precision) if mixed else contextlib.nullcontext():
            self._make_parts(backbone)
        self._predictor = Predictor(self)
        self.batch_check = BatchCheck(self.config)

    def _make_parts(self, backbone: Optional[keras.Model]):
        c = self.config
        self.backbone = make_backbone(c.backbone, model=backbone)
        self.fpn = Fpn(c.fpn.channels, c.fpn.norm, name="fpn")
        num_anchors = len(c.anchors.sizes[0]) * len(c.anchors.ratios)
        self.rpn = RpnHead(
            num_anchors, c.rpn.channels or c.fpn.channels, c.rpn.num_convs, name="rpn"
        )
        self.box_head = make_box_head(c)
        self.mask_head = make_mask_head(c) if c.mask_head.enabled else None
        self.keypoint_head = make_keypoint_head(c) if c.keypoint_head.enabled else None
        names = BOX_LOSS_NAMES + (MASK_LOSS_NAMES if self.mask_head else ())
        self.track_losses(names + (KEYPOINT_LOSS_NAMES if self.keypoint_head else ()))
        self.build()

    def build(self, input_shape=None):
        """Create all weights; no shapes and no example batch are needed."""
        if self.built:
            return
        channels = self.config.fpn.channels
        self.backbone.build((None, None, None, self.config.input.channels))
        self.fpn.build({k: (None, None, None, n) for k, n in self.backbone.out_channels.items()})
        self.rpn.build((None, None, None, channels))
        heads = (self.box_head, self.config.box_head), (self.mask_head, self.config.mask_head)
        for head, c in (*heads, (self.keypoint_head, self.config.keypoint_head)):
            if head:
                head.build((None, None, c.roi_side, c.roi_side, channels))
        self.built = True
        compat.name_weights(named_weights(self))
        self.remember_trained()

    # The network, in the order of the paper.

    def features(self, images: tf.Tensor, training: bool = False) -> Dict[str, tf.Tensor]:
        """[B, H, W, 3] normalised images -> pyramid {"p2": [B, H/4, W/4, C], ..., "p6"}."""
        return self.fpn(self.backbone(images, training=training), training=training)

    def rpn_output(self, pyramid: Dict[str, tf.Tensor]) -> RpnOutput:
        """Objectness and deltas of all anchors."""
        c = self.config.anchors
        heads = {level: self.rpn(pyramid[level]) for level in PYRAMID_LEVELS}
        anchors = pyramid_anchors(pyramid, **dict(c))
        return RpnOutput(
            {level: head[0] for level, head in heads.items()},
            {level: head[1] for level, head in heads.items()},
            {level: inner_boxes(boxes, self.config) for level, boxes in anchors.items()},
        )

    def propose(self, rpn: RpnOutput, sizes: tf.Tensor, training: bool = False) -> Proposals:
        """The RPN's best boxes in images of `sizes` [B, 2] without padding; see `clip_sizes`."""
        with tf.name_scope("proposals"):
            return select_proposals(rpn, sizes, self.config.rpn, training)

    def roi_features(self, atlas: Atlas, boxes: tf.Tensor, roi_side: int) -> tf.Tensor:
        """[B, R, 4] boxes -> [B, R, S, S, C] features by `roi.method`."""
        c, inclusive = self.config.roi, self.config.inclusive_boxes
        levels = (c.canonical_size, c.canonical_level, c.level_rounding)
        with tf.name_scope("roi_align"):  # names by which export/latency.py sums times
            if c.method == "crop_and_resize":
                return pyramid_crop(atlas, boxes, roi_side, c, inclusive)
            boxes = outer_boxes(boxes, self.config)
            if c.method == "roi_pool":
                return pyramid_roi_pool(atlas, boxes, roi_side, *levels)
            return pyramid_roi_align(atlas, boxes, roi_side, c.sampling_ratio, c.aligned, *levels)

    def detect(
        self, images: tf.Tensor, sizes: tf.Tensor, score_threshold: Optional[float] = None
    ) -> Detections:
        """Boxes, classes, scores, masks and keypoints of the objects in a batch.

        Args:
            images: [B, H, W, 3] float32, normalised and padded; H and W multiples of 32.
            sizes: [B, 2] float32, (height, width) without padding.
            score_threshold: instead of the configuration's.
        """
        c = self.config.box_head
        pyramid = self.features(images)
        limits = clip_sizes(images, sizes, self.config)
        proposals = self.propose(self.rpn_output(pyramid), limits.proposals)
        with tf.name_scope("roi_align"):
            atlas = build_atlas(pyramid, inference=True)
        logits, deltas = self.box_head(self.roi_features(atlas, proposals.boxes, c.roi_side))
        kept = select_detections(logits, deltas, proposals, limits.detections, c, score_threshold)
        masks = self.masks_of(atlas, kept.boxes, kept.classes) if self.mask_head else None
        sides = side(images, 1), side(images, 2)
        keypoints = self.keypoints_of(atlas, kept.boxes, sides) if self.keypoint_head else None
        keypoints = points_in_image(keypoints, images, sizes, self.config)
        classes = tf.where(kept.valid, kept.classes + 1.0, 0.0)
        boxes = in_image(kept.boxes, images, sizes, self.config)
        return Detections(boxes, kept.scores, classes, kept.valid, masks, keypoints)

    def masks_of(self, atlas: Atlas, boxes: tf.Tensor, class_index: tf.Tensor) -> tf.Tensor:
        """Mask probabilities [B, D, M, M] of boxes [B, D, 4] and 0-based classes [B, D]."""
        features = self.roi_features(atlas, boxes, self.config.mask_head.roi_side)
        return mask_probabilities(self.mask_head, features, class_index, self.config.mask_head)

    def keypoints_of(self, atlas: Atlas, boxes: tf.Tensor, image_sides) -> tf.Tensor:
        """Keypoints [B, D, J, 3] (y, x, score) in boxes [B, D, 4] of images of (H, W) pixels."""
        c = self.config.keypoint_head
        logits = self.keypoint_head(self.roi_features(atlas, boxes, c.roi_side))
        boxes = outer_boxes(boxes, self.config)
        return decode_heatmaps(logits, boxes, image_sides, c.score)

    def __call__(self, inputs, *args, **kwargs):
        """`call` on a batch; bare pictures are refused."""
        check_call(inputs)
        return super().__call__(inputs, *args, **kwargs)

    def call(self, inputs, training=None):
        """A batch's `image` and `size` -> `Detections` as a dict, for `keras.Model.predict`."""
        found = self.detect(inputs["image"], inputs["size"])._asdict()
        found["classes"] = tf.cast(found["classes"], tf.int32)
        return {name: value for name, value in found.items() if value is not None}

    # Training.

    def compile(self, optimizer="sgd", *args, **kwargs):
        """As `TrainableModel.compile`; what cannot be trained is refused at once."""
        if self.config.roi.sampling_ratio == 0:
            raise InputError("roi.sampling_ratio 0 is for inference; set it to 2 to train.")
        weights_by_class(self.config.box_head.class_weights, self.config.class_names)  # may raise
        super().compile(optimizer, *args, **kwargs)

    def loss_terms(self, batch: Dict[str, tf.Tensor], training: bool) -> Dict[str, LossTerm]:
        """The losses of a batch as sums and counts (section 3: L_cls + L_box + L_mask)."""
        truth, seeds = ground_truth_of(batch), batch["seed"]
        inner_truth = truth._replace(boxes=inner_boxes(truth.boxes, self.config))
        box_config = self.config.box_head
        pyramid = self.part("features", self.features)(batch["image"], training)
        rpn = self.rpn_output(pyramid)
        at = functools.partial(self.rpn.at, pyramid)  # the gradient's way, a short one
        terms = losses.rpn_losses(rpn, inner_truth, seeds, self.config.rpn, at)
        limits = clip_sizes(batch["image"], batch["size"], self.config)
        proposals = self.propose(rpn, limits.proposals, training=True)
        rois = sample_rois(proposals, inner_truth, seeds, box_config)
        atlas = build_atlas(pyramid)
        features = self.roi_features(atlas, rois.boxes, box_config.roi_side)
        box_head = self.part("box_head", self.box_head)
        logits, deltas = box_head(features, training=training, valid=rois.valid)
        weights = weights_by_class(box_config.class_weights, self.config.class_names)
        terms.update(losses.box_losses(logits, deltas, rois, inner_truth, box_config, weights))
        inner = positives_only(rois, box_config, fixed=self.compiles_parts)
        # Where a box ends must not move the mask within it.
        rois = inner._replace(boxes=outer_boxes(inner.boxes, self.config))
        if self.mask_head:
            c = self.config.mask_head
            features = self.roi_features(atlas, inner.boxes, c.roi_side)
            mask_head = self.part("mask_head", self.mask_head)
            logits = mask_head(features, training=training, valid=rois.positive)
            terms.update(losses.mask_losses(logits, rois, truth, c))
        if self.keypoint_head:
            c = self.config.keypoint_head
            features = self.roi_features(atlas, inner.boxes, c.roi_side)
            logits = self.part("keypoint_head", self.keypoint_head)(features)
            most = most_positives(box_config)
            terms.update(losses.keypoint_losses(logits, rois, truth, c, most))
        return terms

    # Prediction.

    def predict_images(
        self,
        images: Sequence[np.ndarray],
        score_threshold: Optional[float] = None,
        batch_size: int = 1,
    ) -> List[Instances]:
        """Detect objects in images of any size.

        Args:
            images: uint8 [H, W, 3] RGB arrays.
            score_threshold: keep detections above it; None takes the configuration's (0.05).
            batch_size: images that go through the network together.

        Returns:
            One `Instances` an image, boxes in pixels of the image as given.
        """
        return self._predictor(images, score_threshold, batch_size)

    def get_config(self):
        """The constructor's arguments, precision and what is trained, for Keras's own saving."""
        config = {"config": self.config.model_dump(mode="json"), "name": self.name}
        config["precision"] = self.fpn.compute_dtype
        if self.trained_part != "all":
            config["trained_part"] = self.trained_part
        if self.config.backbone.name == OWN:
            config["backbone"] = keras.saving.serialize_keras_object(self.backbone.network)
            config["feature_layers"] = self.backbone.feature_layers
        return config

    @classmethod
    def from_config(cls, config):
        """A model from `get_config`'s result, with random weights."""
        config = dict(config)
        part = config.pop("trained_part", "all")
        if isinstance(config.get("backbone"), dict):
            config["backbone"] = keras.saving.deserialize_keras_object(config["backbone"])
        with compat.precision(config.pop("precision", "float32")):
            model = cls(**config)
        model.set_trainable(part)
        return model
