"""`check-data`: its result, its tables, and the mended JSON."""

import json

from helpers.mutations.outcomes import expect
from helpers.mutations.targets.coco import CocoTarget, check_files, check_records
from tfmaskrcnn.errors import InputError


class Checking(CocoTarget):
    """`check`, `write_repaired`, and `check` of what came of it."""

    def run(self, rng, folder):
        from tfmaskrcnn.data import check, load_coco, write_repaired

        path = self.mutated_set(rng, folder)
        result = check(path, self.images)
        self._tables(result)
        readable = self._reads(load_coco, path)
        if result.num_errors == 0:
            expect(not readable, f"nothing is wrong, but training says: {readable}")
            check_files(load_coco(path, self.images))
        else:
            named = any(f.message.strip() for f in result.findings)
            expect(named, "something is wrong, but nothing is said")
        out = str(folder / "mended.json")
        changes = write_repaired(result, out)
        for change in changes:
            change.message.encode("utf-8", "backslashreplace")
        json.loads((folder / "mended.json").read_text())
        self._mended(check, load_coco, result, changes, out)

    def _mended(self, check, load_coco, result, changes, out):
        """What must hold of the mended set: it is as good as it is said to be, and whole."""
        try:
            after = check(out, self.images)
        except InputError as error:
            raise AssertionError(f"the mended set cannot be checked: {error}") from None
        self._tables(after)
        twice = sum(change.kind == "objects annotated twice" for change in changes)
        lost = result.num_objects - twice - after.num_objects
        expect(lost <= 0, f"{lost} objects that could be trained on are lost")
        expect(
            after.num_errors <= result.num_errors,
            f"{result.num_errors} things were wrong, {after.num_errors} are after mending",
        )
        if after.num_errors == 0:
            data = load_coco(out, self.images)
            check_records(data, whole=True)
            check_files(data)

    @staticmethod
    def _tables(result) -> None:
        text = result.table() + result.verdict() + result.settings() + result.yaml()
        text.encode("utf-8", "backslashreplace")

    def _reads(self, load_coco, path) -> str:
        """What training says of the file; empty if it takes it."""
        try:
            load_coco(path, self.images)
        except InputError as error:
            return str(error)
        return ""
