"""Mutations of files: flipped bits, cut ends, zeros, splices, lengths that are too large."""

import struct
import zlib
from random import Random
from typing import List, Tuple

_LENGTHS = [0, 1, 0xFF, 0x7FFF, 0xFFFF, 0x10000, 0xFFFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF]


def damaged(content: bytes, rng: Random, other: bytes = b"") -> Tuple[bytes, List[str]]:
    """A damaged copy of a file's content, and what was done, in words.

    Args:
        content: of a good file.
        rng: decides; one to three changes.
        other: of another good file, for splices; empty takes the file itself.
    """
    data, notes = bytearray(content), []
    for _ in range(rng.choices((1, 2, 3), (60, 25, 15))[0]):
        if not data:
            break
        change = rng.choice(_CHANGES)
        notes.append(f"{change.__name__[1:]} {change(data, rng, other or content)}")
    return bytes(data), notes


def _place(data: bytearray, rng: Random) -> int:
    """A position, half of the time among the first bytes, where headers are."""
    end = min(len(data), 64) if rng.random() < 0.5 else len(data)
    return rng.randrange(end)


def _bit(data: bytearray, rng: Random, _) -> str:
    at, bit = _place(data, rng), rng.randrange(8)
    data[at] ^= 1 << bit
    return f"{bit} of byte {at}"


def _byte(data: bytearray, rng: Random, _) -> str:
    at, value = _place(data, rng), rng.choice((0, 1, 0x7F, 0x80, 0xFF, rng.randrange(256)))
    data[at] = value
    return f"{at} is {value}"


def _cut(data: bytearray, rng: Random, _) -> str:
    end = rng.choice((rng.randrange(len(data)), max(0, len(data) - rng.randrange(1, 20))))
    del data[end:]
    return f"to {end} bytes"


def _zeros(data: bytearray, rng: Random, _) -> str:
    at, count = _place(data, rng), rng.choice((1, 4, 16, 100, 1000))
    end = min(len(data), at + count)
    data[at:end] = bytes(end - at)
    return f"from {at} to {end}"


def _splice(data: bytearray, rng: Random, other: bytes) -> str:
    at, start, count = _place(data, rng), rng.randrange(len(other)), rng.choice((4, 20, 200, 2000))
    piece = other[start : start + count]
    if rng.random() < 0.5:
        data[at:at] = piece
        return f"{len(piece)} bytes into {at}"
    data[at : at + len(piece)] = piece
    return f"{len(piece)} bytes over {at}"


def _left_out(data: bytearray, rng: Random, _) -> str:
    at, count = _place(data, rng), rng.choice((1, 2, 7, 64, 500))
    del data[at : at + count]
    return f"{count} bytes from {at}"


def _length(data: bytearray, rng: Random, _) -> str:
    """Write a number of two, four or eight bytes over what may be a length."""
    at, size = _place(data, rng), rng.choice((2, 4, 4, 4, 8))
    if len(data) < size:
        return "not here"
    at = min(at, len(data) - size)
    number = rng.choice(_LENGTHS) & (256**size - 1)
    data[at : at + size] = number.to_bytes(size, rng.choice(("big", "little")))
    return f"{number} in {size} bytes at {at}"


_CHANGES = (_bit, _bit, _byte, _cut, _zeros, _splice, _left_out, _length, _length)


def png_with_sums(content: bytes) -> bytes:
    """A PNG whose chunks have the checksums of what they hold now, so that decoders go on."""
    out, at = bytearray(content[:8]), 8
    while at + 12 <= len(content):
        (length,) = struct.unpack_from(">I", content, at)
        if at + 12 + length > len(content):
            break
        chunk = content[at + 4 : at + 8 + length]
        out += content[at : at + 4] + chunk + struct.pack(">I", zlib.crc32(chunk))
        at += 12 + length
    return bytes(out) + content[at:]


def damaged_text(text: str, rng: Random) -> Tuple[str, List[str]]:
    """A damaged copy of a text of lines and numbers, and what was done, in words."""
    notes = []
    for _ in range(rng.choices((1, 2, 3), (60, 25, 15))[0]):
        text, note = _text_changed(text, rng)
        notes.append(note)
    return text, notes


def _text_changed(text: str, rng: Random) -> Tuple[str, str]:
    from helpers.mutations.values import NUMBERS, TEXTS

    kind, lines = rng.randrange(7), text.split("\n")
    line = rng.randrange(len(lines))
    if kind == 0:
        return "\n".join(lines[:line] + lines[line + 1 :]), f"without line {line}"
    if kind == 1:
        return "\n".join(lines[: line + 1] + lines[line:]), f"line {line} twice"
    if kind == 2:
        at = rng.randrange(len(text) + 1)
        return text[:at], f"cut at {at}"
    words = lines[line].split(" ")
    word = rng.randrange(len(words))
    if kind in (3, 4):
        number = rng.choice([n for n in NUMBERS if not isinstance(n, str)])
        words[word] = f"{number}"
    elif kind == 5:
        words[word] = rng.choice(TEXTS)
    else:
        del words[word]
    lines[line] = " ".join(words)
    return "\n".join(
        lines
    ), f"word {word} of line {line} is {' '.join(words[word : word + 1])!r:.60}"
