"""`tfmaskrcnn show-data`: pictures of both splits, without a model."""

import os

import numpy as np
import pytest
import yaml
from PIL import Image

from helpers.one_stack import on_stack_a
from helpers.tiny import tiny_config, tiny_data
from tfmaskrcnn.cli.main import main


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    """A YAML of the tiny model with three images to train on and two to evaluate on."""
    folder = tmp_path_factory.mktemp("show")
    sets = {"train": tiny_data(folder / "train", 3, 1), "val": tiny_data(folder / "val", 2, 2)}
    paths = [
        f"data.{split}_{key}={path}"
        for split, found in sets.items()
        for key, path in zip(("json", "images"), found)
    ]
    # A batch of more images than there are is no matter here.
    settings = tiny_config(*paths, "train.batch_size=8", "data.augment.horizontal_flip=0")
    raw = settings.model_dump(mode="json", exclude_unset=True)
    del raw["model"]["num_classes"]  # is taken from the data
    (folder / "config.yaml").write_text(yaml.safe_dump(raw))
    return str(folder / "config.yaml")


@on_stack_a
def test_pictures_of_several_epochs_and_a_sheet_are_written(config, tmp_path, capsys):
    out = str(tmp_path / "new" / "pictures")
    assert main(["show-data", config, "--out", out, "--num", "5"]) == 0
    names = sorted(os.listdir(out))
    assert [name[:4] for name in names[:5]] == ["0001", "0002", "0003", "0004", "0005"]
    assert names[5:] == ["sheet.png"]
    assert {name[5:] for name in names[:3]} == {f"00000{i}.png" for i in (1, 2, 3)}
    assert os.path.join(out, "sheet.png") in capsys.readouterr().out
    pictures = [np.asarray(Image.open(os.path.join(out, name))) for name in names[:5]]
    assert all(picture.shape == (8 * 96, 8 * 128, 3) for picture in pictures)


@on_stack_a
def test_the_split_and_the_augmentation_are_chosen(config, tmp_path):
    turned = ["--set", "data.augment.rotation=180", "--num", "2"]
    shown = {}
    for name, options in {"val": ["--split", "val"], "train": [], "plain": turned[2:]}.items():
        given = options if name == "plain" else [*options, *turned]
        assert main(["show-data", config, "--out", str(tmp_path / name), *given]) == 0
        paths = sorted((tmp_path / name).iterdir())
        shown[name] = {p.name[:4]: np.asarray(Image.open(p)) for p in paths}
    assert "0002" in shown["val"]  # in the order of the file, and not augmented
    assert (tmp_path / "val" / "0001_000001.png").exists()
    assert (shown["train"]["0001"] != shown["plain"]["0001"]).any()


@pytest.mark.parametrize(
    "settings, said",
    [
        (["data.val_json=null"], "data.val_json is not set"),
        (["data.augment.function='nowhere:f'"], "augment.function 'nowhere:f' cannot be imported"),
        (["data.augment.function=nowhere"], "augment.function: "),
    ],
)
def test_what_is_wrong_is_one_sentence(config, tmp_path, capsys, settings, said):
    split = "val" if "val_json" in settings[0] else "train"
    arguments = ["show-data", config, "--out", str(tmp_path), "--split", split]
    assert main([*arguments, "--set", *settings]) == 2
    error = capsys.readouterr().err.strip()
    assert said in error and "\n" not in error
