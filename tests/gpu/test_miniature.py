"""`python -m tests.gpu` in miniature and without a GPU: nothing fails there for a silly reason."""

import json
import sys

import pytest
import tensorflow as tf

from gpu.__main__ import _once, main
from gpu.networks import one_batch, whole_config
from gpu.report import table
from gpu.rows import MINIATURE, WHOLE, Given, Row, at_least, at_most, relative
from gpu.run import PARTS, Part, run
from helpers.one_stack import on_stack_a

NOTHING = Given(MINIATURE, dict, "")


@on_stack_a
@pytest.mark.slow
def test_all_of_it_runs_in_miniature(eagerly, tmp_path, capsys, monkeypatch):
    path = tmp_path / "gpu.json"
    assert main(["--miniature", "--seconds", "1e6", "--json", str(path)]) == 0
    written, shown = json.loads(path.read_text()), capsys.readouterr().out
    assert list(written["parts"]) == [part.name for part in PARTS] and written["gpus"] == []
    rows = {part: {row["name"]: row for row in each} for part, each in written["parts"].items()}
    for part in ("kernels", "agreement", "precision", "mirrored", "xla"):
        assert any(row["passed"] for row in rows[part].values()), part
    again = rows["agreement"]["detections of a CPU's found"]
    assert again["value"] == 1 and int(again["note"].split()[-1]) > 20
    assert rows["predicting"]["predict, batch 2: images a second"]["value"] > 0
    assert rows["training"]["train, batch 1: images a second"]["value"] > 0
    assert "GPU's memory only" in rows["training"]["train, batch 2: peak memory in GB"]["note"]
    assert "NOT OK" not in shown and "0 not begun" in shown

    # With a GPU in sight the reference comes from a process without one.
    def as_process(command, check, env):
        assert env["CUDA_VISIBLE_DEVICES"] == "-1" and check
        assert main(command[2:]) == 0

    monkeypatch.setattr("gpu.__main__.subprocess.run", as_process)
    reference = _once(MINIATURE, str(tmp_path), True)
    assert {"roi_align gradient", "0 boxes", "gradient rpn"} < set(reference())
    assert reference() is reference()


@on_stack_a
def test_the_whole_run_has_a_network_and_batches(tmp_path):
    config = whole_config(WHOLE, "train.batch_size=2")
    assert config.model.backbone.name == "resnet50" and config.model.num_classes == 3
    batch = one_batch(config, str(tmp_path), WHOLE.sides, 2)
    assert batch["image"].shape == (2, *WHOLE.sides, 3)


def test_without_a_gpu_the_whole_run_ends_in_one_sentence(monkeypatch, capsys):
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind=None: [])
    assert main([]) == 2
    assert capsys.readouterr().err == (
        "TensorFlow sees no GPU here; --miniature tries the run without one.\n"
    )
    with pytest.raises(SystemExit) as end:
        main(["--only", "absent"])
    assert end.value.code == 2 and "invalid choice: 'absent'" in capsys.readouterr().err


def test_a_part_without_time_is_left_out_and_one_that_fails_is_a_row():
    now = [0.0]

    def long(_):
        now[0] += 50
        return [at_most("error", 0.1, 0.5)]

    def bad(_):
        raise ValueError("no kernel")

    parts = [Part("long", long, 40), Part("again", long, 60), Part("bad", bad, 10)]
    found = run(NOTHING, 100, parts, clock=lambda: now[0])
    assert found["long"] == [Row("error", 0.1, "<= 0.5", True), Row("seconds", 50.0)]
    assert found["again"] == [Row("not begun", note="no time")]
    assert found["bad"][0] == Row("failed", passed=False, note="ValueError: no kernel")
    shown = table(found)
    assert "NOT OK ValueError: no kernel" in shown and shown.endswith(
        "1 of 2 within their bounds, 1 not begun"
    )


def test_the_shares_of_all_parts_fit_into_eight_minutes():
    assert sum(part.seconds for part in PARTS) <= 480


def test_what_is_no_number_or_has_another_shape_does_not_pass():
    assert not at_most("x", float("nan"), 1).passed and not at_least("x", float("nan"), 1).passed
    assert not at_most("x", relative([1, 2], [1]), 1).passed
    assert relative([3, 4], [3, 3]) == pytest.approx((1 / 18) ** 0.5)
    assert "torch" not in sys.modules  # torchvision is asked for where it is measured alone
