"""Versions of what decides how the program runs, for `info` and for what is exported."""

import importlib
import os
import platform
import subprocess
from importlib import metadata
from typing import Dict, Optional

_PACKAGES = ("tensorflow", "tensorflow-cpu", "keras", "numpy", "pycocotools")


def versions() -> Dict[str, str]:
    """Name -> version; `git` is there when the package runs from its own repository."""
    package = importlib.import_module(__package__.split(".")[0])  # no module may import its names
    found = {"tfmaskrcnn": package.__version__}
    revision = git_revision(os.path.dirname(os.path.abspath(__file__)))
    if revision:
        found["git"] = revision
    found["python"] = platform.python_version()
    for name in _PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def git_revision(folder: str) -> Optional[str]:
    """The commit that `folder` is tracked at, "-dirty" behind it after changes; else None.

    An installed package may lie inside somebody else's repository (a virtual environment), which
    does not track it.
    """
    try:
        if not _git(folder, "ls-files", "--", "*.py"):
            return None
        return _git(folder, "describe", "--always", "--dirty", "--abbrev=12", "--exclude", "*")
    except (OSError, subprocess.SubprocessError):  # no git, no repository, or an empty one
        return None


def _git(folder: str, *arguments: str) -> str:
    command = ["git", "-C", folder, *arguments]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=10)
    return done.stdout.strip()
