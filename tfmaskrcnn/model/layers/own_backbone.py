"""A functional `keras.Model` of one's own as a backbone."""

from typing import Dict, List, Optional, Sequence, Tuple

import keras
import tensorflow as tf

from tfmaskrcnn import compat
from tfmaskrcnn.errors import InputError, one_line, quoted
from tfmaskrcnn.model.layers.functional_backbone import STRIDES, FunctionalBackbone, flat_layers
from tfmaskrcnn.support.suggestions import did_you_mean

_PROBE = 128  # side of the image on which the strides of the layers are measured


@compat.register
class OwnBackbone(FunctionalBackbone):
    """Images to c2..c5: outputs of layers of a copy of a functional model.

    The model that is given stays as it is: its layers are copied with their weights.

    Args:
        model: of images [B, H, W, C] of any height and width.
        feature_layers: names of four layers of strides 4, 8, 16, 32.
        norm, freeze_at: see `FunctionalBackbone`.

    Raises:
        InputError: the model or the layers are none that a pyramid can stand on.
    """

    def __init__(self, model: keras.Model, feature_layers: Sequence[str], **kwargs):
        if isinstance(model, dict):  # as `get_config` writes it
            model = keras.saving.deserialize_keras_object(model)
        _check_model(model)
        kwargs.setdefault("dtype", _policy(model))
        super().__init__(**kwargs)
        shapes = _shapes(model)
        outputs = _features(model, feature_layers, shapes)
        self.feature_layers = list(feature_layers)
        self.network = _copied(keras.Model(model.inputs[0], outputs, name="network"))
        self.out_channels = {k: shapes[n][-1] for k, n in zip(STRIDES, feature_layers)}
        self._stage_names = _stage_names(self.network, shapes)

    @property
    def stages(self) -> List[List[keras.layers.Layer]]:
        """What c2 to c5 are made of, each without the one before; that up to stride 2 apart."""
        return [[self.network.get_layer(n) for n in names] for names in self._stage_names]

    def build(self, input_shape):
        """Freeze what is not trained; raises `InputError` for other images than the model's."""
        channels, wanted = self.network.inputs[0].shape[-1], input_shape[-1]
        if channels != wanted:
            raise InputError(
                f"The backbone takes images of {channels} channels, model.input.channels is "
                f"{wanted}; set it, with a mean and a std for each channel."
            )
        self.freeze()
        self.built = True

    def get_config(self):
        """All arguments of the constructor, the model as Keras serialises it."""
        model = keras.saving.serialize_keras_object(self.network)
        return {**super().get_config(), "model": model, "feature_layers": self.feature_layers}


def _check_model(model) -> None:
    if not isinstance(model, keras.Model) or not compat.is_functional(model) or not model.built:
        raise InputError(
            f"backbone={quoted(model, 40)}: a backbone is a functional keras.Model, such as "
            "keras.applications.ResNet50(include_top=False, input_shape=(None, None, 3))."
        )
    shapes = [tuple(tensor.shape) for tensor in model.inputs]
    if len(shapes) != 1 or len(shapes[0]) != 4 or shapes[0][-1] is None:
        raise InputError(
            f"The backbone {model.name} takes {quoted(shapes, 80)}; it must take one batch of "
            "images, of shape (None, None, None, channels)."
        )
    if shapes[0][1:3] != (None, None):
        raise InputError(
            f"The backbone {model.name} takes images of {shapes[0][1]} x {shapes[0][2]} alone; "
            f"make it for any size, with input_shape=(None, None, {shapes[0][-1]})."
        )


def _policy(model: keras.Model) -> str:
    """The precision policy in which the model's layers compute."""
    half = {layer.compute_dtype for layer in flat_layers(model)} & {"float16", "bfloat16"}
    return f"mixed_{half.pop()}" if half else "float32"


def _shapes(model: keras.Model) -> Dict[str, Tuple[int, ...]]:
    """The shape of each layer's output for an image of `_PROBE` pixels a side, without the batch.

    Layers of several outputs, or that are called several times, are left out.
    """
    outputs = {layer.name: _output(layer) for layer in model.layers}
    outputs = {name: tensor for name, tensor in outputs.items() if tensor is not None}
    image = model.inputs[0]
    probe = tf.zeros((1, _PROBE, _PROBE, image.shape[-1]), image.dtype)
    try:
        found = keras.Model(image, list(outputs.values()))(probe, training=False)
    except Exception as error:  # of any layer: a dozen kinds
        raise InputError(
            f"The backbone {model.name} cannot be run on an image of {_PROBE} x {_PROBE}: "
            f"{one_line(error)}"
        ) from error
    return {name: tuple(value.shape[1:]) for name, value in zip(outputs, found)}


def _output(layer: keras.layers.Layer):
    """The one output tensor of a layer in its model; None if there is none such."""
    try:
        output = layer.output
    except (AttributeError, ValueError):  # called several times, or never
        return None
    return None if isinstance(output, (list, tuple, dict)) else output


def _features(model: keras.Model, names: Optional[Sequence[str]], shapes) -> List:
    """The outputs of the four layers.

    Raises:
        InputError: they are not four, are not in the model, or are of other strides.
    """
    if isinstance(names, str) or names is None or len(names) != len(STRIDES):
        raise InputError(
            f"feature_layers={quoted(names)} must name four layers of {model.name}, of strides 4, "
            f"8, 16 and 32{_proposal(shapes)}."
        )
    for name, stride in zip(names, STRIDES.values()):
        if name not in shapes:
            near = did_you_mean(str(name), shapes, most=2)
            raise InputError(
                f"{model.name} has no layer {quoted(name)} with one output"
                + (f"; {near}" if near else f" for stride {stride}{_proposal(shapes)}.")
            )
        shape, side = shapes[name], _PROBE // stride
        if len(shape) != 3 or shape[:2] != (side, side):
            raise InputError(
                f"{model.name}'s layer {quoted(name)} makes {' x '.join(map(str, shape))} of an "
                f"image of {_PROBE} x {_PROBE}, wanted {side} x {side} x channels: feature_layers "
                f"are of strides 4, 8, 16 and 32, in this order{_proposal(shapes)}."
            )
    return [model.get_layer(name).output for name in names]


def _proposal(shapes) -> str:
    """The last layer of each stride, for the end of a sentence; "" if there are none."""
    last = {shape[0]: name for name, shape in shapes.items() if _is_map(shape)}
    names = [last.get(_PROBE // stride) for stride in STRIDES.values()]
    return f", such as {names}" if all(names) else ""


def _is_map(shape: Tuple[int, ...]) -> bool:
    return len(shape) == 3 and shape[0] == shape[1]


def _copied(network: keras.Model) -> keras.Model:
    try:
        copy = keras.models.clone_model(network)
        copy.set_weights(network.get_weights())
    except Exception as error:  # of a layer without `get_config`, or a closure: a dozen kinds
        raise InputError(
            f"The backbone cannot be copied, so neither could it be saved: {one_line(error)}"
        ) from error
    return copy


def _stage_names(network: keras.Model, shapes) -> List[List[str]]:
    stages, seen = [], set()
    for output in network.outputs:
        names = [layer.name for layer in keras.Model(network.inputs[0], output).layers]
        stages.append([name for name in names if name not in seen])
        seen.update(names)
    least = _PROBE // 2  # of maps of the stem
    stem = {n for n in stages[0] if _is_map(shapes.get(n, ())) and shapes[n][0] >= least}
    later = [name for name in stages[0] if name not in stem]
    return [[name for name in stages[0] if name in stem], later, *stages[1:]]
