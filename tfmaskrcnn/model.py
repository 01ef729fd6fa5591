"""Mask R-CNN as a `keras.Model` (He et al., arXiv 1703.06870): wiring only."""

from typing import Dict, List, Optional, Sequence, Union

import keras
import numpy as np
import tensorflow as tf

from tfmaskrcnn import compat, losses
from tfmaskrcnn.config import Config, ModelConfig
from tfmaskrcnn.errors import InputError, assert_finite, explained
from tfmaskrcnn.gradients import all_reduce_sum, apply_gradients
from tfmaskrcnn.instances import Instances
from tfmaskrcnn.layers.backbones import make_backbone
from tfmaskrcnn.layers.box_head import BoxHead
from tfmaskrcnn.layers.fpn import Fpn
from tfmaskrcnn.layers.mask_head import MaskHead
from tfmaskrcnn.layers.rpn import RpnHead
from tfmaskrcnn.losses import LOSS_NAMES, LossTerm
from tfmaskrcnn.ops.anchors import pyramid_anchors
from tfmaskrcnn.ops.boxes import clip_boxes, decode_boxes, wider_than
from tfmaskrcnn.ops.nms import class_aware_nms
from tfmaskrcnn.ops.roi_align import Atlas, build_atlas, pyramid_roi_align
from tfmaskrcnn.ops.tensors import at_most, own_channel, side
from tfmaskrcnn.prediction import Predictor
from tfmaskrcnn.structures import (
    PYRAMID_LEVELS,
    RPN_DELTA_WEIGHTS,
    Detections,
    Proposals,
    RpnOutput,
    ground_truth_of,
)


