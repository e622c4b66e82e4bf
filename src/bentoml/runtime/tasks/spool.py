"""Bodies of any length: short ones in memory, long ones in files of their own, on disk before anybody is told of them."""

from __future__ import annotations

import asyncio
import errno
import os
import secrets
from pathlib import Path

from .model import Body

__all__ = ["NO_ROOM", "Spool", "forget"]

NO_ROOM = (errno.ENOSPC, errno.EDQUOT)

_IN_MEMORY = 64 << 10  # bytes up to which a body is kept in the database


class Spool:
    """Take the pieces of one body; ``prefix`` names the file's owner."""

    def __init__(self, folder: Path, prefix: str) -> None:
        self._folder = folder
        self.name = f"{prefix}.{secrets.token_hex(8)}"
        self._pieces: list[bytes] = []
        self._size = 0
        self._path: Path | None = None
        self._file = -1

    def write(self, piece: bytes) -> None:
        """Add a piece.

        Raises:
            OSError: it cannot be written.
        """
        self._size += len(piece)
        self._pieces.append(piece)
        if self._size > _IN_MEMORY:
            self._spill()

    async def settled(self) -> Body:
        """Return the whole body; a file is on the disk now.

        Raises:
            OSError: it cannot be written.
        """
        if self._path is None:
            return b"".join(self._pieces)
        await asyncio.to_thread(self._sync)
        return self._path

    def keep(self) -> None:
        """Say that the body belongs to a task now, or may: it is deleted with the task, or swept up where there is none."""
        self._path = None

    def discard(self) -> None:
        """Forget the body, unless it is kept."""
        self._pieces.clear()
        self._close()
        if self._path is not None:
            self._path.unlink(missing_ok=True)
            self._path = None

    def _spill(self) -> None:
        if self._path is None:
            path = self._folder / self.name
            self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            self._path = path
        pieces, self._pieces = self._pieces, []
        for piece in pieces:
            view = memoryview(piece)
            while view:
                view = view[os.write(self._file, view) :]

    def _sync(self) -> None:
        os.fsync(self._file)
        self._close()
        folder = os.open(self._folder, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def _close(self) -> None:
        if self._file >= 0:
            os.close(self._file)
            self._file = -1


def forget(body: Body) -> None:
    """Delete a body that was kept for a task that is not to be."""
    if isinstance(body, Path):
        body.unlink(missing_ok=True)
