"""The inputs that once ended badly, which lie beside the checkout in `shared/cases`."""

from pathlib import Path

from helpers.paths import ROOT

CASES = ROOT.parent / "shared" / "cases"


def case(name: str) -> Path:
    """The file or folder of a case, such as "data/d07_list_of_points"; read-only."""
    path = CASES / name
    assert path.exists(), f"there is no case {path}"
    return path
