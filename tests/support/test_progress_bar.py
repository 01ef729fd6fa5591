"""`support/progress_bar.py`."""

from tfmaskrcnn.support import progress_bar


def test_without_a_terminal_a_line_tells_now_and_then_how_far_things_are(caplog, monkeypatch):
    caplog.set_level("INFO")
    now = [0.0]
    monkeypatch.setattr(progress_bar.time, "monotonic", lambda: now[0])
    with progress_bar.progress_bars("predicting", "tiles") as (progress, tick):
        for done in range(1, 8):
            now[0] += 25.0
            tick(done, 7)
        progress(1, 2)
        now[0] += 60.0
        progress(2, 2)  # that is told by what comes next
    assert caplog.messages == ["tiles: 3 of 7", "tiles: 6 of 7"]
    caplog.clear()
    with progress_bar.progress_bar("evaluating") as progress:
        for done in range(1, 4):
            now[0] += 45.0
            progress(done, 9)
    assert caplog.messages == ["evaluating: 2 of 9"]
