"""Units of images into parts of wanted shares, so that each part is like the whole.

After iterative stratification (Sechidis et al., 2011): what is rare is placed first. What is
compared are counts of all that should be alike, and units are exchanged at the end while that
helps.
"""

from typing import List, NamedTuple, Sequence

import numpy as np

# How much more the number of images counts than any other: of them the shares are.
IMAGES_WEIGHT = 20.0
_TRIALS, _MOST_TRIALS = 10, 10_000  # exchanges that are tried: so many a unit, and in all


class Counts(NamedTuple):
    """What a unit adds to its part."""

    strata: np.ndarray  # [n] int, ascending; 0 is the number of images
    counts: np.ndarray  # [n] float64, above 0


def assigned(units: Sequence[Counts], shares: Sequence[float], seed: int = 0) -> List[int]:
    """The part of each unit.

    Units of equal rarity are placed in the order given, which should be random.

    Args:
        units: what each holds.
        shares: of each part, adding up to 1.
        seed: of the exchanges.
    """
    totals = np.zeros(1 + max((int(unit.strata.max()) for unit in units), default=0))
    for unit in units:
        np.add.at(totals, unit.strata, unit.counts)
    board = _Board(totals, np.asarray(shares, float))
    parts = [0] * len(units)
    for u in sorted(range(len(units)), key=lambda u: _rarity(units[u], totals)):
        parts[u] = board.best(units[u])
        board.move(units[u], parts[u], 1)
    _exchange(board, units, parts, seed)
    return parts


class _Board:
    """What each part holds of everything, against what it should."""

    def __init__(self, totals: np.ndarray, shares: np.ndarray):
        self._excess = -np.outer(shares, totals)  # [parts, strata]
        # As of chi-square: a difference of one counts the less, the more there are in all.
        self._weights = 1.0 / np.maximum(totals, 1.0)
        self._weights[0] *= IMAGES_WEIGHT

    def costs(self, unit: Counts, sign: int) -> np.ndarray:
        """[parts] by how much the disagreement grows with a unit more (1) or less (-1) in each."""
        change = sign * unit.counts
        grown = change * (change + 2 * self._excess[:, unit.strata])
        return grown @ self._weights[unit.strata]

    def best(self, unit: Counts) -> int:
        """The part to put a unit into."""
        return int(np.argmin(self.costs(unit, 1)))

    def move(self, unit: Counts, part: int, sign: int) -> None:
        """Put a unit into a part (1), or take it out (-1)."""
        self._excess[part, unit.strata] += sign * unit.counts


def _rarity(unit: Counts, totals: np.ndarray):
    """Sorts the units of the rarest things first, and of those the largest."""
    return totals[unit.strata].min(), -unit.counts[0]


def _exchange(board: _Board, units: Sequence[Counts], parts: List[int], seed: int) -> None:
    """Let units change places, or one move to another part, where all agree better then."""
    draws = np.random.RandomState(seed)  # whose numbers no version of NumPy changes
    trials = min(_TRIALS * len(units), _MOST_TRIALS)
    for u, other in draws.randint(len(units), size=(trials, 2)):
        _try_move(board, units[u], u, parts)
        if parts[u] != parts[other]:
            _try_swap(board, units, u, other, parts)


def _try_move(board: _Board, unit: Counts, u: int, parts: List[int]) -> None:
    gain = board.costs(unit, -1)[parts[u]]
    board.move(unit, parts[u], -1)
    costs = board.costs(unit, 1)
    best = int(np.argmin(costs))
    if gain + costs[best] < -1e-9:
        parts[u] = best
    board.move(unit, parts[u], 1)


def _try_swap(board: _Board, units, u: int, other: int, parts: List[int]) -> None:
    mine, theirs = parts[u], parts[other]
    change = 0.0
    steps = ((u, mine, -1), (other, theirs, -1), (u, theirs, 1), (other, mine, 1))
    for unit, part, sign in steps:
        change += board.costs(units[unit], sign)[part]
        board.move(units[unit], part, sign)
    if change < -1e-9:
        parts[u], parts[other] = theirs, mine
        return
    for unit, part, sign in reversed(steps):
        board.move(units[unit], part, -sign)
