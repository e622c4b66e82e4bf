"""Partial blobs: what has arrived of a blob stays in a file named by its digest, so that the next run goes on there."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ..exceptions import BentoMLException
from ..store.garbage import is_forgotten
from ..store.locks import try_lock, unlink_unlocked
from .client import Registry
from .documents import Descriptor

__all__ = ["Partials"]

_CHUNK = 1 << 20


class Partials:
    """A folder of blobs on their way. A file belongs to whoever holds its lock; others take one of their own."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def fetch(
        self, registry: Registry, descriptor: Descriptor, target: Path, told: Callable[[int], None]
    ) -> int:
        """Make ``target`` a file that holds a blob, checked while it was written; return the bytes that were fetched.

        What another run has left of it is not fetched again. What has arrived stays here, too, until it is dropped.

        Raises:
            BentoMLException: the blob cannot be fetched, or is not what its digest says.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        with self._claimed(descriptor) as (path, file):
            state, there = _state(file, descriptor.size)
            told(there)
            fetched = 0
            for chunk in registry.blob(descriptor, there):
                state.update(chunk)
                _write(file, chunk)
                fetched += len(chunk)
                told(len(chunk))
            if state.hexdigest() != descriptor.digest.hex:
                path.unlink()
                raise BentoMLException(
                    f"registry `{registry.host}` gave `sha256:{state.hexdigest()}` when asked for `{descriptor.digest}`"
                )
            _give(path, target)
        return fetched

    def drop(self, descriptors: Iterable[Descriptor]) -> None:
        """Forget blobs that are where they belong, and what nobody came back for within a week."""
        whole = {descriptor.digest.hex for descriptor in descriptors}
        with suppress(FileNotFoundError):
            for path in self._folder.iterdir():
                with suppress(FileNotFoundError, PermissionError):
                    if path.name.partition(".")[0] in whole or is_forgotten(path):
                        unlink_unlocked(path)

    @contextmanager
    def _claimed(self, descriptor: Descriptor) -> Iterator[tuple[Path, int]]:
        """Open the file of a blob, or another one where a process is at it."""
        number = 0
        while True:
            path = self._folder / (descriptor.digest.hex + (f".{number}" if number else ""))
            number += 1
            try:
                file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
            except PermissionError:
                if not path.exists():
                    raise
                continue  # another user's: that of `sudo`, say
            try:
                if try_lock(file, path):
                    yield path, file
                    return
            finally:
                os.close(file)


def _state(file: int, size: int) -> tuple[hashlib._Hash, int]:
    """Read what has arrived; return the state of its digest, and how much it is."""
    state, there = hashlib.sha256(), 0
    while there < size and (data := os.read(file, min(_CHUNK, size - there))):
        state.update(data)
        there += len(data)
    os.ftruncate(file, there)
    return state, there


def _give(path: Path, target: Path) -> None:
    """Give a blob a name in an item on its way in; where another one has it already, its mode is not ours to change."""
    if path.stat().st_nlink > 1:
        shutil.copyfile(path, target)
        return
    try:
        os.link(path, target)
    except OSError:  # a file system without links
        os.replace(path, target)


def _write(file: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(file, view) :]
