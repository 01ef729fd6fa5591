"""The parts of a set, how they are shown, and the files that they become."""

import dataclasses
import json
import os
from typing import Any, Dict, List, Optional, Sequence, Tuple

import numpy as np

from tfmaskrcnn.data.splitting.contents import Contents
from tfmaskrcnn.data.splitting.split_table import part_table, wide_text
from tfmaskrcnn.errors import InputError
from tfmaskrcnn.support.files import replaced, writable_file
from tfmaskrcnn.support.storage import same_place


@dataclasses.dataclass(frozen=True)
class Split:
    """A set in parts; n images."""

    json_path: str
    image_dir: str  # the folder that all file names start from, also those of the new files
    raw: Dict[str, Any]  # the JSON, without annotations that were left out
    part_names: Tuple[str, ...]  # "train", "val", "test"; or "fold 1", ...
    part_of: Dict[int, int]  # image id -> place in `part_names`
    contents: Contents  # of the images, in the order of `part_of`
    notes: Tuple[str, ...] = ()  # sentences: what was kept together, what parts lack

    def images(self, part: str) -> List[int]:
        """The ids of the images of a part."""
        number = self.part_names.index(part)
        return [image_id for image_id, own in self.part_of.items() if own == number]

    def table(self, width: Optional[int] = None) -> str:
        """What each part holds, by class and size, as text; `width` None for as wide as it is."""
        own = np.array(list(self.part_of.values()))
        places = [np.flatnonzero(own == number) for number in range(len(self.part_names))]
        return wide_text(part_table(self.part_names, self.contents, places), width)

    def write(self, folder: Optional[str] = None, overwrite: bool = False) -> List[str]:
        """Write a COCO JSON for each part, with all that the set's JSON says of its images.

        "NAME.json" becomes "NAME_train.json" and "NAME_val.json", of folds "NAME_fold1_train.json"
        and so on: each fold is val once, and the others are train.

        Args:
            folder: None for that of the set's JSON.
            overwrite: replace files that are there.

        Returns:
            Their paths.

        Raises:
            InputError: a file is there already, or cannot be written.
        """
        paths = part_files(self.json_path, self.part_names, folder, overwrite)
        for path, parts in paths.items():
            text = self._text(parts)
            with replaced(writable_file(path), "w") as file:
                file.write(text)
        return list(paths)

    def _text(self, parts: Tuple[str, ...]) -> str:
        """The JSON of some parts: the set's, without the other images and their annotations."""
        numbers = [self.part_names.index(part) for part in parts]
        images = [i for i in self.raw["images"] if self.part_of[i["id"]] in numbers]
        annotations = self.raw["annotations"]
        annotations = [a for a in annotations if self.part_of[a["image_id"]] in numbers]
        try:
            return json.dumps({**self.raw, "images": images, "annotations": annotations})
        except RecursionError:
            text = f"{self.json_path} is nested too deep to be written again."
            raise InputError(text) from None


def part_files(
    json_path: str,
    part_names: Sequence[str],
    folder: Optional[str] = None,
    overwrite: bool = False,
) -> Dict[str, Tuple[str, ...]]:
    """The path of each file that `Split.write` will write -> the parts in it.

    Raises:
        InputError: one is there already, or is the set's own JSON.
    """
    json_path = os.fspath(json_path)
    stem = os.path.splitext(os.path.basename(json_path))[0]
    folder = os.path.dirname(json_path) if folder is None else os.fspath(folder)
    folds = [name for name in part_names if name.startswith("fold")]
    labels = {name: (name,) for name in part_names if name not in folds}
    for fold in folds:
        label = fold.replace(" ", "")
        labels[f"{label}_train"] = tuple(name for name in folds if name != fold)
        labels[f"{label}_val"] = (fold,)
    paths = {os.path.join(folder, f"{stem}_{label}.json"): p for label, p in labels.items()}
    there = [path for path in paths if os.path.lexists(path)]
    if any(same_place(path, json_path) for path in paths):
        raise InputError(f"{json_path} is the set itself; choose another folder (--out).")
    if there and not overwrite:
        more = f" (and {len(there) - 1} more)" if len(there) > 1 else ""
        raise InputError(
            f"{there[0]}{more} exists already; --overwrite replaces it, --out FOLDER writes "
            "elsewhere."
        )
    return paths
