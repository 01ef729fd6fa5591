"""Models as single files: archives of wrong members, damaged, packed twice or of the future."""

import io
import shutil
import zipfile

from helpers.mutations.damage import damaged
from helpers.mutations.targets.runs import Folders

_ODD_NAMES = ("../config.json", "/etc/passwd", "config.json/", "\ud7ff", "weights", "x" * 300)


class Files(Folders):
    """What `mr.save` writes, as whatever takes a run takes it."""

    def prepare(self):
        import tfmaskrcnn as mr

        super().prepare()
        mr.save(mr.load(str(self.base / "run")), str(self.base / "good.tfmaskrcnn"))
        with zipfile.ZipFile(self.base / "good.tfmaskrcnn") as archive:
            archive.extractall(self.base / "run")

    def run(self, rng, folder):
        path, how = folder / "x.tfmaskrcnn", rng.randrange(10)
        if how < 3:
            content, notes = damaged((self.base / "good.tfmaskrcnn").read_bytes(), rng)
            path.write_bytes(content)
            self.note(notes)
            self._open(path, True)
            return
        run = folder / "run"
        shutil.copytree(self.base / "run", run)
        name = rng.choice(sorted(file.name for file in run.iterdir()))
        if how < 8:
            self._mutate(run / name, rng)
        parts = {file.name: file.read_bytes() for file in sorted(run.iterdir())}
        path.write_bytes(self._packed(parts, name, rng) if how >= 7 else _archive(parts.items()))
        self._open(path, name == "weights.npz" or how >= 7)

    def _packed(self, parts, name, rng) -> bytes:
        """An archive that is odd as such."""
        entries, how = list(parts.items()), rng.randrange(5)
        if how == 0:
            entries = [entry for entry in entries if entry[0] != name]
        elif how == 1:
            entries.append((name, parts[rng.choice(sorted(parts))]))
        elif how == 2:
            entries.append((rng.choice(_ODD_NAMES), parts[name]))
        elif how == 3:
            other = rng.choice((_archive(entries), b"", bytes(10_000_000)))
            entries = [(n, other if n == name else content) for n, content in entries]
        self.note([f"archive, way {how} ({name})"])
        packed = zipfile.ZIP_DEFLATED if how == 4 else zipfile.ZIP_STORED
        return _archive(entries, packed)


def _archive(entries, compression: int = zipfile.ZIP_STORED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        for name, content in entries:
            archive.writestr(name, content)
    return buffer.getvalue()
