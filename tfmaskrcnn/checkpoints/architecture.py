"""What the names and shapes of a checkpoint tell about its model."""

from typing import List, Mapping, NamedTuple, Tuple

import numpy as np

from tfmaskrcnn.checkpoints.resnet_names import Backbone


class Architecture(NamedTuple):
    """A Mask, Faster or Keypoint R-CNN with a pyramid. Norms are "none", "bn" or "gn"."""

    backbone: Backbone
    num_classes: int  # K, foreground only
    num_mask_convs: int  # 0 without a mask head
    mask_norm: str = "none"
    fpn_norm: str = "none"
    num_rpn_convs: int = 1
    num_box_convs: int = 0
    box_norm: str = "none"
    num_box_fcs: int = 2
    class_agnostic: bool = False  # boxes
    class_agnostic_masks: bool = False
    num_keypoint_convs: int = 0
    num_keypoints: int = 0  # J, 0 without a keypoint head
    # Further overrides of the configuration: channels, and what the dialect makes of all this.
    settings: Tuple[str, ...] = ()

    def overrides(self, bn: str) -> List[str]:
        """The configuration of this architecture, but the number of classes.

        Args:
            bn: the kind of a batch normalisation that is trained, where there is any.
        """
        kinds = {"none": "none", "gn": "gn", "bn": bn}
        # Who trains the pyramid's batch normalisation does not freeze the backbone's.
        kinds_below = {**kinds, "bn": "frozen_bn" if self.fpn_norm == "none" else bn}
        found = [
            f"backbone.name={self.backbone.name}",
            f"backbone.norm={kinds_below[self.backbone.norm]}",
            f"fpn.norm={kinds[self.fpn_norm]}",
            f"rpn.num_convs={self.num_rpn_convs}",
            f"box_head.num_convs={self.num_box_convs}",
            f"box_head.norm={kinds[self.box_norm]}",
            f"box_head.num_fcs={self.num_box_fcs}",
            f"box_head.class_agnostic={_yaml(self.class_agnostic)}",
            f"mask_head.enabled={_yaml(self.num_mask_convs > 0)}",
            f"keypoint_head.enabled={_yaml(self.num_keypoints > 0)}",
        ]
        if self.num_mask_convs:
            found += [
                f"mask_head.num_convs={self.num_mask_convs}",
                f"mask_head.norm={kinds[self.mask_norm]}",
                f"mask_head.class_agnostic={_yaml(self.class_agnostic_masks)}",
            ]
        if self.num_keypoints:
            found += [
                f"keypoint_head.num_keypoints={self.num_keypoints}",
                f"keypoint_head.num_convs={self.num_keypoint_convs}",
            ]
        return [*found, *self.settings]


def _yaml(value: bool) -> str:
    return str(value).lower()


def side_of(tensors: Mapping[str, np.ndarray], name: str, axis: int) -> int:
    """Length of an axis of a weight, 0 if there is no such weight."""
    return np.shape(tensors[name])[axis] if name in tensors else 0


def channels_of(tensors: Mapping[str, np.ndarray], names: Mapping[str, str]) -> Tuple[str, ...]:
    """Overrides that set keys to the number of outputs of the weights of these names.

    Args:
        tensors: a state dict in PyTorch's axis order.
        names: configuration key -> weight; one that is not among the tensors says nothing.
    """
    found = {key: np.shape(tensors[name]) for key, name in names.items() if name in tensors}
    return tuple(f"{key}={shape[0]}" for key, shape in found.items() if shape)
