"""Which categories of a file are which class: all of them, some, or several as one.

What is left out is background, as in COCO's own evaluation of some of the categories: a detection
on it is wrong. So is a crowd region of such a category, which excuses detections of its own
category alone.
"""

from typing import Any, Dict, Iterable, List, Mapping, NamedTuple, Optional, Sequence, Union

import numpy as np

from tfmaskrcnn.config.class_sources import ClassSources, class_sources
from tfmaskrcnn.errors import InputError, listed, quoted
from tfmaskrcnn.support.suggestions import did_you_mean


class DataClasses(NamedTuple):
    """What is wanted, before a file is known: `data.classes`."""

    sources: ClassSources  # name -> the categories that the class is made of
    # Whether the file must have all of these categories, as that of training must. Else those that
    # it has are taken, and categories that have a class's own name already.
    complete: bool = True

    @classmethod
    def of(cls, value: Any, complete: bool = True) -> Optional["DataClasses"]:
        """Of a list of names or a mapping, see `class_sources`; of None, None.

        Raises:
            InputError: it is neither of the two.
        """
        if value is None or isinstance(value, cls):
            return value
        try:
            return cls(class_sources(value), complete)
        except ValueError as error:
            raise InputError(f"data.classes: {error}.") from None

    def class_of(self, category: str) -> Optional[str]:
        """The name of the class that a category becomes; None leaves it out."""
        for name, sources in self.sources.items():
            if category in sources:
                return name
        return category if category in self.sources and not self.complete else None


# What may be given for it in Python.
ClassesLike = Union[None, DataClasses, Sequence[str], Mapping[str, Sequence[str]]]


class Numbering(NamedTuple):
    """The classes of a file."""

    names: Dict[int, str]  # category id -> name of classes 1..K, in their order
    class_of: Dict[int, int]  # the file's category id -> class, 0 of one that is left out
    merged: Dict[int, int]  # the file's category id -> that of its class, where it is another

    def leaves_out(self, category_id: Any) -> bool:
        """Whether objects of this category are not to be read."""
        return type(category_id) is int and self.class_of.get(category_id) == 0

    def entry(self, annotation: Dict[str, Any]) -> Dict[str, Any]:
        """An annotation with the category id of its class, where several are one."""
        own = self.merged.get(annotation["category_id"]) if self.merged else None
        return annotation if own is None else {**annotation, "category_id": own}

    def renumbering(self, category_ids: Iterable[int]) -> np.ndarray:
        """[n + 1] int32: the class of each of n former ones, which had these ids; 0 of none."""
        return np.array([0, *(self.class_of[i] for i in category_ids)], np.int32)


def numbering(categories: Mapping[int, str], wanted: Optional[DataClasses], path: str) -> Numbering:
    """The classes of a file.

    Args:
        categories: id -> name of all of the file, ascending.
        wanted: None for all of them, in that order.
        path: names the file.

    Raises:
        InputError: the file has none of the categories that are wanted, or lacks one that it must
            have.
    """
    if wanted is None:
        numbers = {category_id: k for k, category_id in enumerate(categories, start=1)}
        return Numbering(dict(categories), numbers, {})
    if wanted.complete:
        _check(wanted, list(categories.values()), path)
    members: Dict[str, List[int]] = {name: [] for name in wanted.sources}
    for category_id, category in categories.items():
        name = wanted.class_of(category)
        if name is not None:
            members[name].append(category_id)
    found = {name: ids for name, ids in members.items() if ids}
    if not found:
        raise InputError(
            f"{path} has none of the categories of data.classes ({listed(wanted.sources)}); it has "
            f"{listed(categories.values())}."
        )
    numbers = dict.fromkeys(categories, 0)
    for k, ids in enumerate(found.values(), start=1):
        numbers.update(dict.fromkeys(ids, k))
    # A class of several has the id of the first, which is nobody else's.
    merged = {other: ids[0] for ids in found.values() for other in ids[1:]}
    return Numbering({ids[0]: name for name, ids in found.items()}, numbers, merged)


def _check(wanted: DataClasses, known: List[str], path: str) -> None:
    for sources in wanted.sources.values():
        for name in sources:
            if name not in known:
                hint = did_you_mean(name, known) or f"it has {listed(known)}."
                raise InputError(f"data.classes: {path} has no category {quoted(name)}; {hint}")
