"""Goes through the parts within a budget of time, whatever becomes of one of them."""

import time
from typing import Callable, Dict, List, NamedTuple

from gpu import agreement, kernels, precision, speed, steps
from gpu.rows import Given, Row


class Part(NamedTuple):
    """A part of the run and the seconds that it is given, on a GPU; it is not begun with fewer."""

    name: str
    rows: Callable[[Given], List[Row]]
    seconds: float


PARTS = (
    Part("kernels", kernels.rows, 60),
    Part("agreement", agreement.rows, 60),
    Part("precision", precision.rows, 60),
    Part("mirrored", steps.mirrored, 60),
    Part("predicting", speed.predicting, 70),
    Part("training", speed.training, 110),
    Part("xla", steps.xla, 60),
)


def run(
    given: Given,
    seconds: float,
    parts=PARTS,
    clock: Callable[[], float] = time.monotonic,
    told: Callable[[str], None] = lambda text: None,
) -> Dict[str, List[Row]]:
    """The rows of all parts by their names.

    A part that fails is a row that did not pass, with what it said; one that has no time left is a
    row without a value.

    Args:
        given: what parts get.
        seconds: for all of them; a part is left out where less is left than its share.
        parts: in their order.
        clock: seconds of a clock that only goes on.
        told: gets the name of each part before it begins.
    """
    until, table = clock() + seconds, {}
    for part in parts:
        if until - clock() < part.seconds:
            table[part.name] = [Row("not begun", note="no time")]
            continue
        told(part.name)
        began = clock()
        try:
            rows = list(part.rows(given))
        except Exception as error:  # the others are to be seen too
            rows = [Row("failed", passed=False, note=f"{type(error).__name__}: {error}"[:300])]
        table[part.name] = [*rows, Row("seconds", clock() - began)]
    return table
