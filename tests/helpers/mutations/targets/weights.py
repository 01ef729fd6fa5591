"""Our own weights files: arrays that do not fit, headers that lie, archives that swell."""

import io
import zipfile

import numpy as np

from helpers.mutations.damage import damaged
from helpers.mutations.outcomes import expect
from helpers.mutations.targets.target import Target

_BOMB_BYTES = 2_500_000_000
_DTYPES = (np.float64, np.float16, np.int32, np.bool_, np.complex64, "U3", "S3", "M8[s]")


class Native(Target):
    """`load_weights` of mutated `.npz` files."""

    def prepare(self):
        from tfmaskrcnn.model.weights import save_weights

        save_weights(small_model(), str(self.base / "good.npz"))
        write_bomb(self.base / "bomb.npz", "kernel")

    def open(self):
        self.model = small_model()
        self.good = dict(np.load(self.base / "good.npz"))

    def run(self, rng, folder):
        from tfmaskrcnn.model.weights import load_weights, named_weights

        path = folder / "weights.npz"
        self.note(write_mutated_npz(path, self.good, rng, self.base / "bomb.npz"))
        before = {n: v.numpy() for n, v in named_weights(self.model).items()}
        try:
            load_weights(self.model, str(path))
        except Exception:
            same = all((v.numpy() == before[n]).all() for n, v in named_weights(self.model).items())
            expect(same, "the file is refused, but some of its weights are set")
            raise
        found = {n: v.numpy() for n, v in named_weights(self.model).items()}
        for name, variable in named_weights(self.model).items():
            variable.assign(before[name])
        for name, array in found.items():
            expect(np.isfinite(array).all(), f"{name} is not finite")


def small_model():
    """A built model of few weights, always the same."""
    import keras

    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [keras.layers.Dense(8, name="first"), keras.layers.BatchNormalization(name="norm")]
    )
    model.build((None, 4))
    return model


def write_bomb(path, name: str) -> None:
    """An `.npz` of some megabytes that holds gigabytes of zeros."""
    header = io.BytesIO()
    shape = (_BOMB_BYTES // 4,)
    np.lib.format.write_array_header_1_0(
        header, {"descr": "<f4", "fortran_order": False, "shape": shape}
    )
    options, large = ("w", zipfile.ZIP_DEFLATED, True, 1), {"force_zip64": True}
    name += ".npy"
    with zipfile.ZipFile(path, *options) as file, file.open(name, "w", None, **large) as part:
        part.write(header.getvalue())
        for _ in range(_BOMB_BYTES // 10_000_000):
            part.write(bytes(10_000_000))


def write_mutated_npz(path, good: dict, rng, bomb=None) -> list:
    """Write mutated arrays, or a damaged file of good ones; returns what was done, in words."""
    how = rng.randrange(10)
    if how == 0 and bomb is not None and rng.random() < 0.2:
        path.write_bytes(bomb.read_bytes())
        return ["a bomb"]
    parts = {f"{name}.npy": _npy(array) for name, array in good.items()}
    if how < 3:
        _write_zip(path, parts, zipfile.ZIP_STORED)
        content, notes = damaged(path.read_bytes(), rng)
        path.write_bytes(content)
        return notes
    compression = rng.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED))
    name = rng.choice(sorted(parts))
    if how < 6:  # with the archive's checksums right
        parts[name], notes = damaged(parts[name], rng)
    elif how == 6:
        shape = rng.choice(
            ("(1000000000,)", "(100000, 100000)", "(-1,)", "(0,)", "(4, 8, 0)", "()")
        )
        parts[name] = _npy_of(f"{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}")
        notes = [f"{name} announces {shape}"]
    else:
        notes = _other_arrays(parts, good, rng)
    _write_zip(path, parts, compression)
    return [f"{name}:", *notes]


def _other_arrays(parts: dict, good: dict, rng) -> list:
    name = rng.choice(sorted(n for n, a in good.items() if a.dtype.kind == "f"))
    array, how = good[name], rng.randrange(7)
    if how == 0:
        del parts[f"{name}.npy"]
    elif how == 1:
        parts[rng.choice(("\ud7ff.npy", "../x.npy", "/x.npy", "x", f"{name}2.npy"))] = _npy(array)
    elif how == 2:
        parts[f"{name}.npy"] = _npy(array.astype(rng.choice(_DTYPES)))
    elif how == 3:
        filled = array.copy()
        filled.reshape(-1)[:1] = rng.choice((np.nan, np.inf, 1e38))
        parts[f"{name}.npy"] = _npy(filled)
    elif how == 4:
        new = rng.choice((array[None], array[:-1], array.reshape(-1), array.T, np.float32(1)))
        parts[f"{name}.npy"] = _npy(np.asarray(new))
    elif how == 5:
        buffer = io.BytesIO()
        np.save(buffer, np.array([{"a": 1}], object), allow_pickle=True)
        parts[f"{name}.npy"] = buffer.getvalue()
    else:
        parts[f"{name}.npy"] = rng.choice((b"", b"\x80\x04N.", b"\x93NUMPY", b"x" * 1000))
    return [f"{name}, way {how}"]


def _npy(array) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def _npy_of(header: str) -> bytes:
    text = header.encode() + b"\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text + bytes(64)


def _write_zip(path, parts: dict, compression: int) -> None:
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
