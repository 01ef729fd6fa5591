"""The samples of `shared/cases`, each through every command that could be given it."""

import json
import shutil
from pathlib import Path

from helpers.cases import CASES
from helpers.mutations.outcomes import Broken, expect, fault_of_sentence
from helpers.mutations.targets.coco import check_count, logged, stand_in
from helpers.mutations.targets.target import Target
from helpers.tiny import tiny_config
from tfmaskrcnn.errors import InputError


def names() -> list:
    """Folders of data and hostile files, in the order in which they are numbered."""
    folders = sorted(f"data/{path.name}" for path in (CASES / "data").glob("*"))
    files = sorted(p.relative_to(CASES) for p in (CASES / "hostile").rglob("*") if p.is_file())
    return [*folders, *map(str, files)]


class Samples(Target):
    """Case n is sample n: read as COCO for training, evaluation and checking; imported; opened."""

    def numbered(self, kind, seed, number, folder):
        """The sample, through all that may be tried with it."""
        name = names()[number]
        self.note([name])
        sample = CASES / name
        files = [sample] if sample.is_file() else sorted(sample.rglob("*"))
        for path in files:
            if path.suffix in (".json", ".geojson"):
                self._as_coco(path, folder)
            if path.suffix in (".png", ".jpg", ".gif"):
                self._as_image(path)
        self._imported(sample, folder)

    def _as_coco(self, path: Path, folder: Path):
        images = path.parent / "images"
        images = str(images if images.is_dir() else path.parent)
        for skip in (True, False):
            self._sentence(lambda skip=skip: self._train(str(path), images, skip))
        self._sentence(lambda: self._evaluate(str(path), images))
        self._sentence(lambda: self._check(str(path), images, folder))

    @staticmethod
    def _train(path, images, skip):
        from tfmaskrcnn.data import from_coco, load_coco

        data = load_coco(path, images, skip)
        small = ("input.min_side=48", "input.max_side=64", f"data.skip_invalid={skip}".lower())
        config = tiny_config(*small, f"model.num_classes={len(data.class_names)}")
        for batch in from_coco(path, images, config, training=False):
            boxes = batch["gt_boxes"].numpy()[batch["gt_valid"].numpy()]
            expect((boxes[:, 2:] > boxes[:, :2]).all(), "a trained box has no area")

    @staticmethod
    def _evaluate(path, images):
        from tfmaskrcnn.evaluation import evaluate

        with logged() as lines:
            result = evaluate(stand_in, path, images)
        check_count(result, path, lines)

    @staticmethod
    def _check(path, images, folder):
        from tfmaskrcnn.data import check, load_coco, write_repaired

        result = check(path, images)
        result.table()
        mended = folder / "mended.json"
        write_repaired(result, str(mended))
        after = check(str(mended), images)
        expect(after.num_errors <= result.num_errors, "mending made it worse")
        expect(after.num_objects >= result.num_objects, "mending lost objects")
        if after.num_errors == 0:
            load_coco(str(mended), images)

    @staticmethod
    def _as_image(path):
        from tfmaskrcnn.data.coco.image_files import image_facts, read_image

        for read in (read_image, image_facts):
            Samples._sentence(lambda read=read: read(str(path)))

    def _imported(self, sample, folder):
        from tfmaskrcnn.data import load_coco
        from tfmaskrcnn.data.importers import SOURCES

        inputs = [sample] if sample.is_file() else [sample, *sorted(sample.rglob("*.json"))]
        for source, read in SOURCES.items():
            for path in inputs:
                shutil.rmtree(folder, ignore_errors=True)
                folder.mkdir()

                def imported(path=path, read=read):
                    found = read(str(path))
                    found.write(str(folder / "imported.json"))
                    raw = json.loads((folder / "imported.json").read_text())
                    if raw["annotations"]:
                        load_coco(str(folder / "imported.json"), found.image_dir, masks=False)

                self.note([source])
                self._sentence(imported)

    @staticmethod
    def _sentence(function):
        """Call; a refusal has to be a good sentence, and other ways to read go on."""
        try:
            function()
        except InputError as error:
            fault = fault_of_sentence(str(error))
            if fault:
                raise Broken(f"a bad sentence ({fault}): {str(error)!r:.300}") from None
