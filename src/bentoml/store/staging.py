"""The staging area: everything is made here, on the store's file system, and renamed into its place.

Where the models or bentos, or those of one name, have a disk of their own, what is renamed there waits in a ``.staging``
beside them.

Each folder ``staging/<token>`` belongs to the process that holds ``staging/<token>.lock``. A folder whose lock nobody
holds was left by a process that died, and is removed by whoever comes next.
"""

from __future__ import annotations

import errno
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ..config import Home
from ..exceptions import BentoMLException
from .locks import abandoned, claimed, locked

__all__ = ["Staging", "places", "remove", "remove_empty"]

_BESIDE = ".staging"

_FULL = {errno.ENOSPC, errno.EDQUOT}
_READ_ONLY = {errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EEXIST}


class Staging:
    """Hand out folders that vanish when their block ends, whatever happens."""

    def __init__(self, home: Home, root: Path | None = None) -> None:
        self._home = home.root
        self._root = root or home.staging

    @contextmanager
    def folder(self) -> Iterator[Path]:
        """Make an empty folder for the block; what is not renamed away by its end is removed.

        Raises:
            BentoMLException: the store cannot be written, or its disk is full.
        """
        self._make_root()
        with self._enough_room(), self._claimed() as folder:
            try:
                yield folder
            finally:
                remove(folder)

    @contextmanager
    def beside(self, items: Path, folder: Path) -> Iterator[Path]:
        """Give a folder from which one can rename to the items of a name: the given one of this area, or one on their disk."""
        there = [place for place in (self._home, items.parent, items) if place.is_dir()]
        disk = os.stat(there[-1]).st_dev
        if disk == os.stat(folder).st_dev:
            yield folder
        else:
            beside = next(place for place in there if os.stat(place).st_dev == disk) / _BESIDE
            try:
                with Staging(Home(self._home), beside).folder() as place:
                    yield place
            finally:
                remove_empty(beside)

    @contextmanager
    def publishing(self) -> Iterator[None]:
        """Hold the lock under which items appear, disappear and share their bytes; it is held for milliseconds."""
        self._make_root()
        with self._enough_room(), locked(self._home / "store.lock"):
            yield

    def remove_abandoned(self) -> bool:
        """Remove the folders of processes that died; return whether there were any."""
        removed = [self.remove(lock.with_suffix("")) for lock in self._root.glob("*.lock")]
        return any(removed)

    def remove(self, folder: Path) -> bool:
        """Remove a folder of this place unless a process that lives has it; return whether it had none."""
        lock = folder.with_suffix(".lock")
        # Its owner, if it had one, would have removed the folder before the lock.
        if not lock.exists() and folder.exists():
            with suppress(FileExistsError), lock.open("xb"):
                pass
        with abandoned(lock) as dead:
            if dead:
                remove(folder)
        return dead

    @contextmanager
    def _claimed(self) -> Iterator[Path]:
        while True:
            folder = self._root / secrets.token_hex(8)
            with claimed(folder.with_suffix(".lock")) as mine:
                if mine:
                    folder.mkdir()
                    yield folder
                    return

    @contextmanager
    def _enough_room(self) -> Iterator[None]:
        """Say what a full disk means."""
        try:
            yield
        except OSError as e:
            if e.errno not in _FULL:
                raise
            raise BentoMLException(
                f"{e.strerror}: nothing was stored in `{self._home}`; make room, or set BENTOML_HOME to a folder "
                "on a larger disk"
            ) from e

    def _make_root(self) -> None:
        try:
            self._root.mkdir(parents=True, exist_ok=True)
            if not os.access(self._root, os.W_OK):
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(self._root))
        except OSError as e:
            if e.errno not in _READ_ONLY:
                raise
            raise BentoMLException(
                f"the store `{self._home}` cannot be written ({e.strerror}: `{e.filename}`); "
                "set BENTOML_HOME to a folder that you own"
            ) from e


def places(home: Home) -> list[Path]:
    """Return the folders in which things wait, whether they are there or not."""
    beside = (place for root in (home.models, home.bentos) for place in root.glob(f"*/{_BESIDE}"))
    return [home.staging, home.models / _BESIDE, home.bentos / _BESIDE, *beside]


def remove_empty(beside: Path) -> None:
    """Remove a place beside items where nothing waits: BentoML 1.x knows no other folders than those of items there."""
    with suppress(OSError):  # it is not there, or something waits
        beside.rmdir()


def remove(folder: Path) -> None:
    """Remove a folder with all that is in it, read-only folders included; do nothing if there is none."""
    try:
        shutil.rmtree(folder)
    except FileNotFoundError:
        return
    except PermissionError:
        for parent, _, _ in os.walk(folder):
            os.chmod(parent, 0o700)
        shutil.rmtree(folder)
