"""`train/recorder.py`: the best epoch and early stopping, without a model."""

import contextlib
import csv
import math
import types

import pytest

from helpers.tiny import tiny_config
from tfmaskrcnn.support.run_folder import Run
from tfmaskrcnn.train import recorder
from tfmaskrcnn.train.recorder import RunRecorder


@pytest.fixture
def recorded(tmp_path, monkeypatch):
    """Feeds a recorder with the mask AP of each epoch; returns it and the epochs saved as best."""

    def run(aps, *overrides, every=1, folder=tmp_path):
        saved, completed, model = [], [], types.SimpleNamespace()
        model.optimizer, model.stop_training = None, False
        model.averaged = contextlib.nullcontext
        monkeypatch.setattr(recorder, "save_weights", lambda *_: saved.append(epoch + 1))
        monkeypatch.setattr(recorder.compat, "learning_rate", lambda _: 0.5)
        if "train.early_stop" in str(overrides):  # drawing takes a second an epoch
            monkeypatch.setattr(recorder, "plot_curves", lambda *_: None)
        evaluation = types.SimpleNamespace(results={})
        keeper = types.SimpleNamespace(completed=completed.append)
        found = RunRecorder(Run(str(folder)), tiny_config(*overrides), evaluation, keeper)
        found.set_model(model)
        for epoch, ap in enumerate(aps):
            if (epoch + 1) % every == 0:
                evaluation.results[epoch + 1] = ap
            logs = {"loss": 2.0 - ap, "val_mask_ap": ap, "val_loss": 3.0 * ap}
            found.on_epoch_end(epoch, logs)
            if model.stop_training:
                break
        assert completed == list(range(len(found.history)))
        return found, saved

    return run


def test_the_best_epoch_is_kept_and_a_tie_is_no_improvement(recorded):
    found, saved = recorded([0.1, 0.3, 0.3, 0.2, 0.4])
    assert saved == [1, 2, 5] and (found.best, found.best_epoch) == (0.4, 5)


@pytest.mark.parametrize(
    "every, stop, epochs", [(1, 2, 4), (1, 3, 5), (2, 2, 4), (2, 3, 6), (3, 4, 9)]
)
def test_a_run_stops_when_an_evaluation_finds_no_better_ap_for_so_many_epochs(
    recorded, every, stop, epochs, caplog
):
    aps = [0.1, 0.5, 0.5, 0.4, 0.4, 0.3, 0.3, 0.3, 0.3, 0.3, 0.3, 0.3]
    with caplog.at_level("INFO"):
        found, _ = recorded(aps, f"train.early_stop={stop}", every=every)
    assert len(found.history) == epochs and found.stopped
    assert f"No better mask AP since epoch {found.best_epoch}: stopping early." in caplog.text


def test_the_lowest_loss_decides_where_it_is_told_to(recorded, caplog):
    settings = "train.validation_loss=true", "train.early_stop_on=loss", "train.early_stop=2"
    with caplog.at_level("INFO"):
        found, saved = recorded([math.nan, 0.3, 0.1, 0.1, 0.2, 0.0], *settings)
    assert saved == [1, 2, 3] and found.best == pytest.approx(0.3) and len(found.history) == 5
    assert "No better val loss since epoch 3: stopping early." in caplog.text


def test_numbers_of_an_epoch_without_evaluation_are_left_out(recorded, tmp_path):
    recorded([0.1, 0.2, 0.3, 0.4], every=2)
    with open(tmp_path / "history.csv", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["val_mask_ap"] for row in rows] == ["", "0.2", "", "0.4"]
    assert (tmp_path / "curves.png").stat().st_size > 1000


def test_a_history_that_cannot_be_written_does_not_end_the_run(recorded, tmp_path, caplog):
    (tmp_path / "history.csv").mkdir()
    (tmp_path / "curves.png").mkdir()
    found, saved = recorded([0.1, 0.2])
    assert len(found.history) == 2 and saved == [1, 2]
    for name in ("history.csv", "curves.png"):
        assert f"{name}: Is a directory. The run goes on without it." in caplog.text
