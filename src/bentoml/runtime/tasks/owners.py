"""Which processes live: each holds a lock on a file of its own, which the kernel ends with the process.

So a dead process is known at once, a busy or stopped one is never taken for dead, and nobody has to look at a clock. A process that was forked from
one of these does not keep it alive: it closes its copy.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import weakref
from pathlib import Path

__all__ = ["Owner", "dead_owners", "is_alive"]

_open: weakref.WeakSet[Owner] = weakref.WeakSet()


class Owner:
    """This process, as others see it."""

    def __init__(self, folder: Path) -> None:
        self.name = secrets.token_hex(8)
        self._path = folder / self.name
        new = folder / f".{self.name}"
        self._file = os.open(new, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        fcntl.flock(self._file, fcntl.LOCK_EX)
        os.rename(new, self._path)  # it never bears its name without its lock
        _open.add(self)

    def close(self) -> None:
        """Be dead to others, and leave no file."""
        if self in _open:
            _open.discard(self)
            self._path.unlink(missing_ok=True)
            os.close(self._file)

    def _forget(self) -> None:
        os.close(self._file)


def is_alive(folder: Path, name: str) -> bool:
    """Tell whether an owner's process lives; one without a file does not."""
    try:
        file = os.open(folder / name, os.O_RDWR)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(file)
    return False


def dead_owners(folder: Path) -> list[str]:
    """Return the owners that left their files behind."""
    names = [entry.name for entry in os.scandir(folder) if not entry.name.startswith(".")]
    return [name for name in names if not is_alive(folder, name)]


def _forget_all() -> None:
    for owner in list(_open):
        owner._forget()
    _open.clear()


os.register_at_fork(after_in_child=_forget_all)
