import numpy as np
import pytest
import tensorflow as tf

from tfmaskrcnn.ops.atlas import build_atlas, level_places
from tfmaskrcnn.ops.structures import ROI_LEVELS


@pytest.mark.parametrize("inference", [True, False])
def test_each_level_lies_where_its_place_says_with_its_edge_around(inference):
    rng = np.random.default_rng(0)
    shapes = {p: (2, 64 >> k, 96 >> k, 3) for k, p in enumerate(ROI_LEVELS)}
    maps = {p: rng.normal(size=shape).astype(np.float32) for p, shape in shapes.items()}
    atlas = build_atlas(maps, inference=inference)
    origin, size, stride = level_places(atlas, tf.constant([[0.0, 1, 2, 3]]))
    np.testing.assert_array_equal(stride[0, :, 0], [4, 8, 16, 32])
    for row, level in enumerate(ROI_LEVELS):
        (y, x), (height, width) = (
            origin[0, row].numpy().astype(int),
            size[0, row].numpy().astype(int),
        )
        assert (height, width) == maps[level].shape[1:3]
        part = atlas.canvas[:, y : y + height + 2, x : x + width + 2]
        padded = np.pad(maps[level], [(0, 0), (1, 1), (1, 1), (0, 0)], mode="edge")
        np.testing.assert_array_equal(part, padded)
