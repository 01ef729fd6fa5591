"""Makes links of code in texts that names what is public; refuses names that are not there."""

import importlib
import re
from typing import Dict, Optional

from docutils import nodes
from sphinx.util import logging

_LOG = logging.getLogger(__name__)
# `mr.data.from_coco(...)`, `tfmaskrcnn.data.from_coco`.
_FULL = re.compile(r"(?:mr|tfmaskrcnn)((?:\.[A-Za-z_]\w*)+)(?:\(.*\))?", re.DOTALL)
# What cannot be a word of a sentence: `ScoreThresholds`, `from_coco`, `MaskRCNN.predict_images`.
_SHORT = re.compile(r"(?=\w*[A-Z_.])[A-Za-z]\w+(?:\.\w+)*(?:\(.*\))?", re.DOTALL)
# It tells of names that are gone.
_OF_THE_PAST = "CHANGELOG"


def setup(app):
    """Sphinx's entry."""
    app.connect("doctree-resolved", _link_code)
    return {"parallel_read_safe": True}


def _link_code(app, document, page: str) -> None:
    """Link each piece of code that names what is described; warn of what does not exist."""
    entries = app.env.get_domain("py").objects
    by_end = _by_end(entries)
    for node in list(document.findall(nodes.literal)):
        if isinstance(node.parent, nodes.reference):
            continue
        text, full = node.astext(), _FULL.fullmatch(node.astext())
        path = f"tfmaskrcnn{full[1]}" if full else None
        if full and path not in entries and page != _OF_THE_PAST and not exists(path):
            _LOG.warning("there is no %s", text, location=node)
        if not full and _SHORT.fullmatch(text):
            path = by_end.get(text.partition("(")[0])
        if path in entries:
            uri = app.builder.get_relative_uri(page, entries[path].docname)
            anchor = f"{uri}#{entries[path].node_id}"
            link = nodes.reference("", "", internal=True, refuri=anchor)
            node.replace_self(link)
            link += node


def exists(path: str) -> bool:
    """Whether Python finds a dotted name, public or not."""
    parts = path.split(".")
    value = importlib.import_module(parts[0])
    for i, part in enumerate(parts[1:], start=2):
        if not hasattr(value, part):
            try:
                value = importlib.import_module(".".join(parts[:i]))
            except ImportError:
                return False
        else:
            value = getattr(value, part)
    return True


def _by_end(entries) -> Dict[str, Optional[str]]:
    """The last one or two parts of described names -> the name, where only one ends so.

    Of a class's members always two: a field or an argument may be called like them.
    """
    found: Dict[str, Optional[str]] = {}
    for path, entry in entries.items():
        parts, alone = path.split("."), entry.objtype in ("class", "exception", "function")
        ends = [".".join(parts[-2:])] + parts[-1:] * alone
        for end in [] if entry.aliased else ends:
            found[end] = None if end in found and found[end] != path else path
    return found
