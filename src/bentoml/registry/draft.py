"""Drafts: the folder of an item on its way in, filled from layers; nothing but its own list of files names a path in it."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

from ..exceptions import BentoMLException
from ..store.blobs import Blobs
from ..store.manifest import Manifest
from ..store.tree import Entry
from .artifact import Layer
from .bundle import unpack
from .documents import Descriptor

__all__ = ["Draft"]

Fetch = Callable[[Descriptor, Path], None]

_NO_PLACE = {errno.EEXIST, errno.ENOTDIR, errno.EISDIR, errno.ENAMETOOLONG, errno.EINVAL, errno.ELOOP}


class Draft:
    """Fill ``folder`` with the files of an item; what the store holds already is linked instead of fetched.

    ``wanted`` are the layers to `place`. ``checked`` are the files whose content is known to be what the item says.
    """

    def __init__(self, folder: Path, info: Manifest, layers: Sequence[Layer], blobs: Blobs) -> None:
        self.folder = folder
        self._info = info
        self._scratch = folder.with_name(f".{folder.name}")
        self._scratch.mkdir()
        self.checked = {
            entry for entry in info.files.entries if _is_file(entry) and self._linked(entry, blobs)
        }
        self.wanted = [layer for layer in layers if not self.checked.issuperset(layer.piece.entries)]

    def place(self, number: int, fetch: Fetch) -> None:
        """Fetch a layer that is wanted and put its files into their places; shards wait for `finish`."""
        layer, arrived = self.wanted[number], self._scratch / str(number)
        fetch(layer.descriptor, arrived)
        missing = [entry for entry in layer.piece.entries if entry not in self.checked]
        if layer.piece.is_bundle:
            for entry, data in unpack(arrived, layer.piece.entries):
                if entry not in self.checked:
                    self._put(entry, lambda target, data=data: target.write_bytes(data))  # type: ignore[misc]
            arrived.unlink()
        elif not layer.piece.is_shard:
            self._spread(arrived, missing)
        if layer.piece.is_bundle or layer.descriptor.digest == layer.piece.entries[0].digest:
            self.checked.update(missing)

    def finish(self, config: bytes) -> None:
        """Put together what was fetched in shards, and write the manifest, links and empty files."""
        self._join_shards()
        for entry in self._info.files.entries:
            if entry.link is None and not entry.size:
                self._put(entry, lambda target: target.touch(exist_ok=False))
        for entry in self._info.files.entries:  # last, so that nothing is written through a link
            if (link := entry.link) is not None:
                self._put(entry, lambda target, link=link: target.symlink_to(link))  # type: ignore[misc]
        self._scratch.rmdir()
        manifest = self.folder / self._info.FILE
        if os.path.lexists(manifest):
            raise self._misplaced(self._info.FILE)
        manifest.write_bytes(config)

    def _join_shards(self) -> None:
        shards: dict[tuple[Entry, ...], list[int]] = {}
        for number, layer in enumerate(self.wanted):
            if layer.piece.is_shard:
                shards.setdefault(layer.piece.entries, []).append(number)
        for entries, numbers in shards.items():
            first, *others = (self._scratch / str(number) for number in numbers)
            whole = self._scratch / "whole"
            shutil.copyfile(first, whole)  # the first one may still have a name among the partial blobs
            first.unlink()
            with whole.open("ab") as out:
                for other in others:
                    with other.open("rb") as part:
                        shutil.copyfileobj(part, out, 1 << 20)
                    other.unlink()
            self._spread(whole, [entry for entry in entries if entry not in self.checked])

    def _spread(self, content: Path, entries: Sequence[Entry]) -> None:
        """Move a file into its first place in the item, and copy it into the others."""
        first, *others = entries
        self._put(first, content.rename)
        for entry in others:
            self._put(entry, lambda target: shutil.copyfile(self.folder / first.path, target))

    def _linked(self, entry: Entry, blobs: Blobs) -> bool:
        """Take a file from the store; one that cannot be linked, or has just been deleted, is fetched."""
        if not blobs.holds(entry):
            return False
        try:
            os.link(blobs.path(entry), self._target(entry))
        except OSError:
            return False
        return True

    def _put(self, entry: Entry, make: Callable[[Path], object]) -> None:
        try:
            target = self._target(entry)
            if os.path.lexists(target):
                raise self._misplaced(entry.path)
            make(target)
            if entry.link is None:
                target.chmod(0o755 if entry.executable else 0o644)
        except (OSError, ValueError) as e:
            if isinstance(e, OSError) and e.errno not in _NO_PLACE:
                raise
            raise self._misplaced(entry.path) from e

    def _target(self, entry: Entry) -> Path:
        target = self.folder / entry.path
        target.parent.mkdir(parents=True, exist_ok=True)
        return target

    def _misplaced(self, path: str) -> BentoMLException:
        return BentoMLException(f"`{self._info.tag}` has a file {path!r} where it cannot have one")


def _is_file(entry: Entry) -> bool:
    return entry.link is None and bool(entry.size)
