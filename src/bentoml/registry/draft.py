"""Drafts: the folder of an item on its way in, filled from layers; nothing but its own list of files names a path in it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterable, Sequence
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


class Draft:
    """Fill ``folder`` with the files of an item; what the store holds already is linked instead of fetched."""

    def __init__(self, folder: Path, info: Manifest, layers: Sequence[Layer], blobs: Blobs) -> None:
        self.folder = folder
        self._info = info
        self._scratch = folder.with_name(f".{folder.name}")
        self._held = {entry for entry in info.files.entries if _is_file(entry) and self._linked(entry, blobs)}
        self.wanted = [layer for layer in layers if not self._held.issuperset(layer.piece.entries)]

    def place(self, layer: Layer, fetch: Fetch) -> None:
        """Fetch a layer and put its files into their places; shards wait for `finish`."""
        self._scratch.mkdir(exist_ok=True)
        arrived = self._scratch / f"{layer.descriptor.digest.hex}-{layer.piece.start}"
        fetch(layer.descriptor, arrived)
        if layer.piece.is_shard:
            return
        if layer.piece.is_bundle:
            for entry, data in unpack(arrived, layer.piece.entries):
                if entry not in self._held:
                    self._put(entry, lambda target, data=data: target.write_bytes(data))  # type: ignore[misc]
        else:
            self._spread(arrived, layer.piece.entries)
        arrived.unlink()

    def finish(self, config: bytes) -> None:
        """Put together what was fetched in shards, and write the manifest, links and empty files."""
        self._join_shards()
        for entry in self._info.files.entries:
            if entry.link is None and not entry.size:
                self._put(entry, lambda target: target.touch(exist_ok=False))
        for entry in self._info.files.entries:  # last, so that nothing is written through a link
            if (link := entry.link) is not None:
                self._put(entry, lambda target, link=link: target.symlink_to(link))  # type: ignore[misc]
        shutil.rmtree(self._scratch, ignore_errors=True)
        manifest = self.folder / self._info.FILE
        if os.path.lexists(manifest):
            raise BentoMLException(
                f"`{self._info.tag}` has a file `{self._info.FILE}` in the place of its manifest"
            )
        manifest.write_bytes(config)

    def _join_shards(self) -> None:
        shards: dict[tuple[Entry, ...], list[Layer]] = {}
        for layer in self.wanted:
            if layer.piece.is_shard:
                shards.setdefault(layer.piece.entries, []).append(layer)
        for entries, layers in shards.items():
            whole = self._scratch / "whole"
            with whole.open("wb") as out:
                for layer in layers:
                    arrived = self._scratch / f"{layer.descriptor.digest.hex}-{layer.piece.start}"
                    with arrived.open("rb") as part:
                        shutil.copyfileobj(part, out, 1 << 20)
                    arrived.unlink()
            self._spread(whole, entries)
            whole.unlink()

    def _spread(self, content: Path, entries: Iterable[Entry]) -> None:
        """Give a file the names that it has in the item; names of another mode get a copy."""
        first: dict[bool, Path] = {}
        for entry in entries:
            if entry in self._held:
                continue
            source = first.get(entry.executable)
            if source is not None or not first:
                self._put(entry, lambda target, source=source or content: os.link(source, target))  # type: ignore[misc]
            else:
                self._put(entry, lambda target: shutil.copyfile(content, target))
            first.setdefault(entry.executable, self.folder / entry.path)

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
                raise FileExistsError
            make(target)
            if entry.link is None:
                target.chmod(0o755 if entry.executable else 0o644)
        except (FileExistsError, NotADirectoryError, ValueError) as e:
            raise BentoMLException(
                f"`{self._info.tag}` has a file `{entry.path}` where it cannot have one"
            ) from e

    def _target(self, entry: Entry) -> Path:
        target = self.folder / entry.path
        target.parent.mkdir(parents=True, exist_ok=True)
        return target


def _is_file(entry: Entry) -> bool:
    return entry.link is None and bool(entry.size)
