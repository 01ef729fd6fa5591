"""How far a computed stage lies from a golden one."""

import numpy as np


def relative_rms(found, expected):
    """Root mean square of the difference over that of the golden array; same shapes."""
    found, expected = np.asarray(found, np.float64), np.asarray(expected, np.float64)
    assert found.shape == expected.shape
    return np.sqrt(np.mean((found - expected) ** 2) / np.mean(expected**2))
