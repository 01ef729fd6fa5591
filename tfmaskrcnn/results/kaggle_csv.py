"""`kaggle.csv`: runs of pixels without overlaps, as in the Data Science Bowl of 2018."""

import csv
from typing import Iterable, List

import numpy as np

from tfmaskrcnn.ops.paste import Window, run_lengths, window_rle
from tfmaskrcnn.results.image_result import ImageResult, ResultOptions
from tfmaskrcnn.results.object_files import with_masks, without_overlaps
from tfmaskrcnn.results.result_formats import set_path
from tfmaskrcnn.support.files import replaced
from tfmaskrcnn.support.pages import encodable


def write(results: Iterable[ImageResult], folder: str, options: ResultOptions) -> None:
    """Write `kaggle.csv` with the columns ImageId and EncodedPixels, a row an object.

    ImageId is the name of the image without its ending. EncodedPixels are pairs "start length";
    pixels are numbered from 1 down the columns. A pixel of several objects is that of the best
    score; an object of which nothing is left has no row. An image without any has one row, empty.

    Raises:
        InputError: there are boxes alone.
    """
    with replaced(set_path("kaggle", folder), "w") as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(["ImageId", "EncodedPixels"])
        for result in results:
            masks = without_overlaps(with_masks(result, "kaggle"))
            encoded = [encoded_pixels(m, *result.found.size) for _, m in masks if m.bitmap.any()]
            rows.writerows([encodable(result.stem), text] for text in encoded or [""])


def encoded_pixels(window: Window, height: int, width: int) -> str:
    """The runs of one mask of a [height, width] image: "start length start length ..."."""
    off_and_on = run_lengths(window_rle(window, height, width)["counts"])
    starts = np.cumsum(off_and_on)[:-1:2] + 1
    runs: List[int] = np.stack([starts, off_and_on[1::2]], axis=1).reshape(-1).tolist()
    return " ".join(str(number) for number in runs)
