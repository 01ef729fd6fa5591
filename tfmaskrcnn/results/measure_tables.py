"""`objects.csv`, a row an object, and `counts.csv`, a row a picture."""

import csv
import io
import itertools
from typing import Any, Dict, Iterable, List, Optional, Sequence

import numpy as np

from tfmaskrcnn.instances import BOX_COLUMNS
from tfmaskrcnn.results.image_result import ImageResult
from tfmaskrcnn.support.files import replaced
from tfmaskrcnn.support.pages import encodable

# Of tables in which frames of videos are, behind the image's id.
FRAME_COLUMNS = ("frame", "seconds")
# What a spreadsheet takes for a formula, where a text begins so.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def write_objects(
    rows: Iterable[Dict[str, Any]], path: str, columns: Optional[Sequence[str]] = None
) -> None:
    """Write rows of `measured` as CSV, as they come.

    Args:
        rows: of one prediction, so that all have the same columns; what a row lacks is empty.
        path: of the file, which is replaced when all are written.
        columns: None takes the first row's, and without rows those that all tables have.

    Raises:
        ValueError: a row has a column more.
        InputError: the file cannot be written.
    """
    rows = iter(rows)
    first = list(itertools.islice(rows, 1))
    if columns is None:
        columns = list(first[0]) if first else ["picture", "image_id", *BOX_COLUMNS]
    with replaced(path, "w") as file:
        writer = csv.DictWriter(file, [_cell(name) for name in columns], restval="")
        writer.writeheader()
        for row in itertools.chain(first, rows):
            writer.writerow({_cell(name): _cell(value) for name, value in row.items()})


def write_counts(
    results: Iterable[ImageResult], path: str, class_names: Sequence[str], frames: bool = False
) -> None:
    """Write how many objects of each class each picture has, and how many in all, as CSV.

    Args:
        results: of all pictures, also of those without objects; taken one by one.
        path: of the file, which is replaced when all are written.
        class_names: of classes 1..K, a column each.
        frames: add columns of frames of videos and their seconds, empty for images.

    Raises:
        InputError: the file cannot be written.
    """
    with replaced(path, "w") as file:
        writer = csv.writer(file)
        writer.writerow(_cells(count_columns(class_names, frames)))
        for result in results:
            writer.writerow(_cells(count_row(result, len(class_names), frames)))


def count_columns(class_names: Sequence[str], frames: bool = False) -> List[str]:
    """Names of the columns of `counts.csv`; `frames` as in `write_counts`."""
    place = FRAME_COLUMNS if frames else ()
    return ["picture", "image_id", *place, *class_names, "all"]


def count_row(result: ImageResult, num_classes: int, frames: bool = False) -> List[Any]:
    """The row of a picture in `counts.csv`."""
    place = (result.frame, result.seconds) if frames else ()
    of_class = np.bincount(result.found.classes, minlength=num_classes + 1)[1:]
    counts = of_class[:num_classes].tolist()
    return [result.file_name, result.image_id, *place, *counts, len(result.found)]


def csv_line(values: Iterable[Any]) -> str:
    """A row as the tables have it, without the end of the line; for those who write them anew."""
    text = io.StringIO()
    csv.writer(text).writerow(_cells(values))  # which quotes its own ends of lines alone
    return text.getvalue()[: -len("\r\n")]


def _cells(values: Iterable[Any]) -> List[Any]:
    return [_cell(value) for value in values]


def _cell(value: Any) -> Any:
    """What a CSV file can hold, and a spreadsheet takes as it is meant; None is left empty."""
    if isinstance(value, str):
        return encodable(f"'{value}" if value.startswith(_FORMULA) else value)
    return f"{value:.7g}" if isinstance(value, float) else value
