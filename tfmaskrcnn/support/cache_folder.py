"""The user's cache, where this program keeps what can be had again."""

import os

HOME = "TFMASKRCNN_HOME"  # of the environment: a folder instead of the user's cache


def cache_folder(*parts: str) -> str:
    """The folder `parts` in the cache, which need not be there."""
    home = os.environ.get(HOME)
    if not home:
        import pooch

        home = os.fspath(pooch.os_cache("tfmaskrcnn"))
    return os.path.join(os.path.abspath(os.path.expanduser(home)), *parts)
