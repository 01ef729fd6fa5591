"""Makes the model known to Keras by name, without importing either before it is needed."""

import importlib
import sys
from typing import Callable, Mapping

# What Keras may compute with instead of TensorFlow, by the package of each.
_OTHER_BACKENDS = ("jax", "torch", "openvino")


def introducing(classes: Mapping[str, str]) -> Callable[[Callable[[], None]], None]:
    """An `around` of `on_import.around_import` for Keras, which then can load our `.keras` files.

    Keras 3 looks for a file's classes among those that are registered, and imports no module by
    itself.

    Args:
        classes: registered name -> "module:class", imported when Keras makes the first object.
    """

    def around(load: Callable[[], None]) -> None:
        try:
            load()
        except ModuleNotFoundError as error:
            if error.name not in _OTHER_BACKENDS:
                raise
            raise ImportError(
                f"Keras is set to compute with {error.name}, which is not installed; tfmaskrcnn "
                "needs Keras on TensorFlow: set KERAS_BACKEND=tensorflow.",
                name=error.name,
            ) from None
        known = sys.modules["keras"].saving.get_custom_objects()
        for name, place in classes.items():
            known.setdefault(name, _Later(place))

    return around


class _Later:
    """Stands in for a class until Keras asks for an object of it."""

    def __init__(self, place: str):
        self._place = place

    def from_config(self, config):
        """An object of the class itself, which registers itself in the place of this one."""
        module, _, name = self._place.partition(":")
        return getattr(importlib.import_module(module), name).from_config(config)
