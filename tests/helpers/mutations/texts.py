"""Values as texts: JSON and YAML, with what Python's own writers cannot write."""

import json
import re

# Stands in a value for text that is written as it is: numbers beyond float64, nesting beyond what
# Python's writers recurse into, a key that occurs twice.
_RAW = re.compile(r'"@@RAW(.*?)@@"')
_TWICE = "@@TWICE@@"
_SPELLED = {"1e400": 1e308, "-1e400": -1e308, "1e-400": 5e-324}


def raw(text: str) -> str:
    """A value that `as_json` writes as `text`; it has no quotes and no backslashes."""
    return f"@@RAW{text}@@"


def nested(depth: int, opening: str = "[") -> str:
    """A value that is so many lists (or objects) deep."""
    closing = {"[": "]", "{": "}"}[opening]
    step = opening if opening == "[" else "{@@a@@:"
    return raw(step * depth + ("0" if opening == "{" else "") + closing * depth)


def twice(key: str) -> str:
    """A key beside `key` that `as_json` writes as `key`."""
    return key + _TWICE


def as_json(value) -> str:
    """JSON of a value; NaN and infinity as JavaScript spells them."""
    text = json.dumps(value).replace(_TWICE, "")
    return _RAW.sub(r"\1", text).replace("@@a@@", '"a"')


def as_yaml(value) -> str:
    """YAML of a value: JSON is YAML, but for the spelling of what is no finite number."""
    text = as_json(value)
    return re.sub(r"(?<![\w\"])(-?)Infinity\b", r"\1.inf", re.sub(r"\bNaN\b", ".nan", text))


def plain(value):
    """The value without the marks of `raw`, for who is given Python's objects and no text."""
    if isinstance(value, dict):
        return {str(k).replace(_TWICE, "2"): plain(v) for k, v in value.items()}
    if isinstance(value, list):
        return [plain(v) for v in value]
    if isinstance(value, str) and value.startswith("@@RAW"):
        text = value[5:-2]
        if text in _SPELLED:
            return _SPELLED[text]
        depth, found = min(len(text) // 2, 500), []
        for _ in range(depth):
            found = [found]
        return found
    return value
