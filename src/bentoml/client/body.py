"""Body: the bytes of a request, put together from memory and files while they are sent, as often as they must be."""

from __future__ import annotations

import os
import secrets
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

from ..exceptions import InvalidArgument
from ..sdk.values.part_names import escaped
from .plan import Field, RequestPlan
from .uploads import Link, Upload

__all__ = ["Body", "body_of"]

_PIECE = 256 * 1024  # bytes
_IN_MEMORY = 1024 * 1024  # bytes of a pipe; what comes after goes to the disk

Source = bytes | Path | BinaryIO


@dataclass(frozen=True, slots=True)
class Body:
    """Hold what is sent, and how long it is."""

    sources: tuple[Source, ...]
    media_type: str | None
    length: int

    @property
    def in_files(self) -> bool:
        """Whether any part of it lies in a file."""
        return not all(isinstance(source, bytes) for source in self.sources)

    def in_memory(self) -> bytes:
        """Return the whole of it."""
        return b"".join(self.pieces())

    def pieces(self) -> Iterator[bytes]:
        """Yield it from its beginning."""
        for source in self.sources:
            if isinstance(source, bytes):
                yield source
            elif isinstance(source, Path):
                with _open(source) as file:
                    yield from _read(file)
            else:
                source.seek(0)
                yield from _read(source)


def body_of(plan: RequestPlan, opened: ExitStack) -> Body:
    """Return the body of a request.

    What can be read only once, as a pipe, is read now, so that its length is known and it can be sent again; ``opened``
    ends its copy.

    Raises:
        InvalidArgument: a file cannot be read.
    """
    if isinstance(plan.body, tuple):
        boundary = secrets.token_hex(16)
        sources = _form(plan.body, boundary, opened)
        return _measured(sources, f"multipart/form-data; boundary={boundary}")
    body = plan.body if isinstance(plan.body, bytes) else _source(plan.body, opened)
    return _measured([body], plan.media_type)


def _measured(sources: Sequence[Source], media_type: str | None) -> Body:
    return Body(tuple(sources), media_type, sum(map(_length, sources)))


def _form(fields: Sequence[Field], boundary: str, opened: ExitStack) -> list[Source]:
    """Return a ``multipart/form-data`` body (RFC 7578)."""
    sources: list[Source] = []
    text = b""
    for field in fields:
        text += f'--{boundary}\r\nContent-Disposition: form-data; name="{escaped(field.name)}"'.encode()
        if isinstance(field.value, bytes):
            text += b"\r\n\r\n" + field.value + b"\r\n"
            continue
        text += f'; filename="{escaped(field.value.filename)}"\r\n'.encode()
        if field.value.media_type is not None:
            text += f"Content-Type: {field.value.media_type}\r\n".encode()
        text += b"\r\n"
        sources += [text, _source(field.value, opened)]
        text = b"\r\n"
    return [*sources, text + f"--{boundary}--\r\n".encode()]


def _source(upload: Upload, opened: ExitStack) -> Source:
    content = upload.content
    if isinstance(content, Link):
        raise InvalidArgument(f"`{content.url}` was not fetched")
    if isinstance(content, bytes | Path):
        return content
    if getattr(content, "seekable", bool)():
        return content
    copy = cast(BinaryIO, opened.enter_context(tempfile.SpooledTemporaryFile(_IN_MEMORY)))  # noqa: SIM115
    for piece in _read(content):
        copy.write(piece)
    return copy


def _length(source: Source) -> int:
    if isinstance(source, bytes):
        return len(source)
    if isinstance(source, Path):
        with _open(source) as file:
            return os.fstat(file.fileno()).st_size
    return source.seek(0, os.SEEK_END)


def _open(path: Path) -> BinaryIO:
    try:
        return path.open("rb")
    except OSError as e:
        raise InvalidArgument(f"`{path}` cannot be read: {e.strerror}") from e


def _read(file: BinaryIO) -> Iterator[bytes]:
    while piece := file.read(_PIECE):
        if not isinstance(piece, bytes):
            raise TypeError(f"a file gives bytes, not `{type(piece).__name__}`; open it in binary mode")
        yield piece
