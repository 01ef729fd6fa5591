"""What the headers of image files say, without their pixels: sizes, and how viewers turn them."""

import contextlib
import io
from typing import Callable, Iterator, List, NamedTuple, Optional, Sequence, Tuple

from PIL import Image

from tfmaskrcnn.data.coco.image_files import PILLOW_FORMATS, ImageBytes, check_size
from tfmaskrcnn.data.coco.orientation import orientation_of, seen_size, stored_size
from tfmaskrcnn.data.coco.records import Record
from tfmaskrcnn.support.files import open_regular


class Header(NamedTuple):
    """Of an image file."""

    size: Tuple[int, int]  # (height, width) of the stored pixels
    orientation: int  # EXIF's, 1 to 8


def turned_images(sample: Sequence[Record], exif: str, each: Callable = map) -> List[str]:
    """A line on images that EXIF turns, if there are any.

    Args:
        sample: records of images.
        exif: `input.exif`.
        each: `map`, or one that uses threads.

    Raises:
        Fault: a file is of another size than its record says.
    """
    headers = each(lambda record: _checked(record, exif), sample)
    count = sum(header is not None and header.orientation != 1 for header in headers)
    if not count:
        return []
    found = f"{count:,} of {len(sample):,} images looked at are turned by EXIF for viewers"
    if exif == "apply":
        return [
            f"{found}, and for training; annotations of the stored pixels want input.exif=ignore."
        ]
    return [
        f"{found}, but not for training: annotations drawn in such a viewer want --set "
        "input.exif=apply."
    ]


def _checked(record: Record, exif: str) -> Optional[Header]:
    """The header of a record's file; None if it cannot be read so, which reading it will tell."""
    expected = record.height, record.width
    with _opened(record) as image:
        if image is None:
            return None
        # A PNG is decoded to see whether there is EXIF behind its pixels.
        quick = image.format != "PNG" or "exif" in image.info
        header = Header(stored_size(image), orientation_of(image) if quick else 1)
        if not quick and header.size != expected:
            header = header._replace(orientation=orientation_of(image))
    turns = header.orientation if exif == "apply" else 1
    name = record.path.name if isinstance(record.path, ImageBytes) else record.path
    check_size(name, seen_size(header.size, turns), expected, header.orientation, exif)
    return header


@contextlib.contextmanager
def _opened(record: Record) -> Iterator[Optional[Image.Image]]:
    path = record.path
    with contextlib.ExitStack() as stack:
        try:
            inside = isinstance(path, ImageBytes)
            file = io.BytesIO(path.content) if inside else stack.enter_context(open_regular(path))
            image = stack.enter_context(Image.open(file, formats=PILLOW_FORMATS))
        except Exception:  # damaged files make Pillow raise nearly anything
            image = None
        yield image
