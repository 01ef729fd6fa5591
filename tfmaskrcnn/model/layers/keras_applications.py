"""Any model of `keras.applications` as a backbone, by its name there."""

import math
from typing import Dict, List, Optional, Sequence, Tuple

import keras

from tfmaskrcnn import compat
from tfmaskrcnn.model.layers.functional_backbone import STRIDES, FunctionalBackbone

_STEM_STRIDE = 2
# Layers whose output no gradient needs where norms are frozen: a ReLU, or a convolution, follows.
_NOT_KEPT = (
    keras.layers.Conv2D,
    keras.layers.BatchNormalization,
    keras.layers.Add,
    keras.layers.Dropout,
)
_PROBE = 256  # side of the images on which the strides of the layers are measured


@compat.register
class KerasApplication(FunctionalBackbone):
    """Images to c2..c5: outputs of layers of a model from `keras.applications`.

    Its own preprocessing is not part of it, but where the model itself holds it (EfficientNet,
    ConvNeXt, MobileNetV3): `input.mean`, `input.std` and `input.order` have to say what
    `keras.applications.<module>.preprocess_input` does. Models that do not pad (Inception,
    Xception, NASNet) have no maps of the sides that a pyramid needs.

    Args:
        application: a class name of `keras.applications`, such as "ResNet50".
        feature_layers: names of four layers of strides 4, 8, 16, 32; none takes the last layer of
            each stride.
        norm: "frozen_bn" runs the whole network in inference mode, without dropout; "bn" trains
            its batch normalisation.
        freeze_at: 0 none, 1 the layers up to stride 2, 2 those up to c2, ... 5 all are not trained.

    Raises:
        ValueError: there is no such model or layer, or it has no output of one of the strides.
    """

    def __init__(
        self,
        application: str,
        feature_layers: Sequence[str] = (),
        norm: str = "frozen_bn",
        freeze_at: int = 0,
        **kwargs,
    ):
        super().__init__(norm, freeze_at, **kwargs)
        self.application, self.feature_layers = application, tuple(feature_layers)
        probe = _application(application, (_PROBE, _PROBE, 3))
        self._taps = _taps(probe, self.feature_layers)
        self._sizes = _sizes(probe, self._taps)
        outputs = [probe.layers[self._taps[key]].output for key in STRIDES]
        self.out_channels = {key: x.shape[-1] for key, x in zip(STRIDES, outputs)}

    def build(self, input_shape):
        """Build the network for [B, H, W, C] images and freeze its first stages."""
        self.network = self.make_network(input_shape[-1])
        self.freeze()
        self.built = True

    @property
    def stages(self) -> List[List[keras.layers.Layer]]:
        """The layers up to stride 2, and from there up to c2 to c5, in the model's order."""
        layers = self.network.layers
        ends = [0, *(self._taps[key] + 1 for key in ("c1", "c2", "c3", "c4")), len(layers)]
        return [layers[start:end] for start, end in zip(ends, ends[1:])]

    def make_network(self, channels: int = 3, weights: Optional[str] = None) -> keras.Model:
        """The model of `keras.applications` up to c5.

        Args:
            channels: of the images.
            weights: "imagenet", which Keras downloads, or a file without the top that it wrote.
        """
        whole = _application(self.application, (None, None, channels), weights)
        outputs = [whole.layers[self._taps[key]].output for key in STRIDES]
        return keras.Model(whole.inputs, outputs, name="network")

    def sizes(self) -> List[Tuple[int, float, int]]:
        """Of each layer up to c5: `freeze_at` at which it learns last, numbers a pixel, weights."""
        return self._sizes

    def get_config(self):
        """All arguments of the constructor."""
        return {
            **super().get_config(),
            "application": self.application,
            "feature_layers": list(self.feature_layers),
        }


def _application(name: str, shape, weights: Optional[str] = None) -> keras.Model:
    make = getattr(keras.applications, name, None)
    if make is None or not callable(make):
        known = [n for n in dir(keras.applications) if n[0].isupper()]
        raise ValueError(f"keras.applications has no {name!r}; it has {', '.join(known)}")
    return make(include_top=False, weights=weights, input_shape=shape)


def _taps(probe: keras.Model, names: Sequence[str]) -> Dict[str, int]:
    """Position in `probe.layers` of the stem's end, c1, and of c2..c5."""
    sides = [_side(layer) for layer in probe.layers]
    strides = {"c1": _STEM_STRIDE, **STRIDES}
    taps = {}
    for key, stride in strides.items():
        found = [i for i, side in enumerate(sides) if side * stride == _PROBE]
        if not found and stride > _STEM_STRIDE:
            raise ValueError(f"{probe.name} has no layer of stride {stride}")
        taps[key] = found[-1] if found else -1  # ConvNeXt begins with stride 4
    by_name = {layer.name: i for i, layer in enumerate(probe.layers)}
    for key, name in zip(STRIDES, names):
        if name not in by_name:
            raise ValueError(f"{probe.name} has no layer {name!r}")
        if sides[by_name[name]] * STRIDES[key] != _PROBE:
            raise ValueError(f"{probe.name}'s layer {name!r} is not of stride {STRIDES[key]}")
        taps[key] = by_name[name]
    return taps


def _sizes(probe: keras.Model, taps: Dict[str, int]) -> List[Tuple[int, float, int]]:
    found = []
    for i, layer in enumerate(probe.layers[1 : taps["c5"] + 1], start=1):
        stage = sum(i > tap for tap in taps.values())
        shape = getattr(layer.output, "shape", ())
        numbers = math.prod(shape[1:]) if not isinstance(layer, _NOT_KEPT) else 0
        found.append((stage, numbers / _PROBE**2, layer.count_params()))
    return found


def _side(layer) -> int:
    """Height of a layer's output on the probe; 0 if that is no single square map."""
    shape = getattr(layer.output, "shape", ())
    return shape[1] if len(shape) == 4 and shape[1] == shape[2] else 0
