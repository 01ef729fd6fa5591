"""Zip archives from strangers: what they unpack into is known before memory is taken.

A zip archive of a few megabytes can unpack into as many gigabytes as it likes; its table of
contents says so beforehand, in a few bytes.
"""

import os
import struct
import zipfile
from typing import BinaryIO

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
