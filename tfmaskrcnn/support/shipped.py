"""What comes with the package and lies beside it in a clone: `configs/`, scripts of `export/`."""

import importlib.util
import os
import sys

from tfmaskrcnn.errors import InputError


def shipped(name: str) -> str:
    """The folder `name` ("configs", "export"): in an installed package, or in the clone.

    Raises:
        InputError: there is none.
    """
    package = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    for place in (os.path.join(package, "shipped"), os.path.dirname(package)):
        folder = os.path.join(place, name)
        if os.path.isdir(folder):
            return folder
    raise InputError(f"{package} came without its folder {name}/; install tfmaskrcnn again.")


def script(name: str):
    """The module NAME.py of `export/`, which knows nothing of this package."""
    folder = shipped("export")
    if folder not in sys.path:  # they import each other, as when Python runs one of them
        sys.path.append(folder)
    spec = importlib.util.spec_from_file_location(name, os.path.join(folder, f"{name}.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
