"""TF Serving: publishing an exported model to it, and clients that ask it."""

from typing import TYPE_CHECKING

from tfmaskrcnn.support.lazy import on_use

if TYPE_CHECKING:
    from tfmaskrcnn.serving import client, publish

__all__ = [
    "client",
    "publish",
]

__getattr__, __dir__ = on_use(
    __name__,
    {
        "client": "client",
        "publish": "publish",
    },
)
