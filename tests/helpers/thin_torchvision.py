"""A checkpoint of torchvision small enough for a test that is not about its size."""

from golden.weights_by_name import weight

THIN_HEADS = ("fpn.channels=16", "box_head.hidden=32", "mask_head.channels=16")


def thin_state_dict(num_classes=4):
    """A ResNet-18 with thin heads, so that a test need not move 170 MB."""
    shapes, channels = {"backbone.body.conv1.weight": (64, 3, 7, 7)}, 64
    norms = {"backbone.body.bn1": 64}
    for stage in range(4):
        for block in range(2):
            name, out = f"backbone.body.layer{stage + 1}.{block}", 64 * 2**stage
            shapes[f"{name}.conv1.weight"] = (out, channels, 3, 3)
            shapes[f"{name}.conv2.weight"] = (out, out, 3, 3)
            norms.update({f"{name}.bn1": out, f"{name}.bn2": out})
            if channels != out:
                shapes[f"{name}.downsample.0.weight"] = (out, channels, 1, 1)
                norms[f"{name}.downsample.1"] = out
            channels = out
    for norm, out in norms.items():
        for part in ("weight", "bias", "running_mean", "running_var"):
            shapes[f"{norm}.{part}"] = (out,)
        shapes[f"{norm}.num_batches_tracked"] = ()
    layers = {
        **{f"backbone.fpn.inner_blocks.{i}.0": (16, 64 * 2**i, 1, 1) for i in range(4)},
        **{f"backbone.fpn.layer_blocks.{i}.0": (16, 16, 3, 3) for i in range(4)},
        "rpn.head.conv.0.0": (16, 16, 3, 3),
        "rpn.head.cls_logits": (3, 16, 1, 1),
        "rpn.head.bbox_pred": (12, 16, 1, 1),
        "roi_heads.box_head.fc6": (32, 16 * 49),
        "roi_heads.box_head.fc7": (32, 32),
        "roi_heads.box_predictor.cls_score": (num_classes + 1, 32),
        "roi_heads.box_predictor.bbox_pred": (4 * num_classes + 4, 32),
        "roi_heads.mask_head.0.0": (16, 16, 3, 3),
        "roi_heads.mask_predictor.conv5_mask": (16, 16, 2, 2),
        "roi_heads.mask_predictor.mask_fcn_logits": (num_classes + 1, 16, 1, 1),
    }
    for name, shape in layers.items():
        shapes[f"{name}.weight"] = shape
        shapes[f"{name}.bias"] = shape[1:2] if "conv5_mask" in name else shape[:1]
    return {name: weight(name, shape) for name, shape in shapes.items()}
