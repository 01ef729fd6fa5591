"""The checksum of TFRecord files (CRC-32C), in NumPy: TensorFlow has no public name for its own."""

import functools
from typing import Tuple

import numpy as np

_POLYNOMIAL = 0x82F63B78  # of the bits in reverse
_STEPS = 256  # bytes of a lane; all lanes are gone through at once
_MASK_DELTA = 0xA282EAD8  # of TFRecord


def crc32c(content: bytes) -> int:
    """The checksum of some bytes, as 32 bits."""
    if len(content) < 4:
        return _of_few(content)
    start = -len(content) % _STEPS  # zeros in front change nothing from a start of 0
    data = np.zeros(start + len(content), np.uint8)
    data[start:] = np.frombuffer(content, np.uint8)
    data[start : start + 4] ^= 0xFF  # which is what a start of 0xFFFFFFFF does
    lanes = data.reshape(-1, _STEPS)
    table, forward = _tables()
    states = _through(np.zeros(len(lanes), np.uint32), lanes.T, table)
    total = 0
    for state in states.tolist():  # a lane's bytes come behind those of the lanes before
        for i in range(4):
            state ^= forward[i][total >> 8 * i & 0xFF]
        total = state
    return total ^ 0xFFFFFFFF


def masked_crc32c(content: bytes) -> int:
    """The checksum as TFRecord stores it."""
    crc = crc32c(content)
    return ((crc >> 15 | crc << 17) + _MASK_DELTA) & 0xFFFFFFFF


def _of_few(content: bytes) -> int:
    table, crc = _tables()[0], 0xFFFFFFFF
    for byte in content:
        crc = int(table[(crc ^ byte) & 0xFF]) ^ crc >> 8
    return crc ^ 0xFFFFFFFF


def _through(states: np.ndarray, columns: np.ndarray, table: np.ndarray) -> np.ndarray:
    """[L] uint32 states after [S, L] bytes each."""
    for column in columns:
        states = table[(states ^ column) & 0xFF] ^ states >> 8
    return states


@functools.lru_cache(maxsize=1)
def _tables() -> Tuple[np.ndarray, list]:
    """[256] uint32 of a byte's state, and 4 lists of 256: a state's bytes after `_STEPS` zeros."""
    table = np.arange(256, dtype=np.uint32)
    for _ in range(8):
        table = np.where(table & 1, table >> 1 ^ np.uint32(_POLYNOMIAL), table >> 1)
    every = np.concatenate([np.arange(256, dtype=np.uint32) << np.uint32(8 * i) for i in range(4)])
    after = _through(every, np.zeros((_STEPS, 1), np.uint8), table)
    return table, after.reshape(4, 256).tolist()
