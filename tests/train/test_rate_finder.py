"""`train/rate_finder.py`: curves whose best rate is known, and a run of the command."""

import csv
import os

import numpy as np
import pytest
import tensorflow as tf
import yaml
from PIL import Image

from helpers.one_stack import on_stack_a
from helpers.tiny import tiny_config, tiny_data
from tfmaskrcnn.cli.main import main
from tfmaskrcnn.errors import InputError
from tfmaskrcnn.train.rate_finder import rate_curve, suggestion

RATES = np.geomspace(1e-5, 1.0, 100)


def valley(bottom, noise=0.0, seed=0):
    """Losses that are flat, fall from a thousandth of `bottom` on, and rise after it."""
    away = np.log10(RATES / bottom)
    losses = np.where(away < 0, 3.0 - np.clip(away + 3, 0, 3) / 2, 1.5 + 8 * away)
    return losses + noise * np.random.default_rng(seed).normal(size=len(losses))


@pytest.mark.parametrize("bottom", [1e-3, 1e-2, 1e-1])
@pytest.mark.parametrize("seed", range(7))
def test_the_suggestion_is_well_below_the_rate_at_which_the_loss_rises_again(bottom, seed):
    curve = rate_curve(RATES, valley(bottom, 0.15, seed))
    assert bottom / 25 < curve.suggested < bottom / 4


def test_a_loss_that_does_not_fall_suggests_nothing():
    flat = rate_curve(RATES, list(np.linspace(1.0, 9.0, 100)))
    assert flat.suggested is None
    with pytest.raises(InputError, match="falls at no rate from 1e-05 to 1 within 100 steps"):
        suggestion(flat)
    assert rate_curve(RATES[:2], [1.0, 0.5]).suggested is None


def test_two_digits_are_enough():
    curve = rate_curve(RATES, valley(1e-2))
    assert suggestion(curve) == float(f"{curve.suggested:.1e}")


@on_stack_a
def test_the_command_leaves_a_picture_and_numbers_and_ends_where_the_loss_diverges(
    tmp_path, capsys
):
    train_json, images = tiny_data(tmp_path / "train")
    paths = (f"data.train_json={train_json}", f"data.train_images={images}")
    config = tiny_config(*paths, "train.learning_rate=10", "train.clip_norm=null")
    path, out = tmp_path / "config.yaml", tmp_path / "rate"
    path.write_text(yaml.safe_dump(config.model_dump(mode="json", exclude_unset=True)))
    tf.config.run_functions_eagerly(True)
    try:
        code = main(["find-rate", str(path), "--out", str(out), "--steps", "12"])
    finally:
        tf.config.run_functions_eagerly(False)
    assert code in (0, 2)  # so few steps need not show a valley
    assert f"curve       {out / 'rate.png'}" in capsys.readouterr().out
    with open(out / "rate.csv", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    rates = [float(row["learning_rate"]) for row in rows]
    np.testing.assert_allclose(rates, np.geomspace(0.01, 1000, 12)[: len(rates)], rtol=1e-6)
    assert 1 <= len(rows) < 12 and np.isfinite([float(row["loss"]) for row in rows]).all()
    with Image.open(out / "rate.png") as image:
        assert image.width > 500
    assert sorted(os.listdir(out)) == ["rate.csv", "rate.png"]
