"""Nameless: a file that gets its name once it is whole, so that a process that is killed leaves nothing of it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["nameless"]


@contextmanager
def nameless(draft: Path, target: Path) -> Iterator[Path]:
    """Give a path to write a file to, which is called ``target`` when the block has ended, instead of what was called so.

    Where the system knows no files without names, it is called ``draft`` until then; and for a moment where something
    is replaced.
    """
    file = _opened(draft.parent)
    if file is None:
        yield draft
        os.rename(draft, target)
        return
    try:
        place = f"/proc/self/fd/{file}"
        yield Path(place)
        try:
            _give_name(place, target)
        except FileExistsError:
            _give_name(place, draft)
            os.rename(draft, target)
    finally:
        os.close(file)


def _opened(folder: Path) -> int | None:
    flag = getattr(os, "O_TMPFILE", None)
    if flag is None or not os.path.isdir("/proc/self/fd"):
        return None
    try:
        return os.open(folder, flag | os.O_RDWR, 0o666)
    except OSError:  # of a file system that has none, or what the next attempt will say
        return None


def _give_name(place: str, path: Path) -> None:
    folder = os.open(path.parent, os.O_RDONLY)
    try:  # links are followed only with a folder that is open
        os.link(place, path.name, dst_dir_fd=folder, follow_symlinks=True)
    finally:
        os.close(folder)
