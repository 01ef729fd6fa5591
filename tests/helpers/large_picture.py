"""How many bytes a pixel a large picture takes on its way to the network, itself included.

    PYTHONPATH=tests python tests/helpers/large_picture.py [SIDE]

Each way is measured in a process of its own, on a drawn picture of SIDE x SIDE (10000) pixels.
"""

import os
import sys

import numpy as np
import tensorflow as tf

from helpers.memory import peak_beyond
from tfmaskrcnn.config.model import InputConfig
from tfmaskrcnn.ops.images import preprocess
from tfmaskrcnn.ops.tensors import as_graph

WAYS = {
    "as it is": {},
    "stretch_contrast": {"stretch_contrast": True},
    "invert_bright": {"invert_bright": True},
    "both": {"stretch_contrast": True, "invert_bright": True},
}


def bytes_a_pixel(side: int, **settings) -> float:
    """The peak while a picture is drawn and preprocessed, as `predict_images` does it."""
    config = InputConfig(**settings)
    specs = [tf.TensorSpec([None, None, 3], tf.uint8)]
    graph = as_graph(lambda image: preprocess(image, config), input_signature=specs)
    graph(np.zeros((50, 50, 3), np.uint8))
    part = np.random.default_rng(0).integers(0, 200, (100, 100, 3), np.uint8)

    def call():
        graph(np.tile(part, (-(-side // 100), -(-side // 100), 1))[:side, :side])

    return peak_beyond(call) / side**2


if __name__ == "__main__":
    picture_side = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    for way, chosen in WAYS.items():
        if os.fork():  # what one way leaves in memory must not help the next
            os.wait()
            continue
        print(f"{way:17} {bytes_a_pixel(picture_side, **chosen):5.1f} bytes a pixel", flush=True)
        os._exit(0)
