"""TF Serving and Triton: publishing an exported model to them, and clients that ask them."""

from typing import TYPE_CHECKING

from tfmaskrcnn.support.lazy import on_use

if TYPE_CHECKING:
    from tfmaskrcnn.serving import client, publish, triton

__all__ = [
    "client",
    "publish",
    "triton",
]

__getattr__, __dir__ = on_use(
    __name__,
    {
        "client": "client",
        "publish": "publish",
        "triton": "triton",
    },
)
