"""What every target is made of."""

from pathlib import Path
from random import Random
from typing import Sequence

from tfmaskrcnn.errors import InputError


class Target:
    """Feeds mutated inputs to a part of the program.

    Args:
        base: the folder of the good inputs.
    """

    refusals = (InputError,)  # how the part may say no

    def __init__(self, base: Path):
        self.base = base

    def prepare(self) -> None:
        """Write good inputs into `base`; called once, in a process of its own."""

    def open(self) -> None:
        """Load what all cases share; called once a process."""

    def numbered(self, kind: str, seed: int, number: int, folder: Path) -> None:
        """The case of this number, always the same."""
        self.run(Random(f"{kind}/{seed}/{number}"), folder)

    def run(self, rng: Random, folder: Path) -> None:
        """One case, with an empty folder for its files.

        Raises:
            Broken: it was accepted, but something is wrong with the result.
            one of `refusals`: it was not accepted.
        """
        raise NotImplementedError

    def note(self, notes: Sequence[str]) -> None:
        """Say what was done to the input, before it is used."""
        for note in notes:
            print("~ " + " ".join(note.split()), flush=True)
