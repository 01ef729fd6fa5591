"""Around a file's network boxes are scaled as the SavedModel scales them."""

import numpy as np
import pytest

from tfmaskrcnn.config.model import ModelConfig
from tfmaskrcnn.inference.runtimes.file_predictor import in_original
from tfmaskrcnn.ops import placement


@pytest.mark.parametrize("inclusive", [False, True])
@pytest.mark.parametrize("whole", [False, True])
def test_boxes_in_the_image_as_given_are_the_graph_s(inclusive, whole):
    model = {"inclusive_boxes": inclusive, "box_head": {"whole_pixels": whole}}
    config = ModelConfig(**model)
    rng = np.random.default_rng(0)
    for size, original in (((64, 96), (33, 50)), ((64, 96), (640, 960)), ((1, 1), (1, 1))):
        boxes = rng.uniform(0, 60, (9, 4)).astype(np.float32)
        expected = placement.in_original(boxes, size, original, config)
        np.testing.assert_array_equal(in_original(boxes, size, original, model), expected)
