"""Rows of numbers that one process adds to and others read: mapped files in a folder that the workers share.

Nothing is locked to add, and nothing is lost when the process is killed. A process that starts takes over the file of one
that is gone, so what only grows never goes back, and there are never more files than processes that lived at once.

``N.index`` is text: the first line says what the file holds; each other line is ``PLACE SIZE KEY`` and is written once its
cells exist. ``N.cells`` holds the cells, doubles. Whoever writes holds a lock on the index.
"""

from __future__ import annotations

import fcntl
import mmap
import os
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import BinaryIO

__all__ = ["Cells", "Rows", "read_rows"]

_CELLS = 1 << 17  # a sparse file of 1 MiB: only what is used takes room
_SCRATCH = (
    128  # the first cells belong to no row: rows for which there is no room are counted there and not shown
)


class Cells:
    """The rows of this process: ``values[place]`` is the first cell of a row."""

    def __init__(self, folder: Path, head: str) -> None:
        self._index = _claim(folder, head)
        cells = os.open(Path(self._index.name).with_suffix(".cells"), os.O_RDWR | os.O_CREAT, 0o600)
        os.ftruncate(cells, _CELLS * 8)
        self._map = mmap.mmap(cells, _CELLS * 8)
        os.close(cells)
        self.values = memoryview(self._map).cast("d")
        self.rows = _rows(self._index)
        self._next = max([_SCRATCH, *(place + size for place, size in self.rows.values())])

    def row(self, key: str, size: int) -> int:
        """Return the place of a row, which is made, of zeros, if it is not there."""
        known = self.rows.get(key)
        if known is not None:
            return known[0]
        place = self._next
        if place + size > _CELLS:
            return 0
        self._next += size
        self.rows[key] = (place, size)
        self._index.write(f"{place} {size} {key}\n".encode())
        self._index.flush()
        return place

    def close(self) -> None:
        """Let another process take the file over; the numbers stay."""
        self.values.release()
        self._map.close()
        self._index.close()


@dataclass(frozen=True)
class Rows:
    """What one file held when it was read; ``alive`` says whether a process still adds to it."""

    head: str
    alive: bool
    rows: dict[str, tuple[float, ...]]


def read_rows(folder: Path) -> Iterator[Rows]:
    """Read every file of a folder."""
    for path in sorted(folder.glob("*.index")):
        with open(path, "rb") as index:
            alive = not _locked(index, fcntl.LOCK_SH)
            head = index.readline().decode().rstrip("\n")
            places = _rows(index)
            cells = path.with_suffix(".cells")
            if not places or not cells.exists():
                continue
            values = memoryview(cells.read_bytes()).cast("d")
            rows = {key: tuple(values[place : place + size]) for key, (place, size) in places.items()}
        yield Rows(head, alive, rows)


def _claim(folder: Path, head: str) -> BinaryIO:
    """Open and lock the first index that no living process holds and that has this head, or a new one."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    for n in count():
        index = open(folder / f"{n}.index", "a+b")  # noqa: SIM115  # it stays open, and locked, with the process
        if _locked(index, fcntl.LOCK_EX):
            index.seek(0)
            content = index.read()
            whole = content.rpartition(b"\n")[0] + b"\n" if content else b""
            if not content or whole == b"\n":  # new, or its process was killed before the head was written
                index.truncate(0)
                index.write(head.encode() + b"\n")
                index.flush()
                return index
            if whole.startswith(head.encode() + b"\n"):
                index.truncate(len(whole))
                return index
        index.close()
    raise AssertionError("count() does not end")


def _locked(index: BinaryIO, mode: int) -> bool:
    try:
        fcntl.flock(index, mode | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _rows(index: BinaryIO) -> dict[str, tuple[int, int]]:
    index.seek(0)
    rows: dict[str, tuple[int, int]] = {}
    for line in index.read().split(b"\n")[1:-1]:
        place, size, key = line.decode().split(" ", 2)
        rows[key] = (int(place), int(size))
    return rows
