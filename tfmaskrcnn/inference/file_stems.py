"""Names of the files that are written for each image, no two alike."""

from typing import Set

from tfmaskrcnn.results.result_formats import FORMATS

# Bytes of a name in UTF-8: file systems take 255, and a file that is being written has an ending, a
# number and another ending behind it.
_LONGEST = 200
# What files of a prediction end with: a folder of such a name might stand in the way of one.
_WRITTEN = (
    *(".png", ".tif", ".tiff", ".json", ".jsonl", ".csv", ".xml", ".txt", ".yaml"),
    *(".geojson", ".zip", ".roi", ".lock"),
)


class FileStems:
    """Gives each image a name of its own, whatever other images are called."""

    def __init__(self):
        self._taken: Set[str] = set()

    def of(self, stem: str) -> str:
        """`stem`, or with a number where that is taken; "/" between folders.

        A first folder that has a format's name gets a line behind it: the files of that format lie
        in such a folder. So does a folder that is called like a file. Names that are too long for
        files with endings are cut.
        """
        *folders, name = stem.split("/")
        if folders and folders[0].lower() in FORMATS:
            folders[0] += "_"
        folders = [_cut(f"{f}_" if f.lower().endswith(_WRITTEN) else f) for f in folders]
        stem = "/".join([*folders, _cut(name)])
        name, number = stem, 2
        while name.lower() in self._taken:  # some file systems do not tell A.png from a.png
            name, number = f"{stem}_{number}", number + 1
        self._taken.add(name.lower())
        return name


def _cut(name: str) -> str:
    """As much of a name as files may be called by; half a character is left out."""
    content = name.encode("utf-8", "replace")
    return name if len(content) <= _LONGEST else content[:_LONGEST].decode("utf-8", "ignore")
