"""`examples/ablations.py` without training: what it makes of finished runs."""

import importlib.util
import json
import sys

import pytest

from helpers.paths import EXAMPLES

PATH = EXAMPLES / "ablations.py"


@pytest.fixture
def ablations():
    spec = importlib.util.spec_from_file_location("ablations", PATH)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def finished(folder, name, seed, **numbers):
    result = {"variant": name, "seed": seed, **numbers}
    (folder / f"{name}-epochs6-seed{seed}.json").write_text(json.dumps(result))


def scores(mask, box):
    values = {"mask_AP": mask, "mask_AP50": mask, "mask_AP75": mask, "box_AP": box}
    return {**values, "box_AP50": box, "box_AP75": box}


@pytest.mark.parametrize(
    "gains, said",
    [
        ([3.0, 2.0, 4.0], "seen"),
        ([-3.0, -2.0, -4.0], "the reverse"),
        ([3.0, -0.1, 4.0], "cannot tell"),  # the seeds disagree
        ([0.1, 0.2, 5.0], "cannot tell"),  # the spread is larger than the mean
        ([3.0], "cannot tell"),  # no spread
    ],
)
def test_a_direction_is_seen_only_if_all_seeds_agree_beyond_their_spread(ablations, gains, said):
    assert ablations.verdict(gains) == said


def test_finished_runs_are_not_run_again_but_tabulated(ablations, tmp_path, capsys, monkeypatch):
    for seed in range(3):
        finished(tmp_path, "base", seed, **scores(0.30 + 0.01 * seed, 0.4))
        finished(tmp_path, "roi_pool", seed, **scores(0.25 + 0.01 * seed + 0.001 * seed, 0.4))
        finished(tmp_path, "no_mask", seed, box_AP=0.41, box_AP50=0.6, box_AP75=0.4)

    def refuse(*_):
        raise AssertionError("nothing is missing")

    monkeypatch.setattr(ablations.Runner, "run", refuse)
    arguments = [
        "ablations.py",
        "--out",
        str(tmp_path),
        "--variants",
        "base",
        "roi_pool",
        "no_mask",
    ]
    monkeypatch.setattr(sys, "argv", arguments)
    assert ablations.main() == 0
    printed = capsys.readouterr().out
    assert "| base | 3 | 31.0 ± 1.0 |" in printed
    assert "| no_mask | 3 |  |  |  | 41.0 ± 0.0 |" in printed
    assert "| 2c | RoIAlign / RoIPool | mask AP | +4.9 ± 0.1 | +3.4 | seen |" in printed
    assert (
        "| 3 | with / without mask branch | box AP | -1.0 ± 0.0 | +0.9 | the reverse |" in printed
    )
    assert printed.strip().endswith((tmp_path / "ablations.md").read_text().strip())
    rows = json.loads((tmp_path / "ablations.json").read_text())["comparisons"]
    assert [row["where"] for row in rows] == ["2c", "3"]


def test_a_run_that_is_missing_is_run_and_kept(ablations, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(
        ablations.Runner, "run", lambda self, options, name, seed: scores(0.1 * (seed + 1), 0.2)
    )
    arguments = ["ablations.py", "--out", str(tmp_path), "--variants", "base", "--seeds", "2"]
    monkeypatch.setattr(sys, "argv", arguments)
    assert ablations.main() == 0
    assert sorted(path.name for path in tmp_path.glob("base*")) == [
        "base-epochs6-seed0.json",
        "base-epochs6-seed1.json",
    ]
    assert "seed 1 base" in capsys.readouterr().out


def test_every_comparison_names_variants_metrics_and_the_papers_gains(ablations):
    for comparison in ablations.COMPARISONS:
        assert {comparison.better, comparison.worse} <= set(ablations.VARIANTS)
        assert len(comparison.paper.split()) == len(comparison.metrics)
        assert set(comparison.metrics) <= set(ablations.METRICS)
