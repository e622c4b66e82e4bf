"""The folder that the processes of one server share: whoever is the last of them removes it, however the others ended."""

from __future__ import annotations

import fcntl
import os
import shutil
from contextlib import suppress
from pathlib import Path

__all__ = ["SharedFolder", "own_part", "remove_part"]


class SharedFolder:
    """Use a folder until ``leave``: by a lock, which the kernel ends with the process, kill -9 included."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
        fcntl.flock(self._lock, fcntl.LOCK_SH)

    def leave(self) -> None:
        """Use it no more; if nobody else does, it goes, with all that is in it."""
        with suppress(BlockingIOError):
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(self._path, ignore_errors=True)
        os.close(self._lock)


def own_part() -> str:
    """Return how the names of folders begin that belong to this process alone."""
    return _part(os.getpid())


def remove_part(path: Path, pid: int) -> None:
    """Remove what a process has left that was killed."""
    for left in path.glob(f"{_part(pid)}*"):
        shutil.rmtree(left, ignore_errors=True)


def _part(pid: int) -> str:
    return f"requests-{pid}-"
