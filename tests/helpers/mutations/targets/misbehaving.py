"""Targets that end badly on purpose, by which the machinery itself is tested."""

import ctypes
import time

from helpers.mutations.outcomes import Broken
from helpers.mutations.targets.target import Target
from tfmaskrcnn.errors import InputError


class Misbehaving(Target):
    """Ends as its name says, every time."""

    def __init__(self, base, how: str):
        super().__init__(base)
        self._how = how

    def run(self, rng, folder):
        self.note([f"asked for {self._how}"])
        getattr(self, f"_{self._how}")()

    def _crash(self):
        ctypes.string_at(0)

    def _hang(self):
        while True:  # busy, or the clock alone would have to say
            time.monotonic()

    def _traceback(self):
        {}["absent"]

    def _broken(self):
        raise Broken("one and one are three")

    def _memory(self):
        bytearray(8 << 30)

    def _much(self):
        b"x" * (300 << 20)  # over the limit that the test sets

    def _sentence(self):
        raise InputError("a lone surrogate: \ud800")

    def _refused(self):
        raise InputError("file.json: 'id' is 'x', wanted an integer.")

    def _fine(self):
        pass
