"""Does something around the import of another package, without importing it."""

import importlib.abc
import importlib.machinery
import sys
from typing import Callable


def around_import(name: str, around: Callable[[Callable[[], None]], None]) -> None:
    """Call `around(load)` when the package `name` is imported; `load()` is its import.

    Where it is imported already, `around` is called at once with a `load` that does nothing; where
    `sys.modules` has None for it, it cannot be imported, and nothing is done.
    """
    if name not in sys.modules:
        sys.meta_path.insert(0, _Watch(name, around))
    elif sys.modules[name] is not None:
        around(lambda: None)


class _Watch(importlib.abc.MetaPathFinder):
    """Finds one package as Python does, and changes how it is loaded."""

    def __init__(self, name: str, around: Callable[[Callable[[], None]], None]):
        self._name, self._around = name, around

    def find_spec(self, name, path=None, target=None):
        spec = importlib.machinery.PathFinder.find_spec(name, path) if name == self._name else None
        if spec is not None and spec.loader is not None:
            load = spec.loader.exec_module
            # On the instance, so that the loader stays what resources are read by.
            spec.loader.exec_module = lambda module: self._around(lambda: load(module))
        return spec
