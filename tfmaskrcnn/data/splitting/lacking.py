"""What parts of a divided set lack, in sentences."""

from typing import List

import numpy as np

from tfmaskrcnn.data.splitting.split_result import Split
from tfmaskrcnn.errors import quoted

_SHOWN = 6  # classes that a sentence names


def lacking(split: Split) -> List[str]:
    """A sentence for each part that has no object of some classes, and for classes without any."""
    names, own = split.contents.class_names, np.array(list(split.part_of.values()))
    whole = split.contents.of_classes(range(len(own)))  # [K, 2 + sizes]
    found = []
    for number, part in enumerate(split.part_names):
        there = split.contents.of_classes(np.flatnonzero(own == number))
        missing = np.flatnonzero((there[:, 1] == 0) & (whole[:, 1] > 0))
        if len(missing):
            few = [f"{quoted(names[k], 40)} ({whole[k, 0]})" for k in missing[:_SHOWN]]
            more = f" and {len(missing) - _SHOWN} more" if len(missing) > _SHOWN else ""
            found.append(
                f"{part} has no object of {', '.join(few)}{more}: too few pictures show it (in "
                "brackets, how many in all)."
            )
    never = [quoted(names[k], 40) for k in np.flatnonzero(whole[:, 1] == 0)]
    if never:
        more = ", ..." if len(never) > _SHOWN else ""
        found.append(f"No picture shows {', '.join(never[:_SHOWN])}{more}.")
    return found
