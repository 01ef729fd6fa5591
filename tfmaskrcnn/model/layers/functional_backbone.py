"""What backbones have in common that are functional models of Keras."""

from typing import Dict, List

import keras

STRIDES = {"c2": 4, "c3": 8, "c4": 16, "c5": 32}


class FunctionalBackbone(keras.layers.Layer):
    """Images to the four outputs of a functional `network`, which a subclass makes.

    Args:
        norm: "frozen_bn" runs the whole network in inference mode, without dropout; "bn" trains
            its batch normalisation.
        freeze_at: so many of the `stages` are not trained.

    Raises:
        ValueError: there is no such norm.
    """

    network: keras.Model

    def __init__(self, norm: str = "frozen_bn", freeze_at: int = 0, **kwargs):
        super().__init__(**kwargs)
        if norm not in ("frozen_bn", "bn"):
            raise ValueError(f"norm is {norm!r}; a model of Keras takes 'frozen_bn' or 'bn'")
        self.norm, self.freeze_at = norm, freeze_at

    @property
    def stages(self) -> List[List[keras.layers.Layer]]:
        """The layers up to stride 2, and from there up to c2 to c5."""
        raise NotImplementedError

    def freeze(self) -> None:
        """Freeze the first stages of the built network, and its norms unless they are trained."""
        for layers in self.stages[: self.freeze_at]:
            for layer in layers:
                layer.trainable = False
        if self.norm == "frozen_bn":
            for layer in flat_layers(self.network):
                if isinstance(layer, keras.layers.BatchNormalization):
                    layer.trainable = False

    def call(self, images, training=None) -> Dict:
        """[B, H, W, C] preprocessed images -> {"c2": [B, H / 4, W / 4, C2], ...}."""
        outputs = self.network(images, training=bool(training) and self.norm == "bn")
        return dict(zip(STRIDES, outputs))

    def get_config(self):
        """All arguments of the constructor."""
        return {**super().get_config(), "norm": self.norm, "freeze_at": self.freeze_at}


def flat_layers(model: keras.Model) -> List[keras.layers.Layer]:
    """All layers of a model, also those of models inside it."""
    layers = []
    for layer in model.layers:
        layers += flat_layers(layer) if isinstance(layer, keras.Model) else [layer]
    return layers
