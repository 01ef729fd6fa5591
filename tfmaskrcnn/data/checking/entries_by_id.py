"""The entries of a JSON by the ids of the annotations that are read of them."""

from collections.abc import Mapping
from typing import Any, Dict, Iterator, Sequence

from tfmaskrcnn.data.coco.object_table import ObjectTable


class EntriesById(Mapping):
    """Annotation id -> the entry of an annotation that training takes."""

    def __init__(self, table: ObjectTable, annotations: Sequence[Any]):
        """`annotations` is the list that the objects of `table` are read from."""
        ids, positions = table.annotation_ids.tolist(), table.positions.tolist()
        self._positions, self._annotations = dict(zip(ids, positions)), annotations

    def __getitem__(self, annotation_id: int) -> Dict[str, Any]:
        return self._annotations[self._positions[annotation_id]]

    def __len__(self) -> int:
        return len(self._positions)

    def __iter__(self) -> Iterator[int]:
        return iter(self._positions)
