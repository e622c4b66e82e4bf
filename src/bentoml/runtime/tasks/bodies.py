"""The long bodies of a queue: a file each, named after the process that wrote it, so that what it left half done is known."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from .model import Body
from .owners import Owner, dead_owners, is_alive
from .spool import Spool

__all__ = ["Bodies"]

_SWEEP_EVERY = 30.0


class Bodies:
    """The files of one process and of those that it shares the folder with."""

    def __init__(self, folder: Path) -> None:
        self._files = folder / "bodies"
        self._owners = folder / "owners"
        for each in (folder, self._files, self._owners):
            each.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.owner = Owner(self._owners)
        self._swept = 0.0

    def spool(self) -> Spool:
        """Return a place for a new body."""
        return Spool(self._files, self.owner.name)

    def columns(self, body: Body) -> tuple[bytes | None, str | None]:
        """Return what the database keeps of a body: its bytes, or the name of its file."""
        return (None, body.name) if isinstance(body, Path) else (body, None)

    def body(self, data: bytes | None, file: str | None) -> Body:
        """Return the body of what the database keeps."""
        return self._files / file if file else data or b""

    def shared(self, file: str) -> str:
        """Give a file a second name: a second task may have it."""
        spool = self.spool()
        try:
            os.link(self._files / file, self._files / spool.name)
        except OSError:  # a file system without hard links
            shutil.copyfile(self._files / file, self._files / spool.name)
        return spool.name

    def is_alive(self, owner: str) -> bool:
        """Tell whether a process lives."""
        return is_alive(self._owners, owner)

    def delete(self, files: Iterable[str]) -> None:
        """Delete files."""
        for file in files:
            (self._files / file).unlink(missing_ok=True)

    def sweep(self, is_named: Callable[[str], bool]) -> None:
        """Delete what dead processes wrote and nothing names, now and then."""
        now = time.monotonic()
        if now < self._swept + _SWEEP_EVERY and self._swept:
            return
        first, self._swept = not self._swept, now
        dead = set(dead_owners(self._owners))
        if dead or first:
            files = os.listdir(self._files)
            if first:  # also those whose owners have been swept away before
                owners = {file.partition(".")[0] for file in files}
                dead |= {owner for owner in owners if not self.is_alive(owner)}
            left = [file for file in files if file.partition(".")[0] in dead]
            self.delete([file for file in left if not is_named(file)])
        for owner in dead:
            (self._owners / owner).unlink(missing_ok=True)

    def close(self) -> None:
        """Say that this process owns nothing any more."""
        self.owner.close()
