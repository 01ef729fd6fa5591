"""`data.classes` as a person writes it: some names, or new names with the old ones of each."""

from typing import Any, Dict, List, Mapping, Tuple

from tfmaskrcnn.errors import quoted

# New name -> the data set's categories that become this class, in the order of classes 1..K.
ClassSources = Dict[str, Tuple[str, ...]]


def class_sources(value: Any) -> ClassSources:
    """New name -> old names, of a list of names or of a mapping.

    Args:
        value: `["car", "person"]` takes these two as they are, `{"vehicle": ["car", "truck"],
            "person": "person"}` makes one class of two. A name alone is a list of it.

    Raises:
        ValueError: no name at all, something that is no text, or a name twice.
    """
    if isinstance(value, str):
        value = [value]
    if isinstance(value, Mapping):
        pairs = [(_text(new), _texts(old, new)) for new, old in value.items()]
    elif isinstance(value, (list, tuple)):
        pairs = [(_text(name), [_text(name)]) for name in value]
    else:
        raise ValueError("wanted a list of names, or new names with a list of old ones each")
    if not pairs:
        raise ValueError("names no class; leave data.classes out to take all")
    news = [new for new, _ in pairs]
    olds = [old for _, sources in pairs for old in sources]
    for names, what in ((news, "is a class twice"), (olds, "would be in two classes")):
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            raise ValueError(f"{quoted(twice)} {what}")
    return {new: tuple(sources) for new, sources in pairs}


def _texts(old: Any, new: Any) -> List[str]:
    names = [old] if isinstance(old, str) else old
    if not isinstance(names, (list, tuple)) or not names:
        raise ValueError(f"{quoted(new)} wants a list of the categories that it is made of")
    return [_text(name) for name in names]


def _text(name: Any) -> str:
    if not isinstance(name, str) or not name:
        hint = "" if name == "" else "; put names that YAML takes for something else in quotes"
        raise ValueError(f"{quoted(name)} is no name{hint}")
    return name
