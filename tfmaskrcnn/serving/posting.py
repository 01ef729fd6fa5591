"""Requests over HTTP: what comes back, or a sentence, within a deadline and within memory."""

import http.client
import time
import urllib.error
import urllib.request
from typing import Mapping, Optional, Tuple

from tfmaskrcnn.serving.answers import MAX_ANSWER, ServingError, rest_message
from tfmaskrcnn.serving.retrying import TryAgain, may_pass

# What a server answers that is loading, overloaded or behind a proxy that finds none.
_AGAIN = (429, 502, 503)


def asked(
    url: str, body: Optional[bytes], headers: Mapping[str, str], seconds: float, missing: str
) -> Tuple[bytes, Mapping[str, str]]:
    """(body, headers) of an answer.

    Args:
        url: what is asked.
        body: to POST; None for GET.
        headers: of the request.
        seconds: until it is given up.
        missing: what a 404 says before the server's own words.

    Raises:
        TryAgain: the server is not there, loading or overloaded.
        ServingError: any other error.
    """
    request = urllib.request.Request(url, body, dict(headers))
    until = time.monotonic() + seconds
    try:
        with urllib.request.urlopen(request, timeout=seconds) as response:
            return _read(response, until), response.headers
    except urllib.error.HTTPError as error:
        message = rest_message(_beginning(error), error.code)
        if error.code == 404:
            message = f"{missing}: {message}"
        kind = TryAgain if error.code in _AGAIN or may_pass(message) else ServingError
        raise kind(message, error.code) from None
    except (OSError, http.client.HTTPException) as error:  # of the connection
        reason = getattr(error, "reason", error)
        if isinstance(reason, TimeoutError):
            raise ServingError(f"no answer within {seconds:.1f} s") from None
        text = getattr(reason, "strerror", None) or reason or type(reason).__name__
        raise TryAgain(f"no answer from {url}: {text}") from None


def _read(response, until: float) -> bytes:
    """The body; a server that sends it in drops must not outlast the deadline, nor fill memory."""
    parts, size = [], 0
    while True:
        part = response.read1(1 << 16)
        if not part:
            return b"".join(parts)
        parts.append(part)
        size += len(part)
        if size > MAX_ANSWER:
            raise ServingError(
                f"the answer has more than {MAX_ANSWER} bytes; send fewer images, or export the "
                "model with --masks rle"
            )
        if time.monotonic() > until:
            raise TimeoutError


def _beginning(error: urllib.error.HTTPError) -> bytes:
    try:
        return error.read(1 << 16)
    except (OSError, http.client.HTTPException):  # it has hung up
        return b""
