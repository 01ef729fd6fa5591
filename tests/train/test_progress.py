"""`train/progress.py`: what is said and drawn, at times that a test sets."""

import io
import logging
import sys
import types

import keras
import numpy as np
import pytest
from rich.console import Console

from tfmaskrcnn.train import Speed, progress
from tfmaskrcnn.train.progress import ProgressBar, ProgressLines, clock, progress_display

LOGS = {"loss": 1.5, "rpn_cls_loss": 0.5, "mask_loss": 1.0}
AP = {"val_mask_ap": 0.25, "val_mask_ap50": 0.5, "val_box_ap": 0.125}


@pytest.fixture
def now(monkeypatch):
    """The time, as a list of one number of seconds."""
    time = [100.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: time[0])
    return time


def run_of(display, speed, keeper, recorder, now, epochs=2, seconds=2.0):
    """Drive callbacks through epochs of `keeper.steps` steps; the first step takes a minute."""
    display.set_params({"epochs": epochs})
    for epoch in range(epochs):
        for callback in (speed, display):
            callback.on_epoch_begin(epoch)
        for batch in range(keeper.steps):
            now[0] += 60.0 if epoch == batch == 0 else seconds
            keeper.step = batch + 1
            for callback in (speed, display):
                callback.on_train_batch_end(batch, dict(LOGS))
        now[0] += 10.0  # the evaluation
        recorder.history.append({**LOGS, **AP, **({"val_loss": 1.75} if epoch else {})})
        recorder.best, recorder.best_epoch = 0.25, 1
        for callback in (speed, display):
            callback.on_epoch_end(epoch, {})


def parts(steps=3):
    keeper = types.SimpleNamespace(step=0, steps=steps, begun_at=0)
    evaluation = types.SimpleNamespace(progress=None)
    recorder = types.SimpleNamespace(
        history=[], kind="mask", measure="mask AP", best=None, best_epoch=0, evaluation=evaluation
    )
    return recorder, keeper, Speed(4)


def test_the_speed_leaves_out_the_step_that_builds_the_graph(now):
    speed, logs = Speed(batch_size=4), {}
    for epoch in range(2):
        speed.on_epoch_begin(epoch)
        for batch in range(3):
            now[0] += 60.0 if epoch == batch == 0 else 2.0
            speed.on_train_batch_end(batch, logs)
        now[0] += 100.0
        speed.on_epoch_end(epoch, logs)
        assert logs["images_per_second"] == pytest.approx(2.0)


def test_lines_tell_losses_ap_speed_and_the_time_left(now, caplog):
    recorder, keeper, speed = parts()
    with caplog.at_level("INFO"):
        run_of(ProgressLines(recorder, keeper, speed), speed, keeper, recorder, now)
    inside, first, last = caplog.messages
    # Two of three steps at 2 s, and an epoch of 3.
    assert inside.startswith("epoch 1, step 1 of 3   loss 1.500   0.1 images/s")
    assert first.startswith(
        "epoch 1/2   loss 1.500 (rpn_cls 0.500 mask 1.000)   mask AP 0.250 AP50"
    )
    assert first.endswith("box AP 0.125 (best)   2.0 images/s   1:14 left")
    assert "   val loss 1.750   mask AP" in last and "val loss" not in first
    assert last.endswith("box AP 0.125   2.0 images/s")


def test_a_bar_shows_all_losses_below_the_lines_of_the_epochs(now, monkeypatch):
    screen = io.StringIO()
    monkeypatch.setattr(sys, "stderr", screen)
    handler = logging.StreamHandler(sys.stderr)
    logger = logging.getLogger()
    logger.addHandler(handler)
    monkeypatch.setattr(progress._LOG, "level", logging.INFO)
    console = Console(stderr=True, force_terminal=True, width=100, color_system=None)
    recorder, keeper, speed = parts()
    bar = ProgressBar(recorder, keeper, speed, console)
    try:
        with bar.shown():
            assert sys.stderr is not screen and handler.stream is sys.stderr
            run_of(bar, speed, keeper, recorder, now)
            bar._bar.refresh()
            recorder.evaluation.progress(5, 14)
            bar._bar.refresh()
    finally:
        logger.removeHandler(handler)
    assert sys.stderr is screen and handler.stream is screen
    shown = screen.getvalue()
    for text in ("epoch 2/2", "3/3", "2.0 images/s", "loss 1.500 (rpn_cls 0.500 mask 1.000)"):
        assert text in shown, text
    assert "best mask AP 0.250 of epoch 1" in shown and "evaluating" in shown and "5/14" in shown
    assert "epoch 1/2   loss 1.500" in shown  # the line in the log


def test_without_a_terminal_there_are_lines_alone():
    display = progress_display(*parts(), bar=True)
    assert type(display) is ProgressLines


def test_keras_s_own_bar_shows_the_speed(capsys):
    model = keras.Sequential([keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    x = np.zeros((8, 2), np.float32)
    history = model.fit(x, x[:, :1], batch_size=2, verbose=1, callbacks=[Speed(2)])
    assert "images_per_second: " in capsys.readouterr().out
    assert history.history["images_per_second"][0] > 0


def test_times_are_read_as_on_a_clock():
    assert [clock(s) for s in (0, 59.6, 600, 3723)] == ["0:00", "1:00", "10:00", "1:02:03"]
