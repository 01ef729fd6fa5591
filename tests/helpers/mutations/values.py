"""Mutations of JSON-like values: one to three a case, so that most of a value stays as it was."""

import copy
import math
from random import Random
from typing import Any, Callable, List, Sequence, Tuple

from helpers.mutations.texts import nested, raw, twice

# One to three; a value that is broken everywhere is refused at once and tests little.
_COUNTS, _COUNT_WEIGHTS = (1, 2, 3), (60, 25, 15)
NUMBERS = [
    *(0, -1, 1, 2, -0.0, 0.5, 0.1, 1.5, 3, 96, 127, 128, 255, 256, 1e3, 65535, 65536),
    *(1e5, 1e6, -1e6, 1e9, -1e9, 1e12, 2**24 + 1, 2**31 - 1, 2**31, -(2**31), 2**32, 2**53 + 1),
    *(2**63 - 1, 2**63, -(2**63), -(2**63) - 1, 2**64, 1e18, 1e30, 1e38, 3.5e38, 1e300),
    *(math.nan, math.inf, -math.inf, 5e-324, 1e-30, 10**40, 10**400, -(10**400)),
    *(raw("1e400"), raw("-1e400"), raw("1e-400"), raw("1" + "0" * 5000)),
]
TEXTS = [
    *("", " ", "\n", "0", "1", "-1", "1.5", "nan", "inf", "true", "null", "None", "a" * 300),
    *("\ud800", "a\udfffb", "\0", "a\0b", "\x1b[2J", "\u202e", "é", "日本", "\ufeff", "'", '"'),
    *("x" * 10_000, "9" * 400, "[" * 300, "%s%d{}", "$HOME", "~", "[bold]", "@@", "\r\n"),
]
PATHS = [
    *("..", ".", "/", "../..", "../../etc/passwd", "/etc/passwd", "/dev/zero", "/proc/self/mem"),
    *("a/../b.png", "images\\a.png", "C:\\data\\a.png", "http://host/a.png", "file:///etc/passwd"),
    *("//a.png", "a.png/", "a.png\0", "\0", " ", "a" * 300 + ".png", "./" * 3000 + "a.png"),
    *("\ud800.png", "?.png", "*.png", "CON", "a.npy", "-.png", "~/a.png", "%2e%2e/a.png"),
]
_OTHERS = [None, True, False, [], {}, [[]], [None], {"a": 1}, [1, 2, 3, 4], [[0, 0, 9, 0, 9, 9]]]


def strange(rng: Random) -> Any:
    """A value that hardly anybody expects."""
    kind = rng.random()
    if kind < 0.4:
        return rng.choice(NUMBERS)
    if kind < 0.6:
        return rng.choice(TEXTS)
    if kind < 0.7:
        return rng.choice(PATHS)
    if kind < 0.95:
        return copy.deepcopy(rng.choice(_OTHERS))
    return nested(rng.choice((1, 10, 100, 900, 3000, 10_000)), rng.choice("[{"))


def mutated(
    value: Any, rng: Random, special: Sequence[Callable[[Any, Random], str]] = ()
) -> Tuple[Any, List[str]]:
    """A mutated copy, and what was done, in words.

    Args:
        value: of dictionaries, lists, texts, numbers, None.
        rng: decides.
        special: mutations of the kind of value at hand, which change it in place and say how; half
            of the mutations are of these.
    """
    value, notes = copy.deepcopy(value), []
    for _ in range(rng.choices(_COUNTS, _COUNT_WEIGHTS)[0]):
        if special and rng.random() < 0.5:
            change = rng.choice(special)
            try:
                notes.append(f"{change.__name__}: {change(value, rng)}")
            except (KeyError, IndexError, TypeError, ValueError, AttributeError, OverflowError):
                notes.append(f"{change.__name__}: not here any more")
        else:
            value, note = _anywhere(value, rng)
            notes.append(note)
    return value, notes


