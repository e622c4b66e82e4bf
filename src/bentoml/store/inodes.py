"""Inodes: which names in a store are one and the same file."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

__all__ = ["Inode", "files_in", "generation", "inode"]

Inode = tuple[int, int]  # device and number


def inode(found: os.stat_result) -> Inode:
    """Return what tells a file from all others, whatever names it has."""
    return found.st_dev, found.st_ino


def generation(folder: Path) -> tuple[int, ...]:
    """Return what changes when a folder is made anew or names in it come and go; nothing where there is no folder."""
    try:
        found = os.stat(folder)
    except OSError:
        return ()
    return *inode(found), found.st_ctime_ns


def files_in(path: Path | str) -> Iterator[os.stat_result]:
    """Yield the `stat` of each file at or under a path, following no links; what vanishes meanwhile is left out."""
    try:
        with os.scandir(path) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    yield from files_in(entry.path)
                else:
                    with suppress(FileNotFoundError):
                        yield entry.stat(follow_symlinks=False)
    except NotADirectoryError:
        with suppress(FileNotFoundError):
            yield os.lstat(path)
    except FileNotFoundError:
        return
