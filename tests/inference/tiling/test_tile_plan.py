import numpy as np
import pytest

from tfmaskrcnn.errors import InputError
from tfmaskrcnn.inference.tiling.tile_plan import TileOptions, plan_of, starts
from tfmaskrcnn.inference.trained_sizes import NetworkInput, TrainedSizes

INPUT = NetworkInput(320, 512)
NUCLEI = TrainedSizes(0.62, 1.25, 1.25, 58.0, 0.18, 46, 1059)
SCENES = TrainedSizes(0.8, 1.0, 1.25, 300.0, 0.9, 46, 1059)


def test_what_is_as_large_as_in_training_is_seen_as_a_whole():
    for size in [(256, 256), (520, 696), (64, 64)]:
        plan = plan_of(size, TileOptions(), INPUT, NUCLEI)
        assert plan.tile is None and plan.sentence is None


def test_auto_takes_tiles_of_the_trained_scale_that_overlap_by_the_objects():
    plan = plan_of((1024, 1280), TileOptions(), INPUT, NUCLEI)
    assert plan.tile == (256, 256) and plan.overlap == 58 and not plan.warning
    assert plan.sentence == (
        "1280 x 1024 pixels in 35 tiles of 256 x 256 that overlap by 58; as a whole it would be "
        "0.31 of its size to the network, tiles are 1.25 as in training."
    )


def test_a_picture_of_a_scene_is_shrunk_and_that_is_said():
    plan = plan_of((3000, 4000), TileOptions(), INPUT, SCENES)
    assert plan.tile is None and plan.warning
    assert (
        "4000 x 3000 pixels are shrunk to 0.11" in plan.sentence and "--tile 320" in plan.sentence
    )


def test_without_tiles_the_number_is_said():
    plan = plan_of((1024, 1280), TileOptions("none"), INPUT, NUCLEI)
    assert plan.tile is None and plan.warning
    assert "shrunk to 0.31" in plan.sentence and "0.62 to 1.25" in plan.sentence
    assert "--tile auto or --tile 256" in plan.sentence


def test_a_size_is_taken_at_its_word_and_another_scale_is_said():
    plan = plan_of((1024, 1280), TileOptions(512, 100), INPUT, NUCLEI)
    assert (plan.tile, plan.overlap) == ((512, 512), 100)
    plan = plan_of((1024, 1280), TileOptions(600), INPUT, NUCLEI)
    assert "tiles are 0.53" in plan.sentence and "a tile size of 256" in plan.sentence
    assert plan_of((300, 512), TileOptions(512), INPUT, NUCLEI).tile is None
    assert plan_of((300, 900), TileOptions(512), None, None).tile == (300, 512)


def test_an_older_run_takes_its_network_s_size_and_says_so():
    plan = plan_of((1024, 1280), TileOptions(), INPUT, None)
    assert plan.tile == (320, 320) and "not known" in plan.sentence
    assert plan_of((500, 600), TileOptions(), INPUT, None).tile is None


def test_of_imported_weights_nothing_is_known_and_nothing_is_changed():
    for size in ("auto", "none"):
        plan = plan_of((3000, 4000), TileOptions(size), INPUT, None, trained=False)
        assert plan.tile is None and plan.sentence is None


@pytest.mark.parametrize("seed", range(20))
def test_tiles_cover_the_picture_and_overlap_by_as_much_as_wanted(seed):
    rng = np.random.default_rng(seed)
    side, tile = (int(v) for v in rng.integers(40, 3000, 2))
    overlap = int(rng.integers(8, tile // 2 + 1))
    found = starts(side, tile, overlap)
    assert found[0] == 0 and max(found) == max(side - tile, 0)
    steps = np.diff(found)
    assert not len(steps) or (steps.max() <= tile - overlap and steps.min() > 0)


@pytest.mark.parametrize(
    "options, words",
    [
        (TileOptions("all"), "'all'; wanted auto, none or a number"),
        (TileOptions(8), "from 32 on"),
        (TileOptions(100, 60), "The overlap is 60; .* from 8 to half of the tile, 50"),
        (TileOptions("auto", 0), "The overlap is 0"),
        (TileOptions("auto", None, 0), "batch_size is 0"),
    ],
)
def test_what_cannot_be_is_a_sentence(options, words):
    with pytest.raises(InputError, match=words):
        options.checked()
