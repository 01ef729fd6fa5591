import os

import pytest

from helpers.paths import ROOT
from tfmaskrcnn.cli.main import main
from tfmaskrcnn.config.recipes import find_config, recipes, summary
from tfmaskrcnn.config.yaml_files import load_config
from tfmaskrcnn.errors import InputError


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def test_a_name_is_the_file_of_that_name():
    for name, path in recipes().items():
        assert load_config(name) == load_config(path) == load_config(f"{name}.yaml")
    assert load_config("finetune").model.backbone.name == "efficientnet_lite0"


def test_every_recipe_is_listed_with_a_line_that_says_what_it_is_for(capsys):
    assert main(["configs"]) == 0
    lines = capsys.readouterr().out.splitlines()
    files = sorted(path.stem for path in (ROOT / "configs").glob("*.yaml"))
    assert [line.split()[0] for line in lines] == files == list(recipes())
    for line, path in zip(lines, recipes().values()):
        said = line.split(maxsplit=1)[1]
        assert said == summary(path) and 20 < len(said) < 96 and len(line) < 140


def test_one_is_printed_to_be_copied(capsys):
    assert main(["configs", "finetune"]) == 0
    assert capsys.readouterr().out == (ROOT / "configs/finetune.yaml").read_text("utf-8")


def test_what_lies_here_goes_before_a_recipe_but_for_a_folder_that_is_no_run(tmp_path):
    (tmp_path / "finetune").mkdir()
    assert find_config("finetune") == recipes()["finetune"]
    (tmp_path / "finetune" / "config.json").write_text("{}")
    assert find_config("finetune") == "finetune"
    (tmp_path / "finetune.yaml").write_text("train: {epochs: 3}")
    assert load_config("finetune.yaml").train.epochs == 3


def test_a_base_is_a_file_beside_or_a_recipe(tmp_path):
    (tmp_path / "mine.yaml").write_text("base: efficientnet_lite0\ntrain: {epochs: 3}")
    found = load_config("mine.yaml")
    assert found.model.backbone.name == "efficientnet_lite0" and found.train.epochs == 3
    (tmp_path / "below").mkdir()
    (tmp_path / "below" / "other.yaml").write_text("base: ../mine.yaml\ntrain: {seed: 4}")
    found = load_config(os.path.join("below", "other.yaml"))
    assert (found.train.epochs, found.train.seed) == (3, 4)
    (tmp_path / "loop.yaml").write_text("base: loop.yaml")
    with pytest.raises(InputError, match="leads back to itself"):
        load_config("loop.yaml")
    (tmp_path / "wrong.yaml").write_text("base: efficientnet_lite")
    expected = "wrong.yaml: base: There is no configuration 'efficientnet_lite'.*lite0'"
    with pytest.raises(InputError, match=expected):
        load_config("wrong.yaml")


def test_a_base_is_not_sought_in_the_working_folder(tmp_path):
    (tmp_path / "efficientnet_lite0").write_text("nonsense: 3")
    (tmp_path / "finetune").mkdir()
    (tmp_path / "finetune" / "config.json").write_text('{"train": {"epochs": 77}}')
    (tmp_path / "below").mkdir()
    (tmp_path / "below" / "mine.yaml").write_text("base: finetune")
    assert load_config("finetune.yaml") == load_config("below/mine.yaml")
    assert load_config("finetune").train.epochs == 77  # a run, which goes before a recipe


def test_only_recipes_are_printed(tmp_path, capsys):
    (tmp_path / "mine.yaml").write_text("train: {epochs: 3}")
    for name in ("mine.yaml", "finetun", os.devnull):
        assert main(["configs", name]) == 2
        shown = capsys.readouterr()
        assert not shown.out and "`tfmaskrcnn configs` lists the names" in shown.err


@pytest.mark.parametrize(
    "text, expected",
    [
        ("finetun", "There is no configuration 'finetun'.*; did you mean 'finetune'"),
        ("maskrcnn_r50_fpn_2x_coco", "did you mean 'maskrcnn_r50_fpn_[13]x_coco'"),
        ("zzz", "neither a file nor a name. `tfmaskrcnn configs` lists the names"),
        ("configs/finetune.yaml", "No such file or directory. 'finetune' alone names"),
        ("mine.yaml", "Cannot read the configuration mine.yaml: No such file or directory.$"),
    ],
)
def test_what_is_neither_file_nor_name_gets_a_suggestion(text, expected):
    with pytest.raises(InputError, match=expected):
        load_config(text)
