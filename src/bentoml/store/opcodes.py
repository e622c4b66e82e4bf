"""Opcodes: is what a stream holds a pickle? It is walked through, never loaded.

A stream without the mark of protocol 2 and later is text in many cases, some of which is a pickle by chance (`N.` is that of
None). Such a stream counts only if loading it would call something, which a second pickle behind the first may do as well. What
is called before a damaged place is called all the same, and so the walk says yes at the first call. Whatever a loader of
pickles lets pass must pass here, too.
"""

from __future__ import annotations

import re
from typing import BinaryIO

__all__ = ["is_pickle"]

_ENOUGH = 5000  # opcodes that make sense one after the other: nothing but a pickle has so many
_LONGEST_LINE = 1 << 16
_PROTO = b"\x80"
_MOST_PROTOCOL = 5
_STOP = b"."
_IMPORTS = {b"c", b"\x93", b"\x82", b"\x83", b"\x84"}  # GLOBAL, STACK_GLOBAL, EXT1, EXT2, EXT4
_CALLS = {b"R", b"o", b"\x81", b"\x92", b"b"}  # REDUCE, OBJ, NEWOBJ, NEWOBJ_EX, BUILD

# What follows each opcode: so many bytes, or a length of so many bytes and then that many, or lines of text.
_FIXED = {
    **dict.fromkeys([b"(", b"0", b"1", b"2", b"N", b"Q", b"R", b"a", b"b", b"d", b"}", b"e", b"l", b"]"], 0),
    **dict.fromkeys([b"o", b"s", b"t", b")", b"u", b"\x81", b"\x85", b"\x86", b"\x87", b"\x88", b"\x89"], 0),
    **dict.fromkeys([b"\x8f", b"\x90", b"\x91", b"\x92", b"\x93", b"\x94", b"\x97", b"\x98"], 0),
    **dict.fromkeys([b"K", b"h", b"q", b"\x82"], 1),
    **dict.fromkeys([b"M", b"\x83"], 2),
    **dict.fromkeys([b"J", b"j", b"r", b"\x84"], 4),
    **dict.fromkeys([b"G", b"\x95"], 8),
}
_COUNTED = {
    **dict.fromkeys([b"U", b"C", b"\x8a", b"\x8c"], 1),
    **dict.fromkeys([b"T", b"B", b"X", b"\x8b"], 4),
    **dict.fromkeys([b"\x8d", b"\x8e", b"\x96"], 8),
}
_NAME = rb"[^\W\d][\w.]*"
_LINES = {
    b"I": rb"\s*[-+]?\w+\s*",
    b"L": rb"\s*[-+]?\w+\s*",
    b"F": rb"[-+.\w\s]+",
    b"S": rb"\s*(['\"]).*\1\s*",
    b"V": rb".*",
    b"P": rb".*",
    b"g": rb"\s*[-+]?\w+\s*",
    b"p": rb"\s*[-+]?\w+\s*",
    b"c": _NAME,
    b"i": _NAME,
}
_LINE = {opcode: re.compile(pattern + rb"\Z", re.DOTALL) for opcode, pattern in _LINES.items()}
_SECOND_LINE = re.compile(_NAME + rb"\Z")


def is_pickle(stream: BinaryIO, *, is_whole: bool = True) -> bool:
    """Say whether a pickle begins where the stream stands; one that is cut off counts unless the stream ``is_whole``."""
    marked = imported = stacked = False
    for _ in range(_ENOUGH):
        opcode = stream.read(1)
        if opcode == _STOP:
            if marked:
                return True
            continue  # another one may follow
        if not _skip_argument(stream, opcode):
            return not is_whole and not stream.read(1)
        marked = marked or opcode == _PROTO
        if (opcode in _CALLS and imported) or (opcode == b"i" and stacked):
            return True
        imported = imported or opcode in _IMPORTS
        stacked = stacked or opcode == b"("
    return True


def _skip_argument(stream: BinaryIO, opcode: bytes) -> bool:
    """Read what follows an opcode; False if it is none, or if that cannot follow it."""
    if opcode == _PROTO:
        version = stream.read(1)
        return bool(version) and version[0] <= _MOST_PROTOCOL
    if (size := _FIXED.get(opcode)) is not None:
        return len(stream.read(size)) == size
    if (size := _COUNTED.get(opcode)) is not None:
        count = stream.read(size)
        return len(count) == size and _skip(stream, int.from_bytes(count, "little"))
    if (pattern := _LINE.get(opcode)) is None:
        return False
    line = _line(stream)
    if line is None or not (pattern.match(line) or (len(line) == _LONGEST_LINE and opcode in b"SF")):
        return False
    return opcode not in b"ci" or ((second := _line(stream)) is not None and bool(_SECOND_LINE.match(second)))


def _line(stream: BinaryIO) -> bytes | None:
    """Read a line, of which no more than the beginning is kept."""
    line = piece = stream.readline(_LONGEST_LINE)
    while piece and not piece.endswith(b"\n"):
        piece = stream.readline(_LONGEST_LINE)
    return line.removesuffix(b"\n") if piece else None


def _skip(stream: BinaryIO, count: int) -> bool:
    """Go past so many bytes; beyond the end, nothing is read any more."""
    try:
        stream.seek(count, 1)
    except (OSError, OverflowError, ValueError):
        return False
    return True
