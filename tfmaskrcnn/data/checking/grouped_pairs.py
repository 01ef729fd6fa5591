"""All pairs of the members of groups, of all groups at a time."""

from typing import Iterator, Tuple

import numpy as np


def pairs_within(groups: np.ndarray) -> Iterator[Tuple[np.ndarray, np.ndarray]]:
    """Pairs of the same group: neighbours, then those two places apart, and so on.

    Args:
        groups: [n] int, whose each member is, ascending.

    Yields:
        [m] and [m] int: the places of the first and of the second ones.
    """
    first, step = np.arange(len(groups)), 0
    while len(first):
        step += 1
        first = first[: np.searchsorted(first, len(groups) - step)]
        first = first[groups[first] == groups[first + step]]
        yield first, first + step
