"""Images behind http(s) addresses."""

import os
import posixpath
import re
import time
import urllib.error
import urllib.parse
import urllib.request

from tfmaskrcnn.data.coco.image_files import ImageBytes
from tfmaskrcnn.errors import InputError, one_line, short_path

TIMEOUT = 30.0  # seconds without an answer
LONGEST = 600.0  # seconds that one image may take in all
LARGEST = 1 << 29  # bytes
_PART = 1 << 16
_MOST_LETTERS = 100  # of a name that files are called by
_HANDLERS = (  # neither files nor FTP: an address may be forwarded to another
    urllib.request.ProxyHandler,
    urllib.request.HTTPHandler,
    urllib.request.HTTPSHandler,
    urllib.request.HTTPDefaultErrorHandler,
    urllib.request.HTTPRedirectHandler,
    urllib.request.HTTPErrorProcessor,
    urllib.request.UnknownHandler,
)


def is_address(text: str) -> bool:
    """Whether `text` is an http(s) address and not a path."""
    return text.lower().startswith(("http://", "https://"))


def name_of(address: str) -> str:
    """A file name for what lies behind an address: the last part of its path."""
    path = urllib.parse.unquote(address.split("?")[0].split("#")[0].split("://", 1)[-1])
    name = posixpath.basename(path.rstrip("/")) or "image"
    name = re.sub(r"[^\w.+-]+", "_", name).lstrip(".") or "image"
    stem, ending = os.path.splitext(name)
    return stem[:_MOST_LETTERS] + ending[:10]


def fetched(address: str, timeout: float = TIMEOUT, largest: int = LARGEST) -> ImageBytes:
    """What lies behind an http(s) address.

    Args:
        address: also with letters that a browser would escape.
        timeout: seconds that the server may be silent.
        largest: bytes that it may send.

    Raises:
        InputError: it cannot be reached, refuses, or sends too much or too slowly.
    """
    shown = short_path(address, 150)
    if "@" in address.split("://", 1)[1].split("/")[0]:
        raise InputError(
            f"{shown} has a name and a password, which results would tell; download it before."
        )
    try:
        return ImageBytes(address, _content(address, timeout, largest, shown))
    except InputError:
        raise
    except urllib.error.HTTPError as error:
        raise InputError(f"{shown} answers {error.code} {one_line(error.reason, 80)}.") from None
    except Exception as error:  # of urllib, http.client, ssl and socket, by what a server does
        reason = getattr(error, "reason", None) or error
        text = one_line(reason).rstrip(".") or type(error).__name__
        raise InputError(f"{shown} cannot be fetched: {text}.") from None


def _content(address: str, timeout: float, largest: int, shown: str) -> bytes:
    opener = urllib.request.OpenerDirector()
    for handler in _HANDLERS:
        opener.add_handler(handler())
    escaped = urllib.parse.quote(address, safe="%/:=&?~#+!$,;'@()*[]")
    headers = {"User-Agent": "tfmaskrcnn", "Accept": "image/*, */*;q=0.5"}
    content, end = bytearray(), time.monotonic() + LONGEST
    with opener.open(urllib.request.Request(escaped, headers=headers), timeout=timeout) as answer:
        promised = answer.headers.get("Content-Length", "")
        promised = int(promised) if promised.isdecimal() else None
        if promised is not None and promised > largest:
            raise InputError(_too_large(shown, promised, largest))
        while True:
            part = answer.read1(_PART)
            content += part
            if not part:
                break
            if len(content) > largest:
                raise InputError(_too_large(shown, len(content), largest))
            if time.monotonic() > end:
                raise InputError(f"{shown} has sent no whole image within {LONGEST:g} seconds.")
    if promised is not None and len(content) < promised:
        raise InputError(
            f"{shown} has sent {len(content)} bytes of {promised}; the connection was cut."
        )
    return bytes(content)


def _too_large(shown: str, size: int, largest: int) -> str:
    return f"{shown} has {size / 1e6:.0f} MB or more; at most {largest / 1e6:.0f} MB are fetched."
