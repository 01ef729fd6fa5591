"""Annotations of a COCO file with something wrong in some of them."""

import random
from typing import Any, Dict, List, Sequence


def changed_entries(
    draw: random.Random, entries: List[Any], values: Dict[str, Sequence[Any]], most: int
) -> List[Any]:
    """`entries` with 1 to `most` other values (key -> some, `...` for null), and one that is none.

    What is no entry may be a copy of one of the first two.
    """
    for _ in range(draw.randint(1, most)):
        key = draw.choice(list(values))
        value = draw.choice(values[key])
        entries[draw.randrange(len(entries))][key] = None if value is ... else value
    other = draw.choice([None, 5, [], {}, entries[0], entries[1]])
    entries[draw.randrange(len(entries))] = other
    return entries
