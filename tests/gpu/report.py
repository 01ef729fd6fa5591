"""The rows as a table for the terminal and as JSON."""

import platform
from typing import Any, Dict, List

import keras
import tensorflow as tf

from gpu.rows import Row

_PASSED = {True: "ok", False: "NOT OK", None: ""}


def table(found: Dict[str, List[Row]]) -> str:
    """A line a row, parts one after the other, and how many did not pass."""
    lines = []
    for part, rows in found.items():
        lines.append(part)
        for row in rows:
            value = "" if row.value is None else f"{row.value:.4g}"
            cells = f"  {row.name:62} {value:>10}  {row.bound:9} {_PASSED[row.passed]:6} {row.note}"
            lines.append(cells.rstrip())
    every = [row for rows in found.values() for row in rows]
    bounded = [row for row in every if row.passed is not None]
    bad = sum(not row.passed for row in bounded)
    left = sum(row.note == "no time" for row in every)
    lines.append(f"{len(bounded) - bad} of {len(bounded)} within their bounds, {left} not begun")
    return "\n".join(lines)


def about(gpus) -> Dict[str, Any]:
    """What was measured on."""
    details = [tf.config.experimental.get_device_details(gpu) for gpu in gpus]
    return {
        "gpus": [each.get("device_name", "a GPU") for each in details],
        "tensorflow": tf.__version__,
        "keras": keras.__version__,
        "python": platform.python_version(),
    }


def as_json(found: Dict[str, List[Row]], about: Dict[str, Any]) -> Dict[str, Any]:
    """All rows by part, with what they were measured on."""
    return {
        **about,
        "parts": {name: [row._asdict() for row in rows] for name, rows in found.items()},
    }
