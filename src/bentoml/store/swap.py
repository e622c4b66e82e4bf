"""Swap: two folders change places in one step, so that whoever looks, or is killed, meanwhile finds one of them there."""

from __future__ import annotations

import errno
import os
from pathlib import Path

__all__ = ["by_renaming", "swap"]

_HERE = -100  # AT_FDCWD of openat(2)
_EXCHANGE = 2  # of renameat2(2)
_UNKNOWN = {errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTSUP}


def swap(one: Path, other: Path) -> None:
    """Let two folders of one file system change places; where it cannot do that in one step, in three."""
    try:
        _exchange(one, other)
    except OSError as e:
        if e.errno not in _UNKNOWN:
            raise
        by_renaming(one, other)


def by_renaming(one: Path, other: Path) -> None:
    """Let two folders change places in three steps, as file systems can that know no better."""
    aside = one.with_name(f".{one.name}")
    other.rename(aside)
    one.rename(other)
    aside.rename(one)


def _exchange(one: Path, other: Path) -> None:
    import ctypes  # only here, as loading it takes longer than most commands of the store

    rename = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if rename is None:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))
    if rename(_HERE, os.fsencode(one), _HERE, os.fsencode(other), _EXCHANGE):
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code), str(one), None, str(other))
