"""The checksums inside a PNG file, which decoders leave out for speed."""

import zlib
from typing import BinaryIO, Optional

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_BLOCK = 1 << 20  # bytes read at a time
_LONGEST = 2**31 - 1  # bytes of a chunk


def png_fault(file: BinaryIO) -> Optional[str]:
    """What is damaged in an opened PNG file, as a sentence; None if nothing is, or it is no PNG.

    The file is read from its beginning.
    """
    file.seek(0)
    return _fault(file) if file.read(len(_SIGNATURE)) == _SIGNATURE else None


def _fault(file: BinaryIO) -> Optional[str]:
    while True:
        header = file.read(8)
        if len(header) < 8:
            return "it ends before its last chunk."
        length, kind = int.from_bytes(header[:4], "big"), header[4:]
        if length > _LONGEST or not kind.isalpha():
            return "one of its chunks begins with nonsense."
        checksum, left = zlib.crc32(kind), length
        while left:
            block = file.read(min(left, _BLOCK))
            if not block:
                return "it ends before its last chunk."
            checksum, left = zlib.crc32(block, checksum), left - len(block)
        if file.read(4) != checksum.to_bytes(4, "big"):
            name = kind.decode("ascii")
            return f"the checksum of its chunk {name} does not fit; copy it anew."
        if kind == b"IEND":
            return None
