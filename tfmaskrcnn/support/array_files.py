"""`.npz` files and other zip archives from strangers: their sizes are known before memory is taken.

A zip archive of a few megabytes can unpack into as many gigabytes as it likes, and a `.npy` header
of a hundred bytes can announce an array of any size. Both say so beforehand, in a few bytes.
"""

import math
import os
import struct
import zipfile
from typing import BinaryIO, Callable, Dict, Mapping, NamedTuple, Optional, Tuple

import numpy as np

from tfmaskrcnn.errors import InputError, quoted
from tfmaskrcnn.support.files import open_regular

# What an archive may unpack into: so many times its own size, and this. Weights hardly compress (a
# tenth of them), those of which nine in ten are zero to an eighth.
ROOM = 8
SMALL = 1 << 26
# Members of an archive; a model has some hundred arrays.
_MAX_MEMBERS = 50_000
_ENTRY_BYTES = 256  # of each in the table of contents, with its name
_END = struct.Struct("<4s4H2LH")  # zip's last record: signature, ..., number, bytes, ... of members
_END64 = struct.Struct("<4sQ2H2L4Q")  # its successor for large files
_MAX_COMMENT = 1 << 16
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


def open_archive(file: BinaryIO) -> zipfile.ZipFile:
    """The zip archive in `file`, which unpacks into not much more than it has.

    Raises:
        ValueError: it would unpack into much more, by what its table of contents says; zipfile
            reads no more than that.
        Exception: what zipfile makes of a damaged archive.
    """
    size = file.seek(0, os.SEEK_END)
    _check_table(file, size)
    archive = zipfile.ZipFile(file)
    members = archive.infolist()
    if len({member.filename for member in members}) < len(members):
        raise ValueError("it holds two members of one name")
    stored = sum(member.compress_size for member in members)
    if stored > size:  # they share their bytes
        raise ValueError(f"its members have {stored} bytes together, the file has {size}")
    unpacked = sum(member.file_size for member in members)
    if unpacked > ROOM * size + SMALL:
        raise ValueError(f"it would unpack into {unpacked} bytes, the file has {size}")
    return archive


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
        reason = str(error) if zipfile.is_zipfile(path) else "it is no zip archive"
        raise ValueError(reason[:200]) from None
    except Exception as error:  # of a broken file, numpy and zipfile raise a dozen kinds
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise ValueError(reason.rstrip(".")) from None


def _check_table(file: BinaryIO, size: int) -> None:
    """A `ValueError` if the table of contents is too long to be read by `zipfile`."""
    file.seek(max(0, size - _END.size - _MAX_COMMENT))
    tail = file.read()
    at = tail.rfind(b"PK\5\6")
    if at < 0 or at + _END.size > len(tail):
        raise zipfile.BadZipFile("it is no zip archive")
    count, length = _END.unpack_from(tail, at)[4:6]
    at64 = at - 20 - _END64.size  # the usual place, before a locator of 20 bytes
    if at64 >= 0 and tail[at64 : at64 + 4] == b"PK\6\6":
        count, length = _END64.unpack_from(tail, at64)[7:9]
    if count > _MAX_MEMBERS or length > min(size, _ENTRY_BYTES * _MAX_MEMBERS):
        raise ValueError(f"its table of contents is of {count} members in {length} bytes")
