import pytest

import tfmaskrcnn as mr
from helpers.tiny import tiny_config, tiny_data
from tfmaskrcnn.inference.trained_sizes import TrainedSizes, run_sizes
from tfmaskrcnn.support.run_folder import Run
from tfmaskrcnn.train.run_start import config_of, long_warmup, note, say_long_warmup


def test_a_run_keeps_how_large_things_were(tmp_path):
    sizes = TrainedSizes(0.5, 1.0, 1.25, 58.0, 0.2, 46, 1059)
    note(Run(str(tmp_path)), tiny_config(), sizes)
    assert run_sizes(str(tmp_path)) == sizes


@pytest.mark.parametrize(
    "warmup, epochs, said",
    [
        (4, 10, ""),
        (5, 10, "The warm-up has 5 steps, the run 40; a tenth is usual: .*warmup_steps=4,"),
        (40, 10, "so that train.learning_rate is never reached"),
        (2, 1, "train.schedule.warmup_steps=1,"),
        (1, 1, ""),  # what would be advised
        (0, 1, ""),
    ],
)
def test_a_warm_up_of_more_than_a_tenth_of_the_run_is_told(warmup, epochs, said, caplog):
    train = tiny_config(f"train={{epochs: {epochs}, schedule: {{warmup_steps: {warmup}}}}}").train
    text = long_warmup(train, 4)
    assert bool(text) == bool(said)
    if said:
        with pytest.raises(mr.InputError, match=said):
            raise mr.InputError(text)
    assert not long_warmup(train, 0)
    say_long_warmup(train, 4)
    assert [record.getMessage() for record in caplog.records] == ([text] if said else [])


def test_a_configuration_is_a_config_or_what_reads_as_one(tmp_path):
    json_path, images = tiny_data(tmp_path / "set", 1)
    data = [f"data.train_json={json_path}", f"data.train_images={images}"]
    found = config_of("finetune", str(tmp_path / "run"), [*data, "train.epochs=3"])
    assert found.train.epochs == 3 and found.model.num_classes == 80
    config = tiny_config()
    assert config_of(config, "run") == config
    assert config_of(config, "run", ["train.epochs=5"]).train.epochs == 5


@pytest.mark.parametrize(
    "given, overrides, said",
    [
        (None, (), "config is None; wanted a Config, or what load_config reads"),
        ({"model": {}}, (), "wanted a Config"),
        ("nothing.yaml", (), "Cannot read the configuration|There is no"),
        ("finetune", ["data.train_json=no.json"], "There is no file 'no.json', which data.train_j"),
        ("finetune", ["train.epoch=1"], "did you mean 'train.epochs'"),
    ],
)
def test_another_configuration_is_refused(given, overrides, said):
    with pytest.raises(mr.InputError, match=said):
        config_of(given, "run", overrides)


@pytest.mark.parametrize("folder", [None, "", 3])
def test_a_run_needs_a_folder(folder):
    with pytest.raises(mr.InputError, match="folder is .*; wanted a path"):
        mr.train.train(tiny_config(), folder)
