"""Names of a package that are loaded on first use, so that importing it costs nothing."""

import importlib
from typing import Callable, List, Mapping, Tuple


def on_use(package: str, places: Mapping[str, str]) -> Tuple[Callable, Callable]:
    """`__getattr__` and `__dir__` of a package; for editors repeat the names below `TYPE_CHECKING`.

    Args:
        package: its `__name__`.
        places: name -> "module:name" below the package; "module" for a module itself.
    """

    def get(name: str):
        if name not in places:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        place, _, own_name = places[name].partition(":")
        module = importlib.import_module(f"{package}.{place}")
        return getattr(module, own_name) if own_name else module

    def names() -> List[str]:
        return sorted(places)

    return get, names
