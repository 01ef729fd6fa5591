"""Feeds mutated inputs to every part that reads what people give it, and lists what ends badly.

    python tests/fuzz.py --cases 10000 --seed 7            # all kinds, some hours on two cores
    python tests/fuzz.py --cases 200 --seed 7 --only images config-set
    python tests/fuzz.py --seed 7 --only images=50 served=9  # so many of each
    python tests/fuzz.py --seed 7 --only images --number 13 --keep kept    # one case again

A case is good if the input is refused in one readable sentence, or accepted and all holds that
must hold of the result. It is bad if it gives a traceback, ends its process (also by taking too
much memory), takes over 20 seconds, or is accepted though something is wrong. The exit code is 1
if any case was bad. A case is named by its kind, seed and number; --keep leaves the inputs of bad
ones in a folder. `tests/helpers/mutations` has the mutations and the kinds.
"""

import argparse
import collections
import json
import os
import sys
import warnings
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
sys.path.insert(0, str(Path(__file__).resolve().parent))
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from helpers.mutations.life import Limits  # noqa: E402
from helpers.mutations.outcomes import GOOD, KINDS  # noqa: E402
from helpers.mutations.pool import run_cases  # noqa: E402
from helpers.mutations.targets import kinds, weights  # noqa: E402


def main(arguments=None) -> int:
    """Run the cases and print the table; 1 if any ended badly."""
    options = _parser().parse_args(arguments)
    warnings.filterwarnings("ignore", category=DeprecationWarning)  # of forks beside threads
    import tfmaskrcnn.checkpoints  # noqa: F401  so that children need not import TensorFlow
    import tfmaskrcnn.train  # noqa: F401

    counts = _counts(options.only or kinds(), options.cases)
    numbers = [(kind, range(count)) for kind, count in counts]
    if options.number is not None:
        numbers = [(kind, range(options.number, options.number + 1)) for kind, _ in counts]
    if options.keep:
        options.keep.mkdir(parents=True, exist_ok=True)
    limits = Limits(seconds=options.seconds, peak=options.megabytes)
    cases = []
    for case in run_cases(numbers, options.seed, options.keep, limits, options.jobs):
        cases.append(case)
        _progress(case, len(cases), sum(len(of_kind) for _, of_kind in numbers))
    order = {kind: n for n, (kind, _) in enumerate(numbers)}
    cases.sort(key=lambda case: (order[case.kind], case.number))
    print(table(cases))
    bad = [case for case in cases if case.outcome.kind not in GOOD]
    for case in bad:
        print("\n" + line_of(case))
    if options.number is not None:
        for case in cases:
            print(f"{case.kind}: {case.outcome.kind} {case.outcome.detail}\n  {case.notes}")
    if options.json:
        options.json.write_text(json.dumps([_plain(case) for case in cases]))
    return 1 if bad else 0


def table(cases) -> str:
    """How many cases of each kind ended how, the longest, and the most memory."""
    kinds_seen = list(dict.fromkeys(case.kind for case in cases))
    width = max([len("kind"), *map(len, kinds_seen)])
    head = ["kind".ljust(width), *(k.rjust(9) for k in KINDS), "longest s".rjust(10), "most MB"]
    lines = ["  ".join(head)]
    for kind in [*kinds_seen, "all"]:
        own = [case for case in cases if kind in (case.kind, "all")]
        counts = collections.Counter(case.outcome.kind for case in own)
        cells = [kind.ljust(width), *(str(counts[k]).rjust(9) for k in KINDS)]
        cells.append(f"{max((c.seconds for c in own), default=0):10.1f}")
        cells.append(f"{max((c.outcome.peak for c in own), default=0):7d}")
        lines.append("  ".join(cells))
    return "\n".join(lines)


def line_of(case) -> str:
    """A bad case in words."""
    outcome = case.outcome
    where = f"{case.kind} seed {case.seed} number {case.number}"
    return f"{outcome.kind.upper()} {where}: {outcome.detail}\n    input: {case.notes[:600]}"


def _counts(chosen, cases: int):
    """(kind, number of cases): those asked for, the others in proportion to their weights."""
    asked = dict(text.partition("=")[::2] for text in chosen)
    shares = {kind: weights().get(kind, 1.0) for kind in asked}
    total = sum(shares.values())
    shared = {kind: max(1, round(cases * share / total)) for kind, share in shares.items()}
    return [(kind, int(count or shared[kind])) for kind, count in asked.items()]


def _progress(case, done: int, total: int) -> None:
    if sys.stderr.isatty():
        end = "\n" if done == total else ""
        print(f"\r{case.kind:16} {done}/{total}", end=end, file=sys.stderr, flush=True)


def _plain(case):
    return {**case._asdict(), "outcome": case.outcome._asdict()}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cases", type=int, default=1000, metavar="N", help="in all (%(default)s)")
    parser.add_argument("--seed", type=int, default=0, metavar="S", help="(%(default)s)")
    parser.add_argument("--only", nargs="+", metavar="KIND[=N]", help=", ".join(kinds()))
    parser.add_argument("--number", type=int, metavar="N", help="this case of each kind alone")
    parser.add_argument("--jobs", type=int, default=1, metavar="J", help="at a time (%(default)s)")
    parser.add_argument("--seconds", type=float, default=20, help="limit of a case (%(default)s)")
    most = "memory that a case may take in all (%(default)s)"
    parser.add_argument("--megabytes", type=int, default=1500, metavar="MB", help=most)
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="where bad inputs stay")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write all cases as JSON")
    return parser


if __name__ == "__main__":
    sys.exit(main())
