"""`.npz` files from strangers: the sizes of their arrays are known before memory is taken.

A `.npy` header of a hundred bytes can announce an array of any size; `archives` bounds the rest.
"""

import contextlib
import math
import zipfile
from typing import BinaryIO, Callable, Dict, Mapping, NamedTuple, Optional, Tuple

import numpy as np

from tfmaskrcnn.errors import InputError, quoted
from tfmaskrcnn.support.archives import open_archive
from tfmaskrcnn.support.files import open_regular

_SIMPLE_TYPES = "biufUS"  # of arrays: numbers and texts, neither objects nor structures


class ArrayHeader(NamedTuple):
    """What a `.npy` file says of itself before its numbers."""

    shape: Tuple[int, ...]
    dtype: np.dtype


def npy_header(file: BinaryIO, size: int) -> ArrayHeader:
    """The header at the beginning of a `.npy` file of `size` bytes; `file` is then at the numbers.

    Raises:
        ValueError: it is none, or the file has not as many bytes as the array that it announces.
    """
    version = np.lib.format.read_magic(file)
    readers = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
    }
    if version not in readers:
        raise ValueError(f"an array of format {version}, wanted 1.0 or 2.0")
    shape, _, dtype = readers[version](file)
    if dtype.kind not in _SIMPLE_TYPES or not dtype.itemsize:
        raise ValueError(f"an array of type {quoted(str(dtype))}")
    wanted, found = math.prod(shape) * dtype.itemsize, size - file.tell()
    if min(shape, default=0) < 0 or wanted != found:
        raise ValueError(
            f"it announces an array of {quoted(shape)} {dtype}, {quoted(wanted)} bytes, and has "
            f"{found}"
        )
    return ArrayHeader(shape, dtype)


def read_arrays(
    path: str, check: Optional[Callable[[Mapping[str, ArrayHeader]], None]] = None
) -> Dict[str, np.ndarray]:
    """The arrays of an `.npz` file by name.

    Args:
        path: of the file.
        check: called with name -> header before any array is read.

    Raises:
        FileNotFoundError: there is no such file.
        InputError: what `check` raises.
        ValueError: the file is damaged, or asks for more memory than it has bytes to fill.
    """
    try:
        with open_regular(path) as file, open_archive(file) as archive:
            headers = {}
            for member in archive.infolist():
                name = member.filename
                if not name.endswith(".npy"):
                    raise ValueError(f"{quoted(name)} in it is no array")
                with archive.open(member) as part:
                    headers[name[: -len(".npy")]] = npy_header(part, member.file_size)
            if check is not None:
                check(headers)
            arrays = {}
            for name in headers:
                with archive.open(f"{name}.npy") as part:
                    arrays[name] = np.lib.format.read_array(part, allow_pickle=False)
                    part.read(1)  # at the end the checksum is compared
            return arrays
    except (FileNotFoundError, InputError):
        raise
    except zipfile.BadZipFile as error:
        reason = str(error) if _is_archive(path) else "it is no zip archive"
        raise ValueError(reason[:200]) from None
    except Exception as error:  # of a broken file, numpy and zipfile raise a dozen kinds
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise ValueError(reason.rstrip(".")) from None


def _is_archive(path: str) -> bool:
    with contextlib.suppress(OSError, InputError), open_regular(path) as file:
        return zipfile.is_zipfile(file)
    return False
