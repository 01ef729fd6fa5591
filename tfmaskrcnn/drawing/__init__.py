"""Pictures for people: objects over images, what the network is fed, curves."""

from typing import TYPE_CHECKING

from tfmaskrcnn.support.lazy import on_use

if TYPE_CHECKING:
    from tfmaskrcnn.drawing import (
        batch,
        drawing_style,
        fitted_sizes,
        notebook,
        overlays,
        painting,
        strokes,
    )

__all__ = [
    "batch",
    "drawing_style",
    "fitted_sizes",
    "notebook",
    "overlays",
    "painting",
    "strokes",
]

__getattr__, __dir__ = on_use(
    __name__,
    {
        "batch": "batch",
        "drawing_style": "drawing_style",
        "fitted_sizes": "fitted_sizes",
        "notebook": "notebook",
        "overlays": "overlays",
        "painting": "painting",
        "strokes": "strokes",
    },
)
