"""Memory: what is worth knowing in the next run: where an upload stands, which repository has an item. All of it may be lost."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from ..store.digest import Digest
from ..store.locks import try_lock

__all__ = ["Memory", "Note"]


@dataclass(frozen=True, slots=True)
class Note:
    """A text that is this process's own for a while; without a file nothing is kept."""

    _file: int | None = None

    def recall(self) -> str | None:
        """Return what was noted last, by this process or by one that has died; what cannot be read is nothing."""
        if self._file is None:
            return None
        text = os.pread(self._file, os.fstat(self._file).st_size, 0)
        with suppress(ValueError):
            found = json.loads(text)
            return found if isinstance(found, str) else None
        return None

    def write(self, text: str) -> None:
        """Note a text instead of what was noted before; an empty one is none."""
        if self._file is not None:
            with suppress(OSError):
                os.ftruncate(self._file, 0)
                os.pwrite(self._file, json.dumps(text).encode() if text else b"", 0)


class Memory(NamedTuple):
    """Short texts by key, a file each, in a folder that is made with the first."""

    folder: Path

    def recall(self, key: list[object]) -> str | None:
        """Return what was remembered under a key; what cannot be read counts as forgotten."""
        with suppress(OSError, ValueError):
            found = json.loads(self._file(key).read_bytes())
            return found if isinstance(found, str) else None
        return None

    def remember(self, key: list[object], text: str) -> None:
        """Remember a text; that a folder cannot be written is no reason to fail."""
        with self.note(key) as note:
            note.write(text)

    @contextmanager
    def note(self, key: list[object]) -> Iterator[Note]:
        """Give the text of a key to this process alone during the block; one that another has now keeps nothing."""
        path = self._file(key)
        file = self._opened(path)
        is_ours = file is not None and try_lock(file, path)
        try:
            yield Note(file if is_ours else None)
        finally:
            if file is not None:
                if is_ours and not os.fstat(file).st_size:
                    path.unlink(missing_ok=True)
                os.close(file)

    def _opened(self, path: Path) -> int | None:
        """Open a file to read and write; nothing where that cannot be."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            return os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        except OSError:
            return None

    def _file(self, key: list[object]) -> Path:
        return self.folder / f"{Digest.of_json(key).hex}.json"