@compat.register
class MaskRCNN(keras.Model):
    """Mask R-CNN that trains with `compile` and `fit` and predicts with `predict_images`.

    A training batch is a dict as `tfmaskrcnn.data.from_coco` makes it: `image` [B, H, W, 3]
    float32, normalised and zero-padded; `size` [B, 2] float32, height and width without padding;
    `image_id` [B] int64; `seed` [B, 2] int32; and `gt_boxes`, `gt_classes`, `gt_masks`, `gt_valid`,
    `gt_crowd` as in `structures.GroundTruth`.

    Args:
        config: a `ModelConfig`, a whole `Config`, or either as a dict.
    """

    def __init__(self, config: Union[ModelConfig, Config, dict], **kwargs):
        kwargs.setdefault("dtype", "float32")  # boxes in pixels must not be cast to half precision
        kwargs.setdefault("name", "mask_rcnn")
        super().__init__(**kwargs)
        # Else Keras 3 compiles the step with XLA on a GPU, where CropAndResize has no kernel.
        self.supports_jit = False
        self.config = _model_config(config)
        c = self.config
        self.backbone = make_backbone(c.backbone)
        self.fpn = Fpn(c.fpn.channels, name="fpn")
        num_anchors = len(c.anchors.sizes[0]) * len(c.anchors.ratios)
        self.rpn = RpnHead(num_anchors, c.fpn.channels, name="rpn")
        self.box_head = BoxHead(c.num_classes, c.box_head.hidden, name="box_head")
        self.mask_head = MaskHead(
            c.num_classes, c.mask_head.channels, c.mask_head.num_convs, name="mask_head"
        )
        self.loss_means = {n: keras.metrics.Mean(name=n) for n in ("loss", *LOSS_NAMES)}
        self._predictor = Predictor(self)
        self.build()

    def build(self, input_shape=None):
        """Create all weights; no shapes and no example batch are needed."""
        if self.built:
            return
        channels = self.config.fpn.channels
        self.backbone.build((None, None, None, 3))
        self.fpn.build({k: (None, None, None, n) for k, n in self.backbone.out_channels.items()})
        self.rpn.build((None, None, None, channels))
        box_side, mask_side = self.config.box_head.roi_side, self.config.mask_head.roi_side
        self.box_head.build((None, None, box_side, box_side, channels))
        self.mask_head.build((None, None, mask_side, mask_side, channels))
        self.built = True

    # The network, in the order of the paper.

    def features(self, images: tf.Tensor, training: bool = False) -> Dict[str, tf.Tensor]:
        """[B, H, W, 3] normalised images -> pyramid {"p2": [B, H/4, W/4, C], ..., "p6"}."""
        return self.fpn(self.backbone(images, training=training))

    def rpn_output(self, pyramid: Dict[str, tf.Tensor]) -> RpnOutput:
        """Objectness and deltas of all anchors."""
        c = self.config.anchors
        heads = {level: self.rpn(pyramid[level]) for level in PYRAMID_LEVELS}
        return RpnOutput(
            {level: head[0] for level, head in heads.items()},
            {level: head[1] for level, head in heads.items()},
            pyramid_anchors(
                pyramid, c.sizes, c.ratios, c.offset, c.whole_pixels, c.stride_from_size
            ),
        )

    def propose(self, rpn: RpnOutput, sizes: tf.Tensor, training: bool = False) -> Proposals:
        """The best anchors of each level, moved, clipped and thinned out by NMS within the level.

        Args:
            rpn: from `rpn_output`.
            sizes: [B, 2] float32, (height, width) of the images without padding.
            training: take the training counts.
        """
        c = self.config.rpn
        top_k = c.pre_nms_top_k_training if training else c.pre_nms_top_k
        count = c.post_nms_top_k_training if training else c.post_nms_top_k
        boxes, scores = [], []
        for row, level in enumerate(PYRAMID_LEVELS):
            logits, index = tf.math.top_k(
                rpn.logits[level], at_most(top_k, side(rpn.logits[level], 1))
            )
            deltas = tf.gather(rpn.deltas[level], index, batch_dims=1)
            anchors = tf.gather(rpn.anchors[level], index)
            decoded = clip_boxes(decode_boxes(deltas, anchors, RPN_DELTA_WEIGHTS), sizes)
            # Levels play the part of classes in the NMS; -1 keeps a box out of it.
            real = wider_than(decoded, c.min_side)
            score = tf.sigmoid(logits) * real + real - 1.0
            others = -tf.ones_like(score)
            columns = [score if i == row else others for i in range(len(PYRAMID_LEVELS))]
            boxes.append(decoded)
            scores.append(tf.stack(columns, axis=-1))  # [B, k, 5]
        boxes = tf.stop_gradient(tf.concat(boxes, axis=1))
        scores = tf.stop_gradient(tf.concat(scores, axis=1))
        kept = class_aware_nms(tf.expand_dims(boxes, 2), scores, c.nms_iou, -0.5, count)
        return Proposals(kept.boxes, kept.scores, kept.valid)

    def roi_features(self, atlas: Atlas, boxes: tf.Tensor, roi_side: int) -> tf.Tensor:
        """[B, R, 4] boxes -> [B, R, S, S, C] features by RoIAlign."""
        c = self.config.roi
        return pyramid_roi_align(
            atlas,
            boxes,
            roi_side,
            c.sampling_ratio,
            c.aligned,
            c.canonical_size,
            c.canonical_level,
        )

    def detect(
        self, images: tf.Tensor, sizes: tf.Tensor, score_threshold: Optional[float] = None
    ) -> Detections:
        """Boxes, classes, scores and masks of the objects in a batch.

        Args:
            images: [B, H, W, 3] float32, normalised and zero-padded; H and W multiples of 32.
            sizes: [B, 2] float32, (height, width) without padding.
            score_threshold: instead of the configuration's.
        """
        c = self.config.box_head
        threshold = c.score_threshold if score_threshold is None else score_threshold
        pyramid = self.features(images)
        proposals = self.propose(self.rpn_output(pyramid), sizes)
        atlas = build_atlas(pyramid, static_ops=True)
        logits, deltas = self.box_head(self.roi_features(atlas, proposals.boxes, c.roi_side))
        rois = tf.expand_dims(proposals.boxes, 2)  # [B, R, 1, 4]
        boxes = clip_boxes(decode_boxes(deltas, rois, c.delta_weights), sizes)  # [B, R, K, 4]
        # A row of padding is an empty proposal, whose boxes are empty as well.
        scores = tf.nn.softmax(logits)[:, :, 1:] * wider_than(boxes, c.min_side)  # [B, R, K]
        kept = class_aware_nms(boxes, scores, c.nms_iou, threshold, c.max_detections)
        masks = self.masks_of(atlas, kept.boxes, kept.classes)
        classes = tf.where(kept.valid, kept.classes + 1, 0)
        return Detections(kept.boxes, kept.scores, classes, kept.valid, masks)

    def masks_of(self, atlas: Atlas, boxes: tf.Tensor, class_index: tf.Tensor) -> tf.Tensor:
        """Mask probabilities [B, D, M, M] of boxes [B, D, 4] and 0-based classes [B, D] int32."""
        features = self.roi_features(atlas, boxes, self.config.mask_head.roi_side)
        return tf.sigmoid(own_channel(self.mask_head(features), class_index))

    def call(self, inputs, training=None):
        """A batch's `image` and `size` -> `Detections` as a dict, for `keras.Model.predict`."""
        return self.detect(inputs["image"], inputs["size"])._asdict()

    # Training.

    def loss_terms(self, batch: Dict[str, tf.Tensor], training: bool) -> Dict[str, LossTerm]:
        """The five losses of a batch as sums and counts (section 3: L_cls + L_box + L_mask)."""
        truth, seeds = ground_truth_of(batch), batch["seed"]
        box_config = self.config.box_head
        pyramid = self.features(batch["image"], training)
        rpn = self.rpn_output(pyramid)
        terms = losses.rpn_losses(rpn, truth, seeds, self.config.rpn)
        proposals = self.propose(rpn, batch["size"], training=True)
        rois = losses.sample_rois(proposals, truth, seeds, box_config)
        atlas = build_atlas(pyramid)
        logits, deltas = self.box_head(self.roi_features(atlas, rois.boxes, box_config.roi_side))
        terms.update(losses.box_losses(logits, deltas, rois, truth, box_config))
        rois = losses.positives_only(rois, box_config)
        features = self.roi_features(atlas, rois.boxes, self.config.mask_head.roi_side)
        terms.update(losses.mask_losses(self.mask_head(features), rois, truth))
        return terms

    def train_step(self, data):
        """One update; returns the running means of all losses."""
        batch = _as_batch(data)
        with tf.GradientTape() as tape:
            each = _divided(self.loss_terms(batch, training=True))
            total = tf.add_n(list(each.values()))
            with tf.control_dependencies([assert_finite(total, batch["image_id"])]):
                scaled = compat.scale_loss(self.optimizer, tf.identity(total))
        variables = self.trainable_variables
        gradients = tape.gradient(scaled, variables)
        apply_gradients(self.optimizer, gradients, variables)
        return self._log(each)

    def test_step(self, data):
        """The losses of a validation batch, without an update."""
        return self._log(_divided(self.loss_terms(_as_batch(data), training=False)))

    def _log(self, each: Dict[str, tf.Tensor]):
        # A replica's losses are shares that sum to the global loss; a Mean averages over replicas.
        replicas = tf.distribute.get_strategy().num_replicas_in_sync
        for name, value in {"loss": tf.add_n(list(each.values())), **each}.items():
            self.loss_means[name].update_state(value * replicas)
        return {name: mean.result() for name, mean in self.loss_means.items()}

    @property
    def metrics(self):
        """The loss means, reset by Keras at each epoch."""
        return list(self.loss_means.values())

    def compile(self, optimizer="sgd", **kwargs):
        """`keras.Model.compile` without XLA, and with the optimizer's slots made at once."""
        kwargs["jit_compile"] = False
        super().compile(optimizer=optimizer, **kwargs)
        self.optimizer.build(self.trainable_variables)

    def fit(self, x=None, **kwargs):
        """`keras.Model.fit`; bad data and a non-finite loss end in one sentence that names them."""
        try:
            return super().fit(x, **kwargs)
        except tf.errors.OpError as error:
            raise explained(error, getattr(x, "image_names", {})) from None

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
        """The constructor's arguments, for Keras's own saving."""
        return {"config": self.config.model_dump(mode="json"), "name": self.name}

    @classmethod
    def from_config(cls, config):
        """A model from `get_config`'s result, with random weights."""
        return cls(**config)


def _model_config(config) -> ModelConfig:
    if isinstance(config, dict):
        config = (Config if "model" in config else ModelConfig).model_validate(config)
    if isinstance(config, Config):
        return config.model
    if not isinstance(config, ModelConfig):
        raise InputError(f"MaskRCNN takes a ModelConfig, found {type(config).__name__}.")
    return config


def _as_batch(data) -> Dict[str, tf.Tensor]:
    """The dict of a batch that Keras may have wrapped in a tuple, with a seed if it has none."""
    batch = dict(data[0] if isinstance(data, (tuple, list)) else data)
    if "seed" not in batch:
        image_id = tf.cast(batch["image_id"], tf.int32)
        batch["seed"] = tf.stack([image_id, tf.zeros_like(image_id)], axis=1)
    return batch


def _divided(terms: Dict[str, LossTerm]) -> Dict[str, tf.Tensor]:
    """Each loss's share of the global mean: the local sum over the count of all replicas."""
    return {
        name: term.total / tf.maximum(all_reduce_sum(term.count), 1.0)
        for name, term in terms.items()
    }
