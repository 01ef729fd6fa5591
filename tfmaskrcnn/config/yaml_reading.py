"""The text of a configuration as plain values: YAML or JSON, with a bound for what it may become.

Anchors and aliases are allowed, but a few hundred bytes of aliases of aliases stand for as many
values as one likes; they are counted before they are merged, checked or printed.
"""

import json
from typing import Any, Dict, List, Tuple

import yaml

from tfmaskrcnn.errors import InputError, quoted
from tfmaskrcnn.support.files import read_text

# The longest that comes with the package has 4 kB; one of LVIS's 1203 class names has 30 kB.
_MAX_BYTES = 1 << 20
_MAX_VALUES = 50_000
_MAX_DIGITS = 1000  # of a number or date; YAML's sexagesimal ones take long to read
_SHOWN = 150  # characters of a reason
_MAX_DEPTH = 30  # a configuration has 5 levels
_MERGE, _TEXT = "tag:yaml.org,2002:merge", "tag:yaml.org,2002:str"


def read_values(path: str) -> Dict[str, Any]:
    """The keys and values of a `.json` file, or else YAML file; an empty one has none.

    Raises:
        InputError: it cannot be read, is neither, holds no keys and values, one key twice, or far
            more than a configuration has.
    """
    text = read_text(path, _MAX_BYTES)
    try:
        raw = _json(text) if path.endswith(".json") else _yaml(text)
    except Exception as error:  # yaml's constructors raise half a dozen kinds
        raise InputError(f"{path} is not valid YAML or JSON: {_reason(error)}.") from None
    raw = {} if raw is None else raw
    if not isinstance(raw, dict):
        raise InputError(f"{path} must hold keys and values, found {type(raw).__name__}.")
    return raw


def read_value(text: str) -> Any:
    """The value that a YAML text stands for.

    Raises:
        InputError: it stands for none; the message says why, without `text`.
    """
    try:
        return _yaml(text)
    except Exception as error:  # as above
        raise InputError(f"the value is not valid YAML: {_reason(error)}.") from None


def check_texts(value: Any, source: str) -> None:
    """Refuse texts with lone surrogates, which no file of UTF-8 can hold, at any depth.

    Raises:
        InputError: there is one; it names `source`.
    """
    left = [value]
    while left:
        value = left.pop()
        if isinstance(value, dict):
            left += [*value.keys(), *value.values()]
        elif isinstance(value, (list, tuple)):
            left += value
        elif isinstance(value, str) and not value.isascii():
            try:
                value.encode()
            except UnicodeEncodeError:
                raise InputError(f"{source}: {quoted(value)} is no text of UTF-8.") from None


class _Loader(yaml.SafeLoader):
    """YAML's plain values, of a bounded number of nodes and of what aliases make of them."""

    def __init__(self, text: str):
        super().__init__(text)
        self._left = _MAX_VALUES

    def fetch_flow_collection_start(self, TokenClass):
        if self.flow_level > _MAX_DEPTH:  # the scanner looks at all levels again and again
            raise _too_deep()
        super().fetch_flow_collection_start(TokenClass)

    def add_indent(self, column):
        if len(self.indents) > _MAX_DEPTH:
            raise _too_deep()
        return super().add_indent(column)

    def compose_node(self, parent, index):
        self._left -= 1
        if self._left < 0:
            raise _too_many()
        return super().compose_node(parent, index)

    def get_single_data(self):
        node = self.get_single_node()
        if node is None:
            return None
        _count(node, {}, 0)
        return self.construct_document(node)


def _count(node, sizes: Dict[int, int], depth: int) -> int:
    """How many values `node` becomes when each alias is replaced by what it names.

    `sizes` has those of the nodes that were counted; 0 marks one that is being counted.
    """
    if id(node) in sizes:
        if not sizes[id(node)]:
            raise ValueError("an alias within what it names")
        return sizes[id(node)]
    if depth > _MAX_DEPTH:  # of blocks in flows in blocks
        raise _too_deep()
    sizes[id(node)] = 0
    size = 1
    for child in _children(node):
        size += _count(child, sizes, depth + 1)
        if size > _MAX_VALUES:
            raise _too_many()
    sizes[id(node)] = size
    return size


def _too_many() -> ValueError:
    return ValueError(f"it stands for more than {_MAX_VALUES} values")


def _too_deep() -> ValueError:
    return ValueError(f"it is nested more than {_MAX_DEPTH} deep")


def _children(node) -> List[yaml.Node]:
    if isinstance(node, yaml.MappingNode):
        keys = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
        merges = [key.value for key, _ in node.value if key.tag == _MERGE]
        _refuse_repeated(key for key in keys if key not in merges)
        return [child for pair in node.value for child in pair]
    if isinstance(node, yaml.SequenceNode):
        return node.value
    if node.tag != _TEXT and len(node.value) > _MAX_DIGITS:
        raise ValueError(f"a number of {len(node.value)} digits")
    return []


def _refuse_repeated(keys) -> None:
    seen = set()
    for key in keys:
        if key in seen:
            raise ValueError(f"the key {quoted(key)} stands there twice")
        seen.add(key)


def _yaml(text: str) -> Any:
    return yaml.load(text, _Loader)  # noqa: S506 (a SafeLoader)


def _json(text: str) -> Any:
    raw = json.loads(text, object_pairs_hook=_object)
    left = [(raw, 0)]
    while left:
        value, depth = left.pop()
        if depth > _MAX_DEPTH:
            raise _too_deep()
        items = value.values() if isinstance(value, dict) else value
        if isinstance(value, (dict, list)):
            left += [(item, depth + 1) for item in items]
    return raw


def _object(pairs: List[Tuple[str, Any]]) -> Dict[str, Any]:
    _refuse_repeated(key for key, _ in pairs)
    return dict(pairs)


def _reason(error: Exception) -> str:
    """What `error` says, in one line and not too long."""
    if isinstance(error, RecursionError):
        return "it is nested too deep"
    if isinstance(error, (KeyError, IndexError, AttributeError, TypeError)):
        return "a value is not what its tag says"
    mark = getattr(error, "problem_mark", None)  # of yaml's own, which quote the text around it
    text = str(error) if mark is None else str(error.problem or error.context)
    if "integer string conversion" in text:
        return "a number of more digits than can be read"
    text = " ".join(text.split()).encode("utf-8", "backslashreplace").decode()
    text = text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."
    return text if mark is None else f"{text}, line {mark.line + 1}, column {mark.column + 1}"
