"""Paths that come from outside, and files that must never be half written."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from .exceptions import InvalidArgument

__all__ = ["atomic_write", "fsync_folder", "under", "write_atomic"]


def under(root: Path, untrusted: str | os.PathLike[str]) -> Path:
    """Return ``root / untrusted`` as an absolute path that lies in ``root``, following links.

    This is the one place where a path from a request, an archive or a configuration is checked.

    Raises:
        InvalidArgument: the path is absolute, holds a NUL byte, or leaves ``root`` by ``..`` or by a link, or
            goes round in a circle of links.
    """
    text = os.fspath(untrusted)
    if "\0" in text or os.path.isabs(text):
        raise InvalidArgument(f"path {text!r} is not relative to its folder")
    base = root.resolve()
    try:
        resolved = (base / text).resolve()
    except (OSError, RuntimeError) as e:  # RuntimeError: what Python before 3.13 says of links in a circle
        raise InvalidArgument(f"path {text!r} leads nowhere: {e}") from e
    if resolved != base and base not in resolved.parents:
        raise InvalidArgument(f"path {text!r} leaves its folder; give a path inside it")
    return resolved


@contextmanager
def atomic_write(target: Path, *, mode: int = 0o644) -> Iterator[BinaryIO]:
    """Open a file beside ``target``; when the block ends without an error it is synced and takes target's place."""
    draft = target.with_name(f".{target.name}.{secrets.token_hex(6)}")
    try:
        with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(draft, target)
    except BaseException:
        with suppress(FileNotFoundError):
            draft.unlink()
        raise
    fsync_folder(target.parent)


def write_atomic(target: Path, data: bytes, *, mode: int = 0o644) -> None:
    """Write a whole file so that a reader, or a crash, sees the old content or the new, never a part."""
    with atomic_write(target, mode=mode) as file:
        file.write(data)


def fsync_folder(folder: Path) -> None:
    """Make the names in a folder durable (a rename is not, until its folder is synced)."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
