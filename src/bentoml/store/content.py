"""Content: is a file of the store still what was stored, and how one can tell without reading it.

Everything that the store keeps has one time of change, `STAMP`. A file that was written to has another one, and so have
the files of a store that was copied without its times: only those are read again. One that is found whole gets its
stamp back where that can be written, so that it is read once.

What this cannot see, a file that rotted on the disk or whose time was set back, is found by reading all of it. Whoever
finds it takes its stamp away, so that nobody trusts it from then on.
"""

from __future__ import annotations

import hashlib
import os
import stat
from contextlib import suppress
from pathlib import Path

from .tree import Entry

__all__ = ["CHANGED", "STAMP", "is_executable", "put_stamp", "take_stamp", "unreadable", "wrong_content"]

CHANGED = "has other content than what was stored"
STAMP = 1_000_000_000 * 10**9  # 2001-09-09 01:46:40 UTC, even for file systems that count by two seconds


def is_executable(mode: int) -> bool:
    """Say whether a file of this mode is a program: whether its owner may run it."""
    return bool(mode & stat.S_IXUSR)


def put_stamp(file: Path | int) -> None:
    """Give a file the time of change that says: nobody wrote to it since it was stored."""
    os.utime(file, ns=(STAMP, STAMP))


def take_stamp(file: str | Path | int) -> None:
    """Give a file that is not what was stored the present time: who loads its item will read it, and refuse."""
    with suppress(OSError):  # in a store that this user cannot write, only who reads it knows
        os.utime(file)


def wrong_content(file: str | Path, entry: Entry) -> str | None:
    """Read a file and say what is wrong with it.

    One that is whole gets its stamp, if nobody wrote to it meanwhile; one that is not loses it.
    """
    try:
        with open(file, "rb") as stream:
            before = os.fstat(stream.fileno())
            if hashlib.file_digest(stream, "sha256").hexdigest() != entry.digest.hex:
                take_stamp(stream.fileno())
                return CHANGED
            if before.st_mtime_ns == os.fstat(stream.fileno()).st_mtime_ns != STAMP:
                with suppress(OSError):  # in a store that this user cannot write, it is read again next time
                    put_stamp(stream.fileno())
    except OSError as e:
        return unreadable(e)
    return None


def unreadable(error: OSError) -> str:
    """Say that a file cannot be read, and why."""
    return f"cannot be read: {error.strerror}"
