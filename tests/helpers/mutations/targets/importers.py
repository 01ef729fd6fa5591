"""What annotation tools write, through each importer of the package's list."""

import functools
import json

from helpers.mutations.outcomes import expect
from helpers.mutations.targets import tool_files
from helpers.mutations.targets.coco import check_records
from helpers.mutations.targets.target import Target


class Importing(Target):
    """An importer, the JSON that it writes, and `load_coco` of that.

    Args:
        source: one of `importers.SOURCES`.
    """

    def __init__(self, base, source: str):
        super().__init__(base)
        self._source = source
        self._files = tool_files.FILES[source]

    def open(self):
        from tfmaskrcnn.data.importers import SOURCES

        self._read = SOURCES[self._source]

    def run(self, rng, folder):
        from tfmaskrcnn.data import load_coco

        path, notes = self._files(folder, rng)
        self.note(notes)
        read = functools.partial(self._read, skip_invalid=rng.random() < 0.4)
        if rng.random() < 0.1:
            read = functools.partial(read, classes=[rng.choice(("leaf", "cow", ""))])
        found = read(str(path))
        found.summary().encode("utf-8", "backslashreplace")
        out = folder / "imported.json"
        found.write(str(out))
        raw = json.loads(out.read_text())
        images = {image["id"] for image in raw["images"]}
        expect(len(images) == len(raw["images"]), "image ids repeat")
        objects = len(raw["annotations"])
        if not objects:
            return
        masks = all(a.get("segmentation") for a in raw["annotations"])
        data = load_coco(str(out), found.image_dir, masks=masks)
        check_records(data, whole=masks)
        read_objects = sum(len(r.classes) for r in data.records)
        expect(read_objects == objects, f"{objects} objects are written, {read_objects} read")
