"""What --fix promises holds for spoilt sets of any kind: what it says is left is left, no more."""

import copy
import json
import random

import pytest

from helpers.one_stack import on_stack_a
from tfmaskrcnn.data.checking import checker, write_repaired
from tfmaskrcnn.data.coco.records import load_coco
from tfmaskrcnn.errors import InputError

pytestmark = on_stack_a  # Python and NumPy alone; `test_repair` mends on both

VALUES = (
    *(None, True, False, 0, 1, -1, 7, 1.0, 1.5, -0.0, 10**30, 10**400, 1e308, float("nan")),
    *(float("inf"), "", "1", "1.0", "nut", "\ud800", "a\\b.png", "../x.png", "images/1.png"),
    *([], {}, [[]], [1], [1, 2, 3, 4], ["1", "2", "3", "4"], {"x": 1}, "[1, 2]", [[1, 2], [3, 4]]),
    *([[5, 5, 30, 5, 30, 30]], [[[5, 5], [30, 5], [30, 30]]], [5, 5, 30, 5, 30, 30]),
    {"size": [96, 128], "counts": [96 * 128]},
    {"size": [128, 96], "counts": [100, 50, 96 * 128 - 150]},
    {"size": [96, 128], "counts": "x"},
)


def spoilt(coco, rng):
    """`coco` with one to three values replaced, removed or repeated."""
    coco = copy.deepcopy(coco)
    for _ in range(rng.randint(1, 3)):
        part = rng.choice(["images", "annotations", "annotations", "annotations", "categories"])
        entries = coco[part]
        if not entries or rng.random() < 0.1:
            entries.append(copy.deepcopy(rng.choice([*entries, *VALUES])))
            continue
        entry = rng.choice(entries)
        if not isinstance(entry, dict) or not entry:
            continue
        key = rng.choice(sorted(entry))
        way = rng.random()
        if way < 0.1:
            del entry[key]
        elif way < 0.3 and isinstance(entry[key], list) and entry[key]:
            inner = entry[key][0] if isinstance(entry[key][0], list) and entry[key][0] else None
            target = entry[key] if inner is None else inner
            target[rng.randrange(len(target))] = rng.choice(VALUES)
        else:
            entry[key] = copy.deepcopy(rng.choice(VALUES))
    return coco


@pytest.mark.parametrize("seed", range(40))
def test_a_mended_set_is_read_exactly_if_nothing_stays_wrong(draft, monkeypatch, seed):
    monkeypatch.setattr(checker, "propose", lambda *_: [])  # takes most of the time
    rng, sound = random.Random(seed), draft.coco
    for _ in range(5):
        draft.coco = spoilt(sound, rng)
        try:
            result = draft.check()
        except InputError as error:  # of the set as a whole
            assert len(str(error)) < 2000 and str(error).isprintable()
            continue
        path = draft.folder / "fixed.json"
        repairs = write_repaired(result, str(path))
        assert result.table().encode() and repairs.summary()
        assert all(f.message.encode() for f in result.findings)
        before = sum(isinstance(a, dict) for a in draft.coco["annotations"])
        after = sum(isinstance(a, dict) for a in json.loads(path.read_text())["annotations"])
        twice = sum(c.kind == "objects annotated twice" for c in repairs)
        assert before - after == repairs.lost + twice
        if repairs.left:
            continue
        data = load_coco(str(path), str(draft.folder))
        assert sum(len(r.classes) for r in data.records) == after
        again = write_repaired(
            checker.check(str(path), str(draft.folder), result.config),
            str(draft.folder / "again.json"),
        )
        assert again.lost == 0 and not again.left
