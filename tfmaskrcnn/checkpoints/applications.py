"""Weights of `keras.applications`: a file that Keras published, or its download."""

import os

import numpy as np

from tfmaskrcnn.checkpoints.weight_table import with_channels
from tfmaskrcnn.errors import InputError
from tfmaskrcnn.model.layers.keras_applications import KerasApplication


def load_keras_application(backbone: KerasApplication, weights: str) -> None:
    """Give a built backbone the weights of its model of `keras.applications`.

    For images of other than 3 channels the first convolution is spread over them.

    Args:
        backbone: built.
        weights: "imagenet", which Keras downloads and keeps, or a file of Keras without the top,
            such as "resnet50_weights_tf_dim_ordering_tf_kernels_notop.h5".

    Raises:
        InputError: there is no such file, it does not fit, or the download fails.
    """
    name = backbone.application
    if weights != "imagenet" and not os.path.exists(weights):
        raise InputError(f"model.backbone.weights {weights!r} is neither a file nor 'imagenet'.")
    try:
        arrays = backbone.make_network(weights=weights).get_weights()
    except Exception as error:  # of h5py, Keras and the network: a dozen kinds
        reason = " ".join(str(error).split()) or type(error).__name__
        if weights == "imagenet":
            raise InputError(
                f"Keras cannot download the ImageNet weights of {name}: {reason[:200]}. Fetch the "
                "file without the top elsewhere and set model.backbone.weights to it."
            ) from None
        raise InputError(
            f"{weights} holds no weights of keras.applications.{name} without its top: "
            f"{reason[:200]}."
        ) from None
    wanted = [np.shape(array) for array in backbone.network.get_weights()]
    arrays = [
        with_channels(array, shape[2]) if len(shape) == 4 and shape != array.shape else array
        for array, shape in zip(arrays, wanted)
    ]
    backbone.network.set_weights(arrays)
