"""Memory: what is worth knowing in the next run: where an upload stands, which repository has an item. All of it may be lost."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from ..paths import write_atomic
from ..store.digest import Digest

__all__ = ["Memory"]


@dataclass(frozen=True, slots=True)
class Memory:
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
        with suppress(OSError):
            self.folder.mkdir(parents=True, exist_ok=True)
            write_atomic(self._file(key), json.dumps(text).encode(), mode=0o600)

    def forget(self, key: list[object]) -> None:
        """Forget what was remembered under a key."""
        with suppress(OSError):
            self._file(key).unlink()

    def _file(self, key: list[object]) -> Path:
        return self.folder / f"{Digest.of_json(key).hex}.json"
