"""A run without a val split: it is said what that means. And one on chosen classes."""

import json

import pytest

import tfmaskrcnn as mr
from helpers.tiny import tiny_config, tiny_data
from helpers.untrained import Untrained, stopped_runs
from tfmaskrcnn.cli.main import main
from tfmaskrcnn.config.yaml_files import save_config
from tfmaskrcnn.train.run_settings import check_settings, saved_settings


@pytest.fixture
def stopped(monkeypatch):
    """Runs end where the model would be made; what its configuration was."""
    return stopped_runs(monkeypatch)


def data_of(pair, split="train"):
    return f"data.{split}_json={pair[0]}", f"data.{split}_images={pair[1]}"


def test_it_is_said_what_is_kept_and_that_nothing_stops(stopped, tmp_path, caplog):
    pair = tiny_data(tmp_path / "set", 2)
    with pytest.raises(Untrained):
        mr.train.train(tiny_config(*data_of(pair), "train.early_stop=7"), str(tmp_path / "run"))
    (said,) = [r.getMessage() for r in caplog.records if "No val split" in r.getMessage()]
    assert "nothing is evaluated, the weights kept are those of the last epoch" in said
    assert "train.early_stop=7 stops nothing" in said and "`tfmaskrcnn split JSON`" in said
    caplog.clear()
    with pytest.raises(Untrained):
        config = tiny_config(*data_of(pair), *data_of(pair, "val"))
        mr.train.train(config, str(tmp_path / "run"))
    assert "No val split" not in caplog.text
    with pytest.raises(Untrained):  # as of a run whose JSON is taken away to evaluate nothing
        config = tiny_config(*data_of(pair), f"data.val_images={pair[1]}")
        mr.train.train(config, str(tmp_path / "run"))
    assert "(data.val_json, though there is data.val_images): nothing" in caplog.text


def test_a_val_split_without_images_is_refused(stopped, tmp_path, capsys):
    pair = tiny_data(tmp_path / "set", 2)
    config = tmp_path / "mine.yaml"
    config.write_text(tiny_config(*data_of(pair)).model_dump_json())
    words = ["train", str(config), "--out", str(tmp_path / "run")]
    assert main([*words, "--set", f"data.val_json={pair[0]}"]) == 2
    assert "data.val_images is not set" in capsys.readouterr().err


def test_a_run_learns_the_chosen_classes_and_names_them(stopped, tmp_path, capsys):
    pair = tiny_data(tmp_path / "set", 4)
    with open(pair[0]) as file:
        names = [category["name"] for category in json.load(file)["categories"]]
    choice = f"data.classes={{thing: [{names[2]}, {names[0]}]}}"
    wanted = tiny_config(*data_of(pair), choice, "model.num_classes=1")
    with pytest.raises(Untrained):
        mr.train.train(wanted, str(tmp_path / "run"))
    assert stopped[0].model.class_names == ("thing",) and stopped[0].model.category_ids == (1,)
    config = tmp_path / "run.json"
    save_config(tiny_config(*data_of(pair), f"data.classes=[{names[0]}, x{names[2]}]"), str(config))
    assert main(["train", str(config), "--out", str(tmp_path / "other")]) == 2
    assert f"has no category 'x{names[2]}'; did you mean" in capsys.readouterr().err


def test_a_run_goes_on_with_its_own_classes_alone():
    before, now = tiny_config(), tiny_config("data.classes={thing: [circle]}")
    content, other = {"train": "a"}, {"train": "b"}
    check_settings("s.npz", before, content, saved_settings(before), content)
    message = r"data.classes.thing was None and is \['circle'\]. Give the run's"
    with pytest.raises(mr.InputError, match=message):
        check_settings("s.npz", now, other, saved_settings(before), content)
