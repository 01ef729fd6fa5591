"""Other frameworks' weights: PyTorch's archives and streams, pickles, Keras's HDF5."""

import pickle
import zipfile

import numpy as np

from helpers.mutations.damage import damaged
from helpers.mutations.outcomes import expect
from helpers.mutations.targets.target import Target
from helpers.torch_files import Stored, tensor, whole, write_legacy, write_zip

_SIZES = (0, -1, 1, 7, 1000, 2**20, 2**31, 2**40, 2**62, 2**64)
_MOST_BYTES = 2**27  # of what a file of kilobytes may become


def _arrays() -> dict:
    rng = np.random.default_rng(0)
    return {
        "conv1.weight": rng.normal(size=(4, 3, 7, 7)).astype(np.float32),
        "bn1.weight": np.ones(4, np.float32),
        "bn1.bias": np.zeros(4, np.float16),
        "bn1.num_batches_tracked": np.array(7, np.int64),
        "layer1.0.conv1.weight": rng.normal(size=(4, 4, 1, 1)),
    }


def check_arrays(found) -> None:
    """What must hold of tensors by name."""
    expect(all(isinstance(n, str) for n in found), "a name is no text")
    arrays = list(found.values())
    expect(all(isinstance(a, (np.ndarray, np.generic)) for a in arrays), "a tensor is no array")
    expect(all(a.dtype.kind in "fiub" for a in arrays), "a tensor is of another type")
    total = sum(a.nbytes for a in arrays)
    expect(total <= _MOST_BYTES, f"some kilobytes became {total} bytes")


class Torch(Target):
    """`read_torch` of mutated tensors, archives and pickles inside them; then `from_checkpoint`."""

    def run(self, rng, folder):
        from tfmaskrcnn.checkpoints.torch_reader import read_torch

        path, write = folder / "weights.pth", rng.choice((write_zip, write_legacy))
        contents = {n: whole(a, str(i)) for i, (n, a) in enumerate(_arrays().items())}
        how = rng.randrange(6)
        notes = [write.__name__]
        if how < 3:
            notes.append(self._mutate_tensors(contents, rng))
        if rng.random() < 0.2:
            contents = {rng.choice(("state_dict", "model", "x", 7)): contents, "epoch": 3}
        write(path, contents)
        if how == 3:
            content, more = damaged(path.read_bytes(), rng)
            path.write_bytes(content)
            notes += more
        elif how > 3 and write is write_zip:
            notes += self._parts(path, rng)
        self.note(notes)
        check_arrays(read_torch(str(path)))
        _from_checkpoint(str(path), rng.choice(("torchvision", "detectron2")))

    @staticmethod
    def _mutate_tensors(contents: dict, rng) -> str:
        """Shapes, strides, offsets and lengths that lie, of few numbers or shared by many."""
        numbers = np.arange(12, dtype=np.float32)
        stored = Stored(
            numbers, rng.choice(("0", "5", "../x", 5, "a" * 300)), None, rng.choice(_SIZES)
        )
        shape = [rng.choice(_SIZES) for _ in range(rng.choice((0, 1, 2, 4, 40)))]
        strides = [rng.choice((0, 0, 1, 1, -1, 2**40)) for _ in shape]
        lie = rng.choice(
            [
                *((stored, (12,), (1,), 0), (stored, shape, strides, 0), (stored, (4, 3), (3,), 0)),
                *((stored, (12,), (1,), rng.choice(_SIZES)), (stored, (2**20,), (0,), 0)),
            ]
        )
        count = rng.choice((1, 1, 300))
        for n in range(count):
            contents[f"extra{n}.weight"] = tensor(*lie)
        return f"{count} tensors of {stored.length} numbers, {lie[1:]}"

    @staticmethod
    def _parts(path, rng) -> list:
        """Damage one member of the archive, whose checksum is right."""
        with zipfile.ZipFile(path) as archive:
            parts = {name: archive.read(name) for name in archive.namelist()}
        name = rng.choice(sorted(parts))
        if rng.random() < 0.15:
            parts[name], notes = bytes(300_000_000), ["swollen"]
        else:
            parts[name], notes = damaged(parts[name], rng)
        kind = rng.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED))
        with zipfile.ZipFile(path, "w", kind, compresslevel=1) as archive:
            for part, content in parts.items():
                archive.writestr(part, content)
        return [name, *notes]


