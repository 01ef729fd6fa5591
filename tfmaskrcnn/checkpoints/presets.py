"""Dialects: the configuration values under which others' weights give their own results.

Each is a list of overrides to the defaults, which are Detectron2's baselines.
"""

TORCHVISION = (
    "backbone.stride_in_1x1=false",
    # Of a model that loads the weights itself. torchvision sets 0.0 where its own COCO_V1 weights
    # are asked for by `weights=`, and so does `published` for these files.
    "backbone.norm_epsilon=1.0e-5",
    "input.size_rounding=floor",
    "input.resize=torch",
    "input.exif=ignore",
    "anchors.whole_pixels=true",
    "anchors.stride_from_size=true",
    "anchors.ratio_major=true",
    "rpn.min_side=1.0e-3",
    "rpn.post_nms_top_k_training=2000",
    "rpn.smooth_l1_beta=0.1111111",  # 1/9
    # 224 of a mapping that adds 1e-6 to the level, so that sides from 223.99985 on read p4.
    "roi.canonical_size=223.999845",
    "roi.aligned=false",
    "box_head.min_side=1.0e-2",
    "box_head.smooth_l1_beta=0.1111111",
    "mask_head.soft_targets=true",
    "mask_head.paste_rule=torchvision",
)

# The defaults are its baselines, but that a RoI has as many samples a bin as the bin covers
# feature pixels, that its ResNet from MSRA takes pixels with the mean subtracted alone, and that
# boxes clipped to nothing count among the detections before they are dropped.
DETECTRON2 = (
    "input.std=[1, 1, 1]",
    "input.resize=pillow",
    "roi.sampling_ratio=0",
    "box_head.min_side=null",
    "box_head.drop_empty=true",
)

# Its backbones with group norm have their stride in the 3x3, its ResNeXts are besides trained on
# pixels divided by the standard deviation.
DETECTRON2_GN = ("backbone.stride_in_1x1=false",)
DETECTRON2_RESNEXT = (*DETECTRON2_GN, "input.std=[58.395, 57.12, 57.375]")

# The batch normalisation of a source that trains it: torchvision's `_v2`, Detectron2's SyncBN.
TRAINED_BN = {"torchvision": "bn", "detectron2": "sync_bn"}
# Of its `Config`, with which mask_rcnn_coco.h5 was trained.
MATTERPORT = (
    "input.max_side=1024",  # IMAGE_MIN_DIM 800 is the default
    "input.enlarge_only=true",
    "input.padding=centred",
    "input.exif=ignore",
    "input.size_rounding=even",
    "input.resize=skimage",
    "input.mean=[123.7, 116.8, 103.9]",
    "input.std=[1, 1, 1]",
    "backbone.norm_epsilon=1.0e-3",
    "backbone.stem_pool=same",
    "model.inclusive_boxes=true",
    "anchors.ratios=[2.0, 1.0, 0.5]",  # its ratios are width / height
    "rpn.delta_weights=[10, 10, 5, 5]",  # 1 / RPN_BBOX_STD_DEV
    "rpn.clamp_deltas=false",
    "rpn.pre_nms_top_k=6000",
    "rpn.pre_nms_top_k_training=6000",
    "rpn.scope=all",
    "rpn.clip_to=input",
    "rpn.min_side=null",
    "rpn.post_nms_top_k_training=2000",
    "rpn.smooth_l1_beta=1",
    "roi.method=crop_and_resize",
    "roi.level_rounding=round",
    "box_head.clamp_deltas=false",
    "box_head.samples_per_image=200",  # TRAIN_ROIS_PER_IMAGE
    "box_head.positive_fraction=0.33",
    "box_head.smooth_l1_beta=1",
    "box_head.min_side=null",
    "box_head.detection_rule=argmax",
    "box_head.score_threshold=0.7",
    "box_head.nms_iou=0.3",
    "mask_head.paste_rule=matterport",  # rounds a mask's box; box_head.whole_pixels all boxes
)

# What a keypoint model differs in besides, by source.
KEYPOINTS = {
    "torchvision": ("keypoint_head.score=logit", "keypoint_head.pixel_offset=0"),
    # In boxes of persons Detectron2 has a smooth L1 loss and more proposals to train on.
    "detectron2": ("rpn.post_nms_top_k_training=1500", "box_head.smooth_l1_beta=0.5"),
}
