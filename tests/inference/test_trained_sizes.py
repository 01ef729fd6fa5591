import json

import numpy as np
import pytest

from helpers.tiny import tiny_config, tiny_data
from tfmaskrcnn.data.coco.records import load_coco
from tfmaskrcnn.errors import InputError
from tfmaskrcnn.inference.trained_sizes import (
    NetworkInput,
    TrainedSizes,
    run_sizes,
    save_for_run,
    sizes_of,
)
from tfmaskrcnn.ops.images import target_size

SIZES = [(96, 128), (1000, 1200), (37, 900), (2000, 40), (320, 320)]


@pytest.mark.parametrize(
    "changes", [(), ("input.fixed_size=[64, 96]",), ("input.enlarge_only=true",)]
)
def test_the_scale_is_that_of_the_network_s_resizing(changes):
    section = tiny_config(*changes).model.input
    input = NetworkInput.of(section.model_dump())
    for size in SIZES:
        resized = target_size(*size, section)
        long = int(np.argmax(size))
        assert input.scale(size) * size[long] == pytest.approx(int(resized[long]), abs=0.51)


@pytest.mark.parametrize("input", [NetworkInput(320, 512), NetworkInput(320, 512, (256, 512))])
@pytest.mark.parametrize("size", [(4000, 5000), (100, 5000), (5000, 200)])
def test_a_tile_is_seen_at_the_scale_that_it_was_made_for(input, size):
    for scale in (0.5, 1.25):
        assert input.scale(input.tile(scale, size)) == pytest.approx(scale, rel=0.02)


def test_a_set_s_sizes_are_kept_by_its_run(tmp_path):
    data = load_coco(*tiny_data(tmp_path / "data", num_images=3))
    sizes = sizes_of(data.records, NetworkInput(48, 64))
    assert (sizes.images, sizes.scale_low, sizes.scale_high) == (3, 0.5, 0.5)
    assert 0 < sizes.object_side <= 64 and 0 < sizes.object_share <= 128 / 96
    save_for_run(sizes, str(tmp_path))
    assert run_sizes(str(tmp_path)) == sizes
    assert sizes_of([], NetworkInput()) is None


@pytest.mark.parametrize("spoilt", [{"scale_low": "x"}, {"scale_middle": -1}, {"images": None}, []])
def test_a_damaged_file_is_as_none(spoilt, tmp_path):
    good = json.loads(TrainedSizes(1, 1, 2, 9, 0.1, 3, 4).to_json())
    content = {**good, **spoilt} if spoilt else spoilt
    (tmp_path / "trained_sizes.json").write_text(json.dumps(content))
    assert run_sizes(str(tmp_path)) is None


def test_sizes_that_no_set_has_are_refused():
    with pytest.raises(InputError, match="ascending"):
        TrainedSizes(2, 1, 1, 9, 0.1)