class Pickle(Target):
    """`read_torch` of pickles as Detectron2 and MSRA publish them."""

    _BOMBS = (
        b"\x80\x02]q\x00(" + b"h\x00" * 5000 + b"e.",
        b"\x80\x04\x95\xff\xff\xff\xff\xff\xff\xff\x7f.",
        b"\x80\x02r\xff\xff\xff\x7f.",
        b"\x80\x02]r\xff\xff\xff\x3f.",
        b"\x80\x02" + b"(" * 20000 + b".",
        b"\x80\x02" + b"]" * 20000 + b"a" * 19999 + b".",
        b"\x80\x04B\xff\xff\xff\x7f.",
        b"\x80\x04\x8e\xff\xff\xff\xff\xff\xff\xff\x7f.",
        b"\x80\x05\x96\xff\xff\xff\xff\x00\x00\x00\x00.",
        b"\x80\x02\x8b\xff\xff\xff\x7f" + b"\xff" * 9 + b".",
        b"cos\nsystem\n(S'true'\ntR.",
        b"I" + b"9" * 5000 + b"\n.",
        b"p999999999\n.",
    )

    def run(self, rng, folder):
        from tfmaskrcnn.checkpoints.imagenet import read_backbone
        from tfmaskrcnn.checkpoints.torch_reader import read_torch

        path = folder / "weights.pkl"
        if rng.random() < 0.2:
            content, notes = rng.choice(self._BOMBS), ["crafted"]
            notes.append(repr(content[:20]))
        else:
            blobs = {"conv1_w": _arrays()["conv1.weight"], "conv1_b": np.zeros(4, np.float32)}
            raw = rng.choice(({"model": blobs, "__author__": "x"}, {"blobs": blobs}, blobs))
            content, notes = damaged(pickle.dumps(raw, rng.choice((2, 3, 4))), rng)
        path.write_bytes(content)
        self.note(notes)
        check_arrays(read_torch(str(path)))
        read_backbone(str(path))


class Keras(Target):
    """`read_keras_h5` of damaged and crafted files."""

    def run(self, rng, folder):
        import h5py

        from tfmaskrcnn.checkpoints.keras_h5 import read_keras_h5

        path = folder / "weights.h5"
        how, notes = rng.randrange(5), []
        with h5py.File(path, "w") as file:
            for name, array in _arrays().items():
                file[f"{name}/{name}/kernel:0"] = array.astype(np.float32)
            if how == 3:
                notes = [self._craft(file, rng)]
        if how < 3:
            content, notes = damaged(path.read_bytes(), rng)
            path.write_bytes(content)
        self.note(notes)
        check_arrays(read_keras_h5(str(path)))
        _from_checkpoint(str(path), "matterport")

    @staticmethod
    def _craft(file, rng) -> str:
        import h5py

        how = rng.randrange(7)
        if how == 0:
            file["conv/x/kernel:0"] = h5py.ExternalLink("/etc/passwd", "/x")
        elif how == 1:
            file["conv/x/kernel:0"] = h5py.SoftLink("/conv")
        elif how == 2:
            file["conv/x"] = file["/"]  # a group inside itself
        elif how == 3:
            options = {"chunks": (2**20,), "compression": "gzip", "fillvalue": 1.0}
            file.create_dataset("conv/x/kernel:0", (2**31,), np.float32, **options)
        elif how == 4:
            file.create_dataset("conv/x/kernel:0", (3,), h5py.string_dtype())
        elif how == 5:
            external = [("/etc/passwd", 0, 100)]
            file.create_dataset("conv/x/kernel:0", (25,), np.float32, external=external)
        else:
            file["conv/x/kernel:0"] = np.float32(np.nan)
        return f"crafted, way {how}"


def _from_checkpoint(path: str, source: str) -> None:
    """A model of it: of these few arrays there is none, which has to be said."""
    from tfmaskrcnn.checkpoints.importing import from_checkpoint

    from_checkpoint(path, source)
