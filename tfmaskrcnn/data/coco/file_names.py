"""What a file name of another computer, of a URL or of a labelling server may be called here."""

import re
from typing import Any, Iterator, List
from urllib.parse import parse_qs, unquote, urlsplit

from tfmaskrcnn.errors import quoted

_SHOWN = 160  # characters of a name in a message
_MAX_NAME = 4096  # characters
_MAX_PARTS = 40  # folders
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")
_DRIVE = re.compile(r"^[A-Za-z]:")
# Label Studio puts eight digits before the name of a file that is uploaded.
_UPLOADED = re.compile(r"^[0-9a-f]{8}-(?=.)")


def name_candidates(name: str) -> List[str]:
    """Relative names with "/" that `name` may stand for, the likeliest first; never `name` itself.

    "C:\\\\data\\\\images\\\\a.png" gives "data/images/a.png", "images/a.png" and "a.png".
    """
    if not name or len(name) > _MAX_NAME or "\0" in name:
        return []
    found: List[str] = []
    for text in _texts(name):
        parts = [
            p for p in _DRIVE.sub("", text).replace("\\", "/").split("/") if p not in ("", ".")
        ]
        parts = parts[-_MAX_PARTS:]
        while ".." in parts:
            parts = parts[parts.index("..") + 1 :]
        found += ["/".join(parts[k:]) for k in range(len(parts))]
        bare = _UPLOADED.sub("", parts[-1]) if parts else ""
        found += [bare] if bare and bare != parts[-1] else []
    return [candidate for candidate in dict.fromkeys(found) if candidate != name]


def shown_name(name: Any) -> str:
    """A file name for a message. The beginning of a long one is cut off: the end tells the file."""
    text = name if isinstance(name, str) else quoted(name)
    text = text.encode("utf-8", "backslashreplace").decode("utf-8")
    return text if len(text) <= _SHOWN else f"...{text[3 - _SHOWN :]}"


def _texts(name: str) -> Iterator[str]:
    """The name, what a URL says, and both without percent signs."""
    texts = [name.strip()]
    if _URL.match(texts[0]) or "?" in name:
        try:
            split = urlsplit(texts[0])
            queries = [value for values in parse_qs(split.query).values() for value in values]
        except ValueError:  # no URL after all
            queries, split = [], None
        texts = [*queries, *([split.path] if split else []), texts[0]]
    for text in texts:
        yield text
        yield unquote(text)
