"""Paths that come from outside, and files that must never be half written."""

from __future__ import annotations

import os
import secrets
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from .exceptions import InvalidArgument

__all__ = ["atomic_write", "fsync_folder", "name_problem", "nameless", "under", "write_atomic"]

_NAMELESS: int | None = getattr(os, "O_TMPFILE", None)
_FILES = "/proc/self/fd"
_DRAFT_NAME = 50  # characters of a target's name: a name has at most 255 bytes


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


def name_problem(encoding: str | None = None) -> str:
    """Say of a name that cannot be one of a file what is wrong with it, or with how this Python takes names."""
    encoding = encoding or sys.getfilesystemencoding()
    if encoding == "utf-8":
        return "is not UTF-8; rename the file"
    return f"cannot be said in `{encoding}`, as which this Python takes names of files; set PYTHONUTF8=1"


@contextmanager
def atomic_write(target: Path, *, mode: int = 0o644, durable: bool = True) -> Iterator[BinaryIO]:
    """Open a file that takes target's place when the block ends without an error.

    A file that is ``durable`` is synced before. Others may be torn by a power cut: those that readers check and make anew.
    """
    draft = target.with_name(f".{target.name[:_DRAFT_NAME]}.{secrets.token_hex(6)}")
    with nameless(draft, target, mode=mode) as place, open(place, "wb") as file:
        yield file
        file.flush()
        if durable:
            os.fsync(file.fileno())
    if durable:
        fsync_folder(target.parent)


@contextmanager
def nameless(draft: Path, target: Path, *, mode: int = 0o666, flag: int | None = _NAMELESS) -> Iterator[Path]:
    """Give a path to write a file to, which is called ``target`` when the block has ended, instead of what was called so.

    A process that is killed leaves nothing of it. Where the system knows no files without names (``flag`` is what it
    calls them), it is called ``draft`` until then; and for a moment where something is replaced.
    """
    file = _opened(draft.parent, flag, mode)
    if file is None:
        os.close(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode))
    try:
        yield draft if file is None else Path(_FILES, str(file))
        if file is None:
            os.rename(draft, target)
        else:
            _give_name(file, draft, target)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise
    finally:
        if file is not None:
            os.close(file)


def _opened(folder: Path, flag: int | None, mode: int) -> int | None:
    if flag is None or not os.path.isdir(_FILES):
        return None
    try:
        return os.open(folder, flag | os.O_RDWR, mode)
    except OSError:  # of a file system that has none, or what the next attempt will say
        return None


def _give_name(file: int, draft: Path, target: Path) -> None:
    try:
        _link(file, target)
    except FileExistsError:  # a link takes no place that is taken, a rename does
        _link(file, draft)
        os.rename(draft, target)


def _link(file: int, path: Path) -> None:
    folder = os.open(path.parent, os.O_RDONLY)
    try:  # links are followed only with a folder that is open
        os.link(Path(_FILES, str(file)), path.name, dst_dir_fd=folder, follow_symlinks=True)
    finally:
        os.close(folder)


def write_atomic(target: Path, data: bytes, *, mode: int = 0o644, durable: bool = True) -> None:
    """Write a whole file so that a reader sees the old content or the new, never a part; `durable` as in `atomic_write`."""
    with atomic_write(target, mode=mode, durable=durable) as file:
        file.write(data)


def fsync_folder(folder: Path) -> None:
    """Make the names in a folder durable (a rename is not, until its folder is synced)."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
