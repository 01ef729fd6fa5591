"""No input ends badly: mutated inputs of every kind, and those that once did.

`tests/fuzz.py` runs more of the same. Seeds are fixed; all run in processes with limits.
"""

import json
import re
import subprocess
import sys

import pytest

from helpers.mutations.outcomes import GOOD, fault_of_sentence
from helpers.mutations.targets import kinds
from helpers.one_stack import on_stack_b
from helpers.paths import TESTS
from tfmaskrcnn import compat

SEED = 11
# Kind -> cases; where a case costs more there are fewer.
_FEWER = {"coco-train": 15, "coco-keypoints": 12, "coco-check": 15, "coco-report": 8}
_FEWER.update(
    {"run-folders": 15, "single-files": 12, "served": 20, "config-models": 8, "commands": 25}
)
_CASES = 30
_SECONDS = 600  # for all kinds, on a machine that does other things too
_REPEATED = "import-cvat"
# On stack B only what once ended badly is tried again, for the sake of CI's time.
KINDS = [_REPEATED] if compat.KERAS3 else kinds()


def cases_of(kind):
    return _FEWER.get(kind, _CASES)


def samples():
    """Samples by name, in the order in which their cases are numbered."""
    from helpers.mutations.targets.samples import names

    return names()


def fuzzed(tmp_path_factory, *arguments):
    """(exit code, cases, what was printed) of `fuzz.py`, in a process that is new to TensorFlow."""
    path = tmp_path_factory.mktemp("fuzz") / "cases.json"
    command = [sys.executable, str(TESTS / "fuzz.py"), "--json", str(path), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=_SECONDS)
    assert path.exists(), done.stderr[-3000:]
    return done.returncode, json.loads(path.read_text()), done.stdout


@pytest.fixture(scope="module")
def fuzzing(tmp_path_factory):
    """(exit code, cases, what was printed) of `KINDS` and samples."""
    counts = [f"{kind}={cases_of(kind)}" for kind in KINDS]
    counts.append(f"samples={len(samples())}")
    return fuzzed(tmp_path_factory, "--seed", SEED, "--only", *counts)


@pytest.fixture(scope="module")
def misbehaving(tmp_path_factory):
    """The same of targets that end badly on purpose, with a few cases of a kind once more."""
    names = ["crash", "memory", "much", "hang", "traceback", "broken", "sentence", "refused"]
    names += ["fine", f"{_REPEATED}=6"]
    counts = [name if "=" in name else f"{name}=2" for name in names]
    limits = ["--seconds", 5, "--megabytes", 200]
    return fuzzed(tmp_path_factory, "--seed", SEED, *limits, "--only", *counts)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_no_mutated_input_ends_badly(fuzzing, kind):
    _, cases, printed = fuzzing
    failures = [block for block in printed.split("\n\n") if f" {kind} seed " in block]
    assert sum(case["kind"] == kind for case in cases) == cases_of(kind), failures
    assert not failures, "\n".join(failures)


@pytest.mark.parametrize("name", samples())
def test_what_once_ended_badly_ends_well(fuzzing, name):
    outcomes = [case["outcome"] for case in fuzzing[1] if case["kind"] == "samples"]
    outcome = outcomes[samples().index(name)]
    assert outcome["kind"] in GOOD, outcome["detail"]


@pytest.mark.parametrize("kind", KINDS)
def test_mutated_inputs_are_near_enough_to_what_is_right(fuzzing, kind):
    # If all were refused for their form alone, nothing behind would be tried.
    outcomes = [case["outcome"] for case in fuzzing[1] if case["kind"] == kind]
    accepted = sum(outcome["kind"] == "ok" for outcome in outcomes)
    sentences = {re.sub(r"\S*/\S*|\d+", "", outcome["detail"])[:80] for outcome in outcomes}
    assert accepted > 0.15 * len(outcomes) or len(sentences) > 4


@pytest.mark.parametrize(
    "kind, said",
    [
        ("crash", "ENDED crash seed 11 number 0: SIGSEGV in "),
        ("memory", "ENDED memory seed 11 number 0: MemoryError"),
        ("much", "ENDED much seed 11 number 0: took "),
        ("hang", "SLOW hang seed 11 number 0: after "),
        ("traceback", "TRACEBACK traceback seed 11 number 0: KeyError: 'absent' ["),
        ("broken", "BROKEN broken seed 11 number 0: one and one are three"),
        ("sentence", "BROKEN sentence seed 11 number 0: a bad sentence (a lone surrogate"),
        ("refused", ""),
        ("fine", ""),
    ],
)
@on_stack_b
def test_the_machinery_notices(misbehaving, kind, said):
    code, cases, printed = misbehaving
    assert code == 1
    assert said in printed, printed
    outcomes = [case["outcome"]["kind"] for case in cases if case["kind"] == kind]
    expected = said.split(" ")[0].lower() or {"fine": "ok"}.get(kind, kind)
    assert outcomes == [expected, expected]  # the second in a new process, after a death


@on_stack_b
def test_a_case_is_the_same_whenever_it_is_run(fuzzing, misbehaving):
    one, other = ([c for c in ran[1] if c["kind"] == _REPEATED] for ran in (fuzzing, misbehaving))
    assert [case["notes"] for case in one[:6]] == [case["notes"] for case in other]
    assert len({case["notes"] for case in other}) > 3


@pytest.mark.parametrize(
    "text, fault",
    [
        ("set.json: 'id' is 'x', wanted an integer.", ""),
        ("the image's size is not the file's; " + "it is odd, " * 30 + "the image's", ""),
        ("", "it is empty"),
        ("two\nlines", "it has several lines"),
        ("a \udc80", "a lone surrogate cannot be printed"),
        ("word " * 300, "it has 1500 characters"),
        (f"its id is '{'x y ' * 60}'", "it quotes more than 200 characters"),
        ("its id is " + "9" * 250, "it quotes more than 200 characters"),
    ],
)
def test_a_sentence_is_short_and_can_be_printed(text, fault):
    assert fault_of_sentence(text) == fault
