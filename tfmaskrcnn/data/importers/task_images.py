"""Where the image of a Label Studio task lies."""

import os
import re
from typing import Any, Dict, Iterator, List
from urllib.parse import parse_qs, unquote, urlsplit

from tfmaskrcnn.data.importers.fields import shown
from tfmaskrcnn.data.importers.source_files import IMAGE_SUFFIXES, contents
from tfmaskrcnn.errors import InputError

# What Label Studio puts before the name of an uploaded file.
_PREFIX = re.compile(r"[0-9A-Za-z]{4,8}-(?=.)")
_MOST_FOLDERS = 32  # of a name that are tried
_LONGEST = 4096  # characters of an address; pictures inside the JSON have more


def task_image(task: Dict[str, Any], image_dir: str, where: str) -> str:
    """The file name, from `image_dir`, of a task's image.

    Raises:
        InputError: there is none; `where` names the task.
    """
    texts = _texts(task)
    for text in texts:
        for name in _names(text):
            if os.path.isfile(os.path.join(image_dir, name)):
                return name
    if not texts:
        raise InputError(f"{where}: its 'data' names no image file.")
    raise InputError(
        f"{where}: there is no {shown(texts[0])} in {shown(image_dir, 200)}, which holds "
        f"{contents(image_dir)}."
    )


def _texts(task: Dict[str, Any]) -> List[str]:
    """What may name the image: `data.image`, else what ends as an image does, `file_upload`."""
    data = task["data"] if isinstance(task["data"], dict) else {}
    texts = [data.get("image"), *data.values(), task.get("file_upload")]
    texts = [text for text in texts if isinstance(text, str) and 0 < len(text) <= _LONGEST]
    named = [t for t in texts if any(n.lower().endswith(IMAGE_SUFFIXES) for n in _names(t))]
    return list(dict.fromkeys(named))


def _names(text: str) -> Iterator[str]:
    """Names under which a file may lie, those with the most folders first."""
    text = text.replace("\\", "/")
    try:
        parts = urlsplit(text)
        local = parse_qs(parts.query).get("d", [])  # /data/local-files/?d=folder/name
    except ValueError:
        parts, local = None, []
    paths = [text, *local, *([unquote(parts.path)] if parts else [])]
    split = [path.split("://", 1)[-1].split("/") for path in paths]
    split = [[piece for piece in path if piece not in ("", ".", "..")] for path in split]
    # "x/a.png" of one way to read the text goes before "a.png" of another.
    for count in range(min(max(map(len, split)), _MOST_FOLDERS), 0, -1):
        yield from ("/".join(pieces[-count:]) for pieces in split if len(pieces) >= count)
    for pieces in split:
        if pieces and _PREFIX.match(pieces[-1]):
            yield pieces[-1][_PREFIX.match(pieces[-1]).end() :]
