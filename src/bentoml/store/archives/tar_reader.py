"""Reading a tar (ustar, pax, GNU), strictly: what is odd is an error, where Python's `tarfile` would go on or stop silently."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from ...exceptions import BentoMLException
from .formats import is_tar_header
from .members import Kind, Member, checked_path
from .unpacking import Stream

__all__ = ["tar_members"]

_BLOCK = 512
_LARGEST_RECORD = 1 << 20  # bytes of a pax header, of a long name
_KINDS: dict[bytes, Kind] = {b"0": "file", b"\0": "file", b"1": "hardlink", b"2": "symlink", b"5": "dir"}
_ODD = {
    b"3": "a device", b"4": "a device", b"6": "a named pipe", b"7": "a contiguous file", b"S": "a sparse file",
    b"M": "a part of a file", b"V": "the label of a tape",
}  # fmt: skip


class _Overrides(NamedTuple):
    """What the headers before a member's own say about it."""

    path: str | None = None
    link: str | None = None
    size: int | None = None


def tar_members(stream: Stream) -> Iterator[tuple[Member, Iterator[bytes]]]:
    """Yield each member with its content, which must be read before the next one.

    Raises:
        BentoMLException: it is no tar, is damaged, or holds what is neither a file, a folder nor a link.
    """
    overrides = _Overrides()
    while (block := stream.exactly(_BLOCK)) != bytes(_BLOCK):
        if not is_tar_header(block):
            raise BentoMLException("it is no tar, or is damaged: a header has not its checksum")
        size = _number(block[124:136])
        kind = block[156:157]
        if kind in b"xgLK":
            overrides = _extended(kind, _record(stream, size), overrides)
            continue
        yield _member(block, size, kind, overrides, stream)
        overrides = _Overrides()
    if overrides != _Overrides():
        raise BentoMLException("it is damaged: it ends after the header of a long name")
    while rest := stream.some(1 << 20):
        if rest.strip(b"\0"):
            raise BentoMLException("something follows its end")


def _member(
    block: bytes, size: int, kind: bytes, overrides: _Overrides, stream: Stream
) -> tuple[Member, Iterator[bytes]]:
    if kind not in _KINDS:
        raise BentoMLException(f"{_name(block)!r} is {_ODD.get(kind, f'of the unknown kind {kind!r}')}")
    path = _name(block) if overrides.path is None else overrides.path
    what = "dir" if kind == b"\0" and path.endswith("/") else _KINDS[kind]
    size = size if overrides.size is None else overrides.size
    if what != "file" and size:
        raise BentoMLException(f"{path!r} is no file, and has content")
    link = _text(block[157:257]) if overrides.link is None else overrides.link
    executable = bool(_number(block[100:108]) & 0o100)
    member = Member(checked_path(path), what, size, executable, link if what.endswith("link") else "")
    return member, _content(stream, size)


def _content(stream: Stream, size: int) -> Iterator[bytes]:
    yield from stream.pieces(size)
    stream.exactly(-size % _BLOCK)


def _record(stream: Stream, size: int) -> bytes:
    if size > _LARGEST_RECORD:
        raise BentoMLException(f"it has a header of {size} bytes")
    return b"".join(_content(stream, size))


def _extended(kind: bytes, data: bytes, known: _Overrides) -> _Overrides:
    match kind:
        case b"L":
            return known._replace(path=_text(data))
        case b"K":
            return known._replace(link=_text(data))
    records = dict(_pax_records(data))
    for key in records:
        if key.startswith("GNU.sparse"):
            raise BentoMLException("it holds a sparse file")
        if key == "hdrcharset" or (kind == b"g" and key in ("path", "linkpath", "size")):
            raise BentoMLException(f"it has a header that says `{key}` of all files")
    if kind == b"g":
        return known
    size = known.size
    if "size" in records:
        if not (records["size"].isascii() and records["size"].isdigit()) or len(records["size"]) > 18:
            raise BentoMLException(f"a header says that a file has {records['size']!r} bytes")
        size = int(records["size"])
    return _Overrides(records.get("path", known.path), records.get("linkpath", known.link), size)


def _pax_records(data: bytes) -> Iterator[tuple[str, str]]:
    """Yield the keys and values of ``<length> <key>=<value>\\n``, again and again."""
    seen = set()
    while data:
        digits, _, _ = data.partition(b" ")
        length = int(digits) if digits.isdigit() and len(digits) < 10 else 0
        key, mark, value = data[len(digits) + 1 : length - 1].partition(b"=")
        if not mark or data[length - 1 : length] != b"\n" or key in seen:
            raise BentoMLException("it has a damaged header")
        seen.add(key)
        yield _decoded(key), _decoded(value)
        data = data[length:]


def _name(block: bytes) -> str:
    name = _text(block[:100])
    prefix = _text(block[345:500]) if block[257:263] == b"ustar\0" else ""
    return f"{prefix}/{name}" if prefix else name


def _text(field: bytes) -> str:
    return _decoded(field.partition(b"\0")[0])


def _decoded(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")


def _number(field: bytes) -> int:
    """Read a number: octal digits, or base 256 where the first bit is set."""
    if field[0] == 0x80:
        return int.from_bytes(field[1:], "big")
    digits = field.strip(b"\0 ") or b"0"
    if digits.strip(b"01234567"):
        raise BentoMLException(f"it is damaged: a header has the number {digits!r}")
    return int(digits, 8)
