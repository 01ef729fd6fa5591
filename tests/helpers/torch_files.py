"""Writes PyTorch's weight files without PyTorch: of the zip kind, and as before its version 1.6."""

import io
import pickle
import struct
import zipfile

import numpy as np

STORAGES = {
    "float64": "DoubleStorage",
    "float32": "FloatStorage",
    "float16": "HalfStorage",
    "bfloat16": "BFloat16Storage",
    "int64": "LongStorage",
    "int32": "IntStorage",
    "int16": "ShortStorage",
    "int8": "CharStorage",
    "uint8": "ByteStorage",
    "bool": "BoolStorage",
}


class Named:
    """Pickles as the bare name of a class or function, whether it exists here or not."""

    def __init__(self, module, name):
        self.module, self.name = module, name


class Call:
    """Pickles as a call."""

    def __init__(self, function, *arguments):
        self.function, self.arguments = function, arguments

    def __reduce__(self):
        return self.function, self.arguments


class Stored:
    """A storage; in the pickle a persistent id."""

    def __init__(self, numbers, key, dtype=None, length=None):
        self.numbers, self.key = np.ascontiguousarray(numbers), key
        self.type = Named("torch", STORAGES[dtype or str(self.numbers.dtype)])
        self.length = self.numbers.size if length is None else length


class TorchPickler(pickle._Pickler):
    """Writes a pickle as torch.save does, without torch: names need not be importable."""

    def __init__(self, file, legacy):
        super().__init__(file, protocol=2)
        self.legacy, self.stored = legacy, []

    def persistent_id(self, obj):
        if not isinstance(obj, Stored):
            return None
        if obj not in self.stored:
            self.stored.append(obj)
        view = (None,) if self.legacy else ()
        return ("storage", obj.type, obj.key, "cpu", obj.length, *view)

    def save(self, obj, save_persistent_id=True):
        if isinstance(obj, Named):
            self.write(pickle.GLOBAL + f"{obj.module}\n{obj.name}\n".encode())
        elif isinstance(obj, Call):
            self.save(obj.function)
            self.save(tuple(obj.arguments))
            self.write(pickle.REDUCE)
        else:
            super().save(obj, save_persistent_id)


def pickled(contents, legacy=False):
    file = io.BytesIO()
    pickler = TorchPickler(file, legacy)
    pickler.dump(contents)
    return file.getvalue(), pickler.stored


def tensor(stored, shape, strides, offset=0):
    rebuild = Named("torch._utils", "_rebuild_tensor_v2")
    return Call(rebuild, stored, offset, tuple(shape), tuple(strides), False, {})


def whole(array, key):
    steps = [step // array.itemsize for step in array.strides]
    return tensor(Stored(array, key), array.shape, steps)


def write_zip(path, contents):
    data, stored = pickled(contents)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", data)
        for storage in stored:
            archive.writestr(f"archive/data/{storage.key}", storage.numbers.tobytes())
        archive.writestr("archive/version", "3\n")


def write_legacy(path, contents):
    data, stored = pickled(contents, legacy=True)
    headers = (0x1950A86A20F9469CFC6C, 1001, {"little_endian": True})
    parts = [pickle.dumps(header, 2) for header in headers]
    parts += [data, pickle.dumps([storage.key for storage in stored], 2)]
    for storage in stored:
        parts += [struct.pack("<q", storage.numbers.size), storage.numbers.tobytes()]
    path.write_bytes(b"".join(parts))
