"""`data/splitting/stratified.py`: parts are as large as they should be, and alike."""

import numpy as np
import pytest

from tfmaskrcnn.data.splitting.stratified import Counts, assigned


def unit(images, *objects):
    """Of so many images, with so many objects of each class."""
    counts = np.array([images, *objects], float)
    strata = np.flatnonzero(counts)
    return Counts(strata, counts[strata])


def sums(units, parts, number):
    table = np.zeros((number, 1 + max(int(u.strata.max()) for u in units)))
    for u, part in zip(units, parts):
        table[part, u.strata] += u.counts
    return table


def test_a_hand_case():
    # Ten images; class 1 in five of them, class 2 in the other five: one of each goes to val.
    units = [unit(1, 1, 0)] * 5 + [unit(1, 0, 1)] * 5
    found = sums(units, assigned(units, [0.8, 0.2]), 2)
    np.testing.assert_array_equal(found, [[8, 4, 4], [2, 1, 1]])


def test_what_is_there_once_is_trained_on():
    units = [unit(1, 0, 3)] + [unit(1, 2)] * 9
    assert assigned(units, [0.8, 0.2])[0] == 0


@pytest.mark.parametrize("seed", range(20))
def test_parts_are_nearer_to_the_whole_than_random_ones(seed):
    rng = np.random.default_rng(seed)
    rates = rng.permutation([0.02, 0.1, 0.5, 3.0])
    units = [unit(1, *(rng.poisson(rates) * rng.integers(1, 4))) for _ in range(60)]
    shares = np.array([0.7, 0.2, 0.1])
    totals = sums(units, [0] * 60, 1)[0]

    def apart(parts):
        off = sums(units, parts, 3) - np.outer(shares, totals)
        return (off**2 / np.maximum(totals, 1)).sum()

    found = assigned(units, shares, seed)
    assert sums(units, found, 3)[:, 0].tolist() == [42, 12, 6]
    assert apart(found) < 0.3 * np.mean([apart(rng.permutation(found)) for _ in range(20)])
    assert found == assigned(units, shares, seed)


def test_large_units_are_weighed_as_what_they_hold():
    units = [unit(6, 6), unit(2, 2), unit(1, 1), unit(1, 1)]
    assert sums(units, assigned(units, [0.6, 0.4]), 2)[:, 0].tolist() == [6, 4]


def test_equal_shares_make_folds():
    units = [unit(1, i % 3) for i in range(31)]
    found = sums(units, assigned(units, [0.2] * 5), 5)
    assert sorted(found[:, 0]) == [6, 6, 6, 6, 7] and np.ptp(found[:, 1]) <= 1
