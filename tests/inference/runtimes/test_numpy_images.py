"""The pixels that a file's network gets are those of the SavedModel, to the bit."""

import numpy as np
import pytest
import tensorflow as tf

from tfmaskrcnn.config.model import InputConfig
from tfmaskrcnn.inference.runtimes import numpy_images
from tfmaskrcnn.ops import images
from tfmaskrcnn.ops.tensors import as_graph

# (height, width): shrinking, growing, one axis alone, long and thin, a pixel.
SIZES = [(201, 333), (40, 30), (96, 130), (300, 17), (1, 1)]
SETTINGS = {
    "plain": {},
    "fixed": {"fixed_size": (96, 128)},
    "torch": {"resize": "torch", "size_rounding": "floor"},
    "detectron2": {"resize": "pillow", "order": "bgr", "mean": (103.5, 116.3, 123.7)},
    "matterport": {"resize": "skimage", "padding": "centred", "size_rounding": "even"},
    "kept small": {"enlarge_only": True, "min_side": 64},
    "microscopy": {"stretch_contrast": True, "invert_bright": True, "std": (128.0, 127.0, 3.0)},
    "stretched pillow": {"stretch_contrast": True, "resize": "pillow"},
    "grey": {"channels": 1, "mean": (100.0,), "std": (77.0,)},
    "alpha": {"channels": 4, "mean": (1.0,) * 4, "std": (2.0, 3.0, 7.0, 9.0), "resize": "pillow"},
}


def picture(size, channels, seed):
    """Smooth and noisy parts, of a bright or a dark ground."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[: size[0], : size[1], :1][:2]
    waves = 90 + 60 * np.sin(y / 7) * np.cos(x / 9) + (80 if seed % 2 else 0)
    noisy = waves + rng.normal(0, 12, (*size, channels))
    return np.clip(noisy, 0, 255).astype(np.uint8)


@pytest.mark.parametrize("name", SETTINGS)
def test_the_input_is_that_of_the_saved_model_to_the_bit(name):
    input = InputConfig(**{"min_side": 96, "max_side": 128, **SETTINGS[name]})
    height, width = input.static_size or (128, 128)

    def graph(image):  # as `Servable` has it; a graph multiplies where eager code divides
        ready, _ = images.preprocess(image, input)
        return ready, images.pad_to(ready, height, width, input)

    spec = tf.TensorSpec([None, None, input.channels], tf.uint8)
    wanted = as_graph(graph, input_signature=[spec])
    for seed, size in enumerate(SIZES):
        image = picture(size, input.channels, seed)
        ready = numpy_images.preprocess(image, input)
        expected, padded = (value.numpy() for value in wanted(image))
        assert ready.dtype == np.float32 and ready.shape == expected.shape
        np.testing.assert_array_equal(ready, expected, err_msg=f"{size}")
        np.testing.assert_array_equal(numpy_images.pad_to(ready, height, width, input), padded)
