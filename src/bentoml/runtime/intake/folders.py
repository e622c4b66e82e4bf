"""The temporary folder of a request: made when it is first asked for, emptied and used again by later requests."""

from __future__ import annotations

import os
import shutil
import tempfile
import threading
from pathlib import Path

__all__ = ["Folders"]


class Folders:
    """Lend folders under one private parent, which ``close`` removes with all that is in it.

    ``inside`` is where that lies, and ``prefix`` how it is called; by default it is a temporary folder like any other.
    """

    def __init__(self, inside: Path | None = None, prefix: str = "bentoml-") -> None:
        self._inside = inside
        self._prefix = prefix
        self._parent: Path | None = None
        self._free: list[Path] = []
        self._lock = threading.Lock()

    def take(self) -> Path:
        """Return an empty folder that no other request has; safe to call from any thread."""
        try:
            return self._free.pop()
        except IndexError:
            with self._lock:
                if self._parent is None:
                    self._parent = Path(tempfile.mkdtemp(prefix=self._prefix, dir=self._inside))
            return Path(tempfile.mkdtemp(prefix="bentoml-request-", dir=self._parent))

    def give_back(self, folder: Path) -> None:
        """Empty a folder and keep it for the next request; one that cannot be emptied is not used again."""
        try:
            with os.scandir(folder) as entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        shutil.rmtree(entry.path)
                    else:
                        os.unlink(entry.path)
        except OSError:  # the API removed it, or took away the rights to it
            shutil.rmtree(folder, ignore_errors=True)
        else:
            self._free.append(folder)

    def close(self) -> None:
        """Remove every folder."""
        if self._parent is not None:
            shutil.rmtree(self._parent, ignore_errors=True)
            self._parent = None
            self._free.clear()
