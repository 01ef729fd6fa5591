"""What pydantic finds wrong with a configuration, as sentences."""

from typing import Any, Dict, List

import pydantic

from tfmaskrcnn.errors import InputError, quoted
from tfmaskrcnn.support.suggestions import did_you_mean

_TOLD = 4  # of the values that are wrong
_SHOWN = 200  # characters of a value or a message
_LONGEST_KEY = 100
# What pydantic adds to a key, to say which way of reading its value has failed.
_OF_PYDANTIC = ("literal[", "function-")


def refusal(error: pydantic.ValidationError, section: type, source: str) -> InputError:
    """The exception for `error`, which was found in `source` when a `section` was wanted."""
    errors = error.errors(include_url=False)
    told = [_explained(each, section) for each in errors[:_TOLD]]
    more = f"; and {len(errors) - _TOLD} more" if len(errors) > _TOLD else ""
    return InputError(f"{source}: " + "; ".join(told) + more)


def _explained(error: Dict[str, Any], section: type) -> str:
    parts = [part for part in map(_part, error["loc"]) if not part.startswith(_OF_PYDANTIC)]
    where = cut(".".join(parts), _LONGEST_KEY)
    if error["type"] != "extra_forbidden":
        message, found = error["msg"].replace("Value error, ", "", 1), error["input"]
        # Of settings that contradict each other the message says all; their section is long.
        contradiction = error["type"] == "value_error" and isinstance(found, dict)
        shown = "" if contradiction else f", found {quoted(found, _SHOWN)}"
        return f"{where}: {cut(message)}{shown}" if error["loc"] else cut(message)
    hint = did_you_mean(where, _all_keys(section))
    return f"unknown key {where!r}" + (f"; {hint}" if hint else "")


def cut(text: str, most: int = _SHOWN) -> str:
    """`text` as a message may show it: printable, and of at most so many characters."""
    text = text.encode("utf-8", "backslashreplace").decode()
    return text if len(text) <= most else f"{text[: most - 3]}..."


def _part(part: Any) -> str:
    return part if isinstance(part, str) else quoted(part)


def _all_keys(section: type, prefix: str = "") -> List[str]:
    keys = []
    for name, field in section.model_fields.items():
        keys.append(prefix + name)
        if isinstance(field.annotation, type) and issubclass(field.annotation, pydantic.BaseModel):
            keys += _all_keys(field.annotation, f"{prefix}{name}.")
    return keys