def _anywhere(value: Any, rng: Random) -> Tuple[Any, str]:
    """A mutation at a random place; each level is as likely as the next."""
    holder, key, path, depth = None, None, "", 0
    here = value
    while isinstance(here, (dict, list)) and here and rng.random() < (0.97, 0.93)[min(depth, 1)]:
        if depth > 1 and rng.random() < 0.25:
            break
        holder, depth = here, depth + 1
        key = rng.choice(list(here)) if isinstance(here, dict) else rng.randrange(len(here))
        here, path = here[key], f"{path}[{key!r:.40}]"
    new, note = _changed(here, rng)
    if holder is None:
        return new, f"all {note}"
    if rng.random() < 0.25:
        return value, f"{path} {_of_holder(holder, key, rng)}"
    holder[key] = new
    return value, f"{path} {note}"


def _changed(here: Any, rng: Random) -> Tuple[Any, str]:
    """Another value instead of `here`, more often a related one than a strange one."""
    if rng.random() < 0.45:
        new = strange(rng)
        return new, f"= {new!r:.60}"
    if isinstance(here, bool) or here is None:
        new = rng.choice([0, 1, 2, "0", "true", None, [], not here])
    elif isinstance(here, (int, float)):
        new = _number(here, rng)
    elif isinstance(here, str):
        new = _text(here, rng)
    elif isinstance(here, list):
        return _list(here, rng)
    elif isinstance(here, dict):
        new = rng.choice([list(here.values()), list(here.items()), [here], list(here)])
    else:
        new = strange(rng)
    return new, f"= {new!r:.60}"


def _number(here, rng: Random):
    choices = [-here, here * 2, here * 1000, str(here), f" {here} ", [here], {"value": here}]
    if abs(here) < 2**60:  # NaN and what Python cannot turn into a float stay out of it
        choices += [here + 1, here - 1, here * 10**9, here / 3, here + 0.5, here * 0, -here - 1]
        choices += [float(here), int(here), bool(here), int(here) * 10**300]
    return rng.choice(choices)


def _text(here: str, rng: Random):
    cut = rng.randrange(len(here) + 1)
    return rng.choice(
        [
            *(here.upper(), here + " ", here[:cut], here[:cut] + rng.choice(TEXTS) + here[cut:]),
            *(
                [here],
                {"a": here},
                here * 3,
                here.encode("utf-8", "replace").hex(),
                here[::-1],
                "./" + here,
            ),
            *("/" + here, "../" + here, here.replace("/", "\\"), rng.choice(PATHS)),
        ]
    )


def _list(here: list, rng: Random) -> Tuple[Any, str]:
    some = rng.randrange(len(here)) if here else 0
    kind = rng.randrange(10)
    if kind == 0:
        return [here], "in a list"
    if kind == 1:
        return [v for e in here for v in (e if isinstance(e, list) else [e])], "flat"
    if kind == 2:
        times = rng.choice((2, 10, 1000))
        many = here * min(times, 20_000 // max(1, len(here)))
        return many, f"{len(many)} entries"
    if kind == 3:
        shuffled = list(here)
        rng.shuffle(shuffled)
        return shuffled, "shuffled"
    if kind == 4:
        return here[:some], f"only {some} entries"
    if kind == 5:
        return here + here[some : some + 1], f"entry {some} twice"
    if kind == 6:
        return here[:some] + [strange(rng)] + here[some:], f"a strange entry at {some}"
    if kind == 7:
        return [e[::-1] if isinstance(e, list) else e for e in here][::-1], "backwards"
    if kind == 8:
        return dict(enumerate(here)), "as an object"
    return here[:some] + here[some + 1 :], f"without entry {some}"


def _of_holder(holder: Any, key: Any, rng: Random) -> str:
    """Change what holds the place: leave it out, write it twice, exchange it with another."""
    if isinstance(holder, list):
        other = rng.randrange(len(holder))
        holder[key], holder[other] = holder[other], holder[key]
        return f"exchanged with {other}"
    kind = rng.randrange(4)
    if kind == 0:
        del holder[key]
        return "left out"
    if kind == 1:
        other = rng.choice(list(holder))
        holder[key], holder[other] = holder[other], holder[key]
        return f"exchanged with {other!r:.40}"
    if kind == 2:
        holder[twice(str(key))] = strange(rng)
        return "twice, the second strange"
    holder[rng.choice([*TEXTS, str(key).upper(), f"{key}s"])] = holder.pop(key)
    return "by another name"
