"""Which view of its files a set was drawn on: as EXIF turns them, or the stored pixels."""

import logging
from typing import List, Optional, Tuple

from tfmaskrcnn.data.importers.fields import shown
from tfmaskrcnn.data.importers.source_files import image_size
from tfmaskrcnn.errors import InputError

_LOG = logging.getLogger(__name__)
_Size = Tuple[int, int]  # height, width


class Views:
    """Looks at one image after the other; `report` says what all of them have in common.

    Annotation tools show images as their EXIF orientation asks, and training reads them so. Sizes
    tell where a set was drawn on the stored pixels; orientations that keep the sides cannot tell.
    """

    def __init__(self):
        self._seen: List[str] = []  # files whose sides the orientation exchanges
        self._stored: List[str] = []  # those of them that were drawn on the stored pixels
        self._alike: List[str] = []  # files of other orientations

    def size(
        self, path: str, name: str, where: str, size: Optional[_Size], drawn: Optional[_Size]
    ) -> _Size:
        """(height, width) of the view that the annotations of the image `path` are of.

        Args:
            path: of the file.
            name: names it in `report`.
            where: names the entry in an error.
            size: that the source says, if it does; it must be that of a view.
            drawn: of a mask, which may be of neither view.
        """
        facts = image_size(path)
        seen, stored = tuple(facts[:2]), tuple(facts.other_view)
        stated = tuple(size or drawn or seen)
        if seen == stored:
            self._alike += [name] if facts.orientation != 1 else []
        elif stated == stored:
            self._stored.append(name)
            return stored
        else:
            self._seen.append(name)
        if size is not None and stated != seen:
            raise InputError(
                f"{where}: the file {shown(path, 200)} is {seen[0]} x {seen[1]} pixels (height x "
                f"width), but was annotated at {stated[0]} x {stated[1]}."
            )
        return seen

    def report(self, source: str) -> None:
        """Log what views `source` is of.

        Raises:
            InputError: of both, so that no reading of the files would fit all.
        """
        if self._seen and self._stored:
            raise InputError(
                f"{source}: {shown(self._stored[0])} was annotated on its stored pixels, "
                f"{shown(self._seen[0])} on the view that its EXIF orientation gives; no single "
                "input.exif fits. Remove the orientation from the former's file and import again."
            )
        if self._stored:
            _LOG.warning(
                "%d images were annotated on their stored pixels, without the EXIF orientation: "
                "train with input.exif=ignore, or remove the orientation from the files: %s",
                *(len(self._stored), shown(self._stored[0])),
            )
        elif self._seen or self._alike:
            turned = self._seen + self._alike
            _LOG.warning(
                "%d images have an EXIF orientation; their annotations are taken to be of the view "
                "that it gives, which is what training reads (input.exif=apply): %s",
                *(len(turned), shown(turned[0])),
            )
