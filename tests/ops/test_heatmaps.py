import numpy as np
import pytest
import tensorflow as tf

from golden.weights_by_name import heat_maps
from helpers.paths import GOLDEN
from tfmaskrcnn.ops.heatmaps import decode_heatmaps, keypoint_targets
from tfmaskrcnn.ops.tensors import as_graph

FILE = GOLDEN / "torchvision_keypointrcnn.npz"


def enlarged(logits, box):
    """Every sample of [M, M] logits resized to a yxyx box as Detectron does it; float64."""
    counts = np.ceil(np.maximum(box[2:] - box[:2], 1)).astype(int)
    rows, columns = (cubic_matrix(n, len(logits)) for n in counts)
    return rows @ logits.astype(np.float64) @ columns.T


def cubic_matrix(count, size):
    """[count, size] weights of PyTorch's bicubic resizing along one axis."""
    matrix = np.zeros((count, size))
    for i in range(count):
        where = (i + 0.5) * size / count - 0.5
        for j in range(int(np.floor(where)) - 1, int(np.floor(where)) + 3):
            x = abs(where - j)
            near = (1.25 * x - 2.25) * x * x + 1
            far = -0.75 * (((x - 5) * x + 8) * x - 4)
            matrix[i, np.clip(j, 0, size - 1)] += near if x <= 1 else far
    return matrix


def decoded(logits, boxes, score="probability", sides=(1000, 1000)):
    found = decode_heatmaps(tf.constant(logits)[None], tf.constant(boxes)[None], sides, score)
    return found[0].numpy()


def test_heat_maps_are_decoded_as_torchvision_does():
    maps, boxes = heat_maps(40, 4, 0)
    golden = np.load(FILE)
    found = decoded(maps, boxes[:, [1, 0, 3, 2]], "logit")
    np.testing.assert_array_equal(found[..., 1::-1], golden["decoded"][..., :2])
    np.testing.assert_allclose(found[..., 2], golden["decoded_scores"], atol=1e-5)


@pytest.mark.parametrize("seed", range(20))
def test_no_maximum_is_missed_in_noise_or_at_peaks(seed):
    maps, boxes = heat_maps(8, 3, seed + 1)
    found = decoded(maps, boxes)
    for values, box, points in zip(maps, boxes, found):
        sides = np.maximum(box[2:] - box[:2], 1)
        for one, point in zip(values, points):
            large = enlarged(one, box)
            y, x = np.round((point[:2] - box[:2]) / (sides / np.ceil(sides)) - 0.5).astype(int)
            # Where two samples are as good in float32, either will do.
            assert large[y, x] > large.max() - 1e-5
            share = 1 / np.exp(one.astype(np.float64) - large.max()).sum()
            np.testing.assert_allclose(point[2], share, rtol=1e-4)


def test_the_half_pixel_of_a_peak_by_hand():
    # 4 x 4 pixels in a box of 8 x 8 at (10, 20): samples 2i and 2i + 1 lie a quarter of a pixel
    # before and after pixel i; the higher neighbour at the right draws the maximum there.
    maps = np.zeros((1, 1, 4, 4), np.float32)
    maps[0, 0, 1, 2], maps[0, 0, 1, 3] = 5.0, 2.0
    box = np.float32([[10, 20, 18, 28]])
    y, x, _ = decoded(maps, box)[0, 0]
    assert y in (12.5, 13.5) and x == 20 + 5.5


def test_a_flat_map_gives_the_first_sample_and_an_even_share():
    maps, box = np.zeros((1, 2, 56, 56), np.float32), np.float32([[3, 4, 103, 204]])
    found = decoded(maps, box)[0]
    np.testing.assert_allclose(found, [[3.5, 4.5, 1 / 56**2]] * 2, rtol=1e-6)


def test_a_box_thinner_than_a_pixel_counts_as_one_pixel():
    maps = heat_maps(2, 3, 9)[0][:1]
    found = decoded(maps, np.float32([[7.0, 5.0, 7.25, 5.0]]))[0]
    np.testing.assert_array_equal(found[:, :2], [[7.5, 5.5]] * 3)


def test_sizes_need_not_be_known_when_the_graph_is_made():
    maps, boxes = heat_maps(6, 2, 4)
    specs = [tf.TensorSpec([None, None, 2, 56, 56]), tf.TensorSpec([None, None, 4])]
    specs.append(tf.TensorSpec([2], tf.int32))
    graph = as_graph(
        lambda m, b, s: decode_heatmaps(m, b, tf.unstack(s, num=2)), input_signature=specs
    )
    found = graph(maps[None], boxes[None], tf.constant([700, 640]))[0].numpy()
    np.testing.assert_allclose(found, decoded(maps, boxes), rtol=1e-5)
    empty = graph(maps[None, :0], boxes[None, :0], tf.constant([700, 640]))
    assert empty.shape == (1, 0, 2, 3)


def targets(keypoints, roi, side=4):
    keypoints = tf.constant(np.float32(keypoints))[None, None]  # one object
    found = keypoint_targets(tf.constant([[roi]], tf.float32), keypoints, tf.constant([[0]]), side)
    return found.position[0, 0].numpy().tolist(), found.visible[0, 0].numpy().tolist()


def test_a_keypoint_belongs_to_the_cell_it_lies_in():
    points = [[10, 20, 2], [12.1, 25, 1], [17.9, 27.9, 2], [13, 21, 0]]
    position, visible = targets(points, [10, 20, 18, 28])
    assert position == [0, 1 * 4 + 2, 3 * 4 + 3, 0]
    assert visible == [True, True, True, False]


def test_a_keypoint_outside_the_roi_is_not_learned_but_one_on_its_border_is():
    points = [[9.9, 22, 2], [18, 28, 2], [18.1, 22, 2], [11, 19.9, 2]]
    position, visible = targets(points, [10, 20, 18, 28])
    assert visible == [False, True, False, False]
    assert position == [0, 15, 0, 0]


def test_a_roi_without_area_has_no_keypoints():
    assert targets([[10, 20, 2]], [10, 20, 10, 28])[1] == [False]


def test_targets_are_where_decoding_finds_them():
    # A heat map that is one at its target and zero elsewhere decodes to within half a cell.
    rng = np.random.default_rng(0)
    roi = np.float32([5, 8, 117, 92])
    points = rng.uniform(roi[:2], roi[2:], (20, 2)).astype(np.float32)
    visible = np.concatenate([points, np.full((20, 1), 2, np.float32)], axis=1)
    position, _ = targets(visible, roi, 56)
    maps = np.zeros((1, 20, 56 * 56), np.float32)
    maps[0, np.arange(20), position] = 10
    found = decoded(maps.reshape(1, 20, 56, 56), roi[None])[0]
    cell = (roi[2:] - roi[:2]) / 56
    assert (np.abs(found[:, :2] - points) <= cell / 2 + 1).all()
