"""From the package's docstrings to what Sphinx expects of one.

They are written to be read in the source: `name` is code, a star is a star, and what a field of a
settings class, named tuple or data class is stands in a comment beside it.
"""

import ast
import inspect
import re
import textwrap
from typing import List

_CODE = re.compile(r"(`+[^`]*`+)")
_STARRED_ARGUMENT = re.compile(r"\s*\*{1,2}\w+:")  # napoleon knows it


def setup(app):
    """Sphinx's entry."""
    app.connect("autodoc-process-docstring", _escape, priority=400)  # before napoleon
    app.connect("autodoc-process-docstring", _add_fields, priority=600)
    app.connect("autodoc-process-signature", _without_fields)
    app.connect("autodoc-skip-member", _skip)
    return {"parallel_read_safe": True}


def _escape(app, what, name, value, options, lines: List[str]) -> None:
    lines[:] = escaped("\n".join(lines)).split("\n")
    if what == "property":  # else napoleon takes what stands before a colon for its type
        lines.insert(0, "")


def escaped(text: str) -> str:
    """`text`, in which stars, bars and underscores at a word's end mean nothing outside of code."""
    parts = _CODE.split(text)
    for i in range(0, len(parts), 2):
        lines = parts[i].split("\n")
        kept = [_STARRED_ARGUMENT.match(line) for line in lines]
        lines = [n if k else re.sub(r"[*|]|_\b(?!\w)", r"\\\g<0>", n) for n, k in zip(lines, kept)]
        parts[i] = "\n".join(lines)
    return "".join(parts)


def _add_fields(app, what, name, value, options, lines: List[str]) -> None:
    source = fields_source(value) if what == "class" else ""
    if source:
        code = textwrap.indent(source, "   ").splitlines()
        lines += ["", ".. code-block:: python", "", *code, ""]


def _without_fields(app, what, name, value, options, signature, returns):
    """Fields that are shown below need not be arguments above, with all defaults in full."""
    return ("", None) if what == "class" and fields_source(value) else None


def _skip(app, what, name, value, skip, options):
    """Leave out what is Keras's, pydantic's or Python's: they document it themselves."""
    function = getattr(value, "fget", value)
    module = getattr(function, "__module__", None) or ""
    # A named tuple's fields would be "Alias for field number 0".
    foreign = not module.startswith("tfmaskrcnn") and callable(function)
    return True if foreign or type(value).__name__ == "_tuplegetter" else None


def fields_source(value) -> str:
    """The lines of a class from its first annotated field to its last one; "" without any."""
    if not value.__dict__.get("__annotations__"):
        return ""
    source = textwrap.dedent(inspect.getsource(value))
    (tree,) = ast.parse(source).body
    rows = [node for node in tree.body if isinstance(node, ast.AnnAssign)]
    rows = [node for node in rows if not ast.unparse(node.target).startswith("_")]
    if not rows:
        return ""
    lines, first = source.splitlines(), rows[0].lineno - 1
    while lines[first - 1].lstrip().startswith("#"):  # what stands above the first one
        first -= 1
    return textwrap.dedent("\n".join(lines[first : rows[-1].end_lineno]))
