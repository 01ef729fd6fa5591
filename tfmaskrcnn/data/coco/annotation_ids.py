"""Ids of a COCO file, and new ones for annotations that have none of their own."""

from typing import Any, Dict, Optional, Sequence, Set, Tuple

from tfmaskrcnn.data.coco.annotations import Fault
from tfmaskrcnn.data.coco.file import INT64_MAX, field
from tfmaskrcnn.errors import quoted


def checked_id(entry: Any, key: str, where: str) -> int:
    """The id `key` of an entry.

    Raises:
        Fault: it is no integer of 64 bits.
    """
    value = field(entry, key, int, where)
    if abs(value) > INT64_MAX:
        raise Fault("entry", f"{where}: '{key}' is {quoted(value)}, which does not fit 64 bits.")
    return value


class AnnotationIds:
    """Gives each annotation an id of its own."""

    def __init__(self, annotations: Sequence[Any]):
        """`annotations` are all of the file; they are looked at if one needs a new id."""
        self._annotations = annotations
        self._seen: Set[int] = set()
        self._next: Optional[int] = None

    def takes(self, own: int) -> bool:
        """Whether nobody had the id before; now somebody has."""
        if own in self._seen:
            return False
        self._seen.add(own)
        return True

    def of(self, entry: Dict[str, Any], where: str, named: str) -> Tuple[int, Optional[Fault]]:
        """The id, and what is wrong with that of the entry if it is a new one."""
        try:
            own = checked_id(entry, "id", where)
            if self.takes(own):
                return own, None
            image = entry["image_id"]
            text = f"{named} {own} of image {image} repeats the annotation id {own}."
            fault = Fault("annotation-id", text)
        except Fault as missing:
            fault = Fault("annotation-id", str(missing))
        return self._new(), fault

    def _new(self) -> int:
        """An id above all others of the file."""
        if self._next is None:
            known = (a.get("id") for a in self._annotations if isinstance(a, dict))
            largest = max((i for i in known if type(i) is int and i < INT64_MAX // 2), default=0)
            self._next = max(largest, 0) + 1
        new, self._next = self._next, self._next + 1
        self._seen.add(new)
        return new
