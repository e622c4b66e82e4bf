"""Locks between processes (and threads): `flock` on a file, which the kernel releases when its holder dies."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

__all__ = ["abandoned", "claimed", "is_abandoned", "locked", "locked_folder", "try_lock", "unlink_unlocked"]


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Wait until nobody else holds the lock of this file, and hold it during the block."""
    with path.open("ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


@contextmanager
def locked_folder(folder: Path) -> Iterator[None]:
    """Wait until nobody else holds the lock of this folder, and hold it during the block; nothing is written into it."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


@contextmanager
def claimed(path: Path) -> Iterator[bool]:
    """Create a lock file, hold it during the block and remove it; yield False if `abandoned` took it away."""
    with _created(path) as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        # Between `open` and `flock` the file looked like one whose owner had died: a cleaner may have removed it.
        alive = os.fstat(file.fileno()).st_nlink > 0
        try:
            yield alive
        finally:
            path.unlink(missing_ok=True)


def _created(path: Path) -> BinaryIO:
    """Create a file, and its folder each time that somebody removes it, empty as it is."""
    while True:
        try:
            return path.open("xb")
        except FileNotFoundError:
            path.parent.mkdir(parents=True, exist_ok=True)


@contextmanager
def abandoned(path: Path) -> Iterator[bool]:
    """Yield True if the owner of a claimed lock file is dead; the file is then removed when the block ends."""
    try:
        file = path.open("r+b")
    except FileNotFoundError:
        yield False
        return
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        yield True
        path.unlink(missing_ok=True)


def try_lock(file: int, path: Path) -> bool:
    """Lock an open file if nobody has, and if it is still the one of that name: its last owner may have moved it away."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return os.path.samestat(os.fstat(file), os.stat(path))
    except (BlockingIOError, FileNotFoundError):
        return False


def unlink_unlocked(path: Path) -> None:
    """Remove a file, unless somebody holds its lock."""
    file = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    try:
        if try_lock(file, path):
            path.unlink()
    finally:
        os.close(file)


def is_abandoned(path: Path) -> bool:
    """Say whether the owner of a claimed lock file is dead, changing nothing."""
    try:
        with path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except (FileNotFoundError, BlockingIOError):
        return False
    return True
