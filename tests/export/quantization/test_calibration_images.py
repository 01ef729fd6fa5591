"""Which images are used, and what becomes of those that cannot be."""

import os

import numpy as np
import pytest
from PIL import Image

import tfmaskrcnn as mr
from helpers.tiny import tiny_config
from tfmaskrcnn.export.quantization import calibration_images as calibration


@pytest.fixture
def folder(tmp_path):
    """What `feeds` reads of a SavedModel."""
    (tmp_path / "assets").mkdir()
    text = tiny_config().model.model_dump_json()
    (tmp_path / "assets" / "config.json").write_text(text)
    return str(tmp_path)


def pictures(folder, count):
    """Paths of so many small images."""
    os.makedirs(folder, exist_ok=True)
    for i in range(count):
        Image.new("RGB", (40, 30), (i, 2 * i, 3 * i)).save(os.path.join(folder, f"{i:03}.png"))
    return sorted(os.path.join(folder, name) for name in os.listdir(folder))


def test_many_images_are_thinned_out_evenly(tmp_path, monkeypatch):
    monkeypatch.setattr(calibration, "MOST", 12)
    paths = pictures(str(tmp_path / "many"), 23)
    chosen = calibration.calibration_images(str(tmp_path / "many"))
    assert chosen == paths[::2]


@pytest.mark.parametrize("count", [1, 9])
def test_too_few_images_are_refused_with_both_numbers(tmp_path, count):
    pictures(str(tmp_path / "few"), count)
    with pytest.raises(mr.InputError, match=f"holds {count} images.*at least 10"):
        calibration.calibration_images(str(tmp_path / "few"))


def test_an_empty_or_missing_folder_is_refused(tmp_path):
    (tmp_path / "empty").mkdir()
    for name in ("empty", "missing"):
        with pytest.raises(mr.InputError, match=name):
            calibration.calibration_images(str(tmp_path / name))


def test_the_last_batch_is_filled_up_with_its_last_image(folder, tmp_path):
    paths = pictures(str(tmp_path / "images"), 3)
    first, last = calibration.feeds(folder, paths, (2, 96, 128, 3))
    assert first["images"].shape == (2, 96, 128, 3) and first["sizes"].tolist() == [[96, 128]] * 2
    np.testing.assert_array_equal(last["images"][0], last["images"][1])


def test_a_damaged_image_ends_in_one_sentence_with_its_name(folder, tmp_path):
    paths = pictures(str(tmp_path / "images"), 2)
    with open(paths[1], "wb") as file:
        file.write(b"no image")
    with pytest.raises(mr.InputError, match="001.png"):
        list(calibration.feeds(folder, paths, (1, 96, 128, 3)))
