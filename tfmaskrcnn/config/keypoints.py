"""The keypoint head's part of the configuration."""

from typing import Annotated, Literal, Tuple

import pydantic
from pydantic import Field

from tfmaskrcnn.config import person_keypoints
from tfmaskrcnn.config.base import Channels, Few, Finite, Positive, Section

_MAX_KEYPOINTS = 1000  # a face of MediaPipe has 478
Pair = Tuple[Annotated[int, Field(ge=0)], Annotated[int, Field(ge=0)]]


class KeypointHeadConfig(Section):
    """Keypoints as one-hot heat maps (Mask R-CNN, section 5); the names are COCO's persons'.

    With another `num_keypoints`, `names`, `flip_pairs` and `skeleton` are empty unless given.
    """

    enabled: bool = False
    num_keypoints: int = Field(17, gt=0, le=_MAX_KEYPOINTS)  # J
    names: Tuple[str, ...] = person_keypoints.NAMES
    # Keypoints, by index from 0, that change places in a mirrored image: left and right.
    flip_pairs: Tuple[Pair, ...] = person_keypoints.mirror_pairs(person_keypoints.NAMES)
    skeleton: Tuple[Pair, ...] = person_keypoints.SKELETON  # lines that pictures show
    sigmas: Tuple[Positive, ...] = person_keypoints.SIGMAS  # of OKS, one a keypoint
    roi_side: Few = 14  # a heat map has four times this side
    channels: Channels = 512
    num_convs: Few = 8
    loss_weight: Positive = 1.0
    # Divide the loss by the number of visible keypoints; else by all that could be.
    normalize_by_visible: bool = True
    # A keypoint's score: its share of the heat map (Detectron2) or the logit itself (torchvision).
    score: Literal["probability", "logit"] = "probability"
    # COCO's keypoints name pixels. Added to get to their centres; 0 as torchvision trains.
    pixel_offset: Finite = 0.5

    @pydantic.model_validator(mode="before")
    @classmethod
    def _nothing_of_persons(cls, values):
        """The defaults are for COCO's 17."""
        number = values.get("num_keypoints", 17) if isinstance(values, dict) else 17
        if isinstance(number, int) and number != 17 and 0 < number <= _MAX_KEYPOINTS:
            sigmas = (person_keypoints.OTHER_SIGMA,) * number
            values = {"names": (), "flip_pairs": (), "skeleton": (), "sigmas": sigmas, **values}
        return values

    @pydantic.model_validator(mode="after")
    def _one_of_each(self):
        number = self.num_keypoints
        for key in ("names", "sigmas"):
            found = len(getattr(self, key))
            if found != number and (found or key == "sigmas"):
                raise ValueError(f"{key} has {found} entries, num_keypoints is {number}")
        for pair in self.flip_pairs + self.skeleton:
            if max(pair) >= number:
                raise ValueError(
                    f"keypoint {max(pair)} of the pair {pair} is not in 0..{number - 1}"
                )
        return self
