"""Rows of `objects.csv`: what each object found is called, where it is and how large."""

from typing import Any, Dict, List, Union

from tfmaskrcnn.ops.region_measures import installed_regionprops
from tfmaskrcnn.results.image_result import ImageResult
from tfmaskrcnn.support.pixel_size import PixelSize


def check_installed() -> None:
    """Raise `InputError` if scikit-image, which measures masks, is not installed."""
    installed_regionprops()


def measured(
    result: ImageResult, pixel_size: Union[PixelSize, str, None] = None
) -> List[Dict[str, Any]]:
    """A row for each object of one image: the image, then the columns of `Instances.rows`.

    Args:
        result: with the image's pixels, which brightness is measured in; without them there are
            no columns of it.
        pixel_size: the side of a pixel, such as "0.32um"; None adds no columns in units.

    Raises:
        InputError: scikit-image, which measures masks, is not installed.
    """
    of_image = {"picture": result.file_name, "image_id": result.image_id}
    return [{**of_image, **row} for row in result.found.rows(result.image, pixel_size)]
