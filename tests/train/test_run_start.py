from helpers.tiny import tiny_config
from tfmaskrcnn.inference.trained_sizes import TrainedSizes, run_sizes
from tfmaskrcnn.support.run_folder import Run
from tfmaskrcnn.train.run_start import note


def test_a_run_keeps_how_large_things_were(tmp_path):
    sizes = TrainedSizes(0.5, 1.0, 1.25, 58.0, 0.2, 46, 1059)
    note(Run(str(tmp_path)), tiny_config(), sizes)
    assert run_sizes(str(tmp_path)) == sizes
