"""The layers of models on Hugging Face: a cache of its library, so that a container fetches nothing."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ....store.archives.tar import Tar, TarEntry
from ....store.digest import Digest
from ..blobs import CheckedBlob, FileBlob
from ..cache import Cache, recipe_layer
from ..codec import Codec, stored_codec
from ..model import Layer
from .place import HOME, HUB, UID, folders

__all__ = ["HubFiles", "hub_layers"]

_LARGE_FILE = 512 << 20  # bytes that make a file worth a layer of its own
_MAX_LARGE = 16  # of them for each model; the others share one
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class HubFiles:
    """The files of a model at a commit, by their paths in the cache of Hugging Face's library."""

    name: str
    files: Mapping[str, Path]


def hub_layers(
    models: Iterable[HubFiles],
    cache: Cache,
    *,
    epoch: int,
    codec: Codec | None = None,
    large: int = _LARGE_FILE,
) -> tuple[Layer, ...]:
    """Return a layer for each model, and one for each of its largest files. Weights are framed, not compressed."""
    layers: list[Layer] = []
    for model in models:
        entries = [_entry(path, file) for path, file in sorted(model.files.items())]
        by_size = sorted((entry for entry in entries if entry.size > large), key=lambda entry: -entry.size)
        apart = by_size[:_MAX_LARGE]
        rest = [entry for entry in entries if entry not in apart]
        groups = [*([entry] for entry in sorted(apart, key=lambda entry: entry.path)), rest]
        layers += [
            _layer(model.name, group, cache, epoch, codec or stored_codec()) for group in groups if group
        ]
    return tuple(layers)


def _entry(path: str, file: Path) -> TarEntry:
    return TarEntry(f"{HUB}/{path}", "file", 0o644, file.stat().st_size, file.resolve(), uid=UID, gid=UID)


def _layer(name: str, files: Sequence[TarEntry], cache: Cache, epoch: int, codec: Codec) -> Layer:
    parents = folders((file.path for file in files), HOME, owner=UID)
    tar = Tar.of([*parents, *files], mtime=epoch)
    key = ["huggingface", epoch, *(_identity(entry) for entry in tar.entries)]
    about = f"model {name}" if len(files) > 1 else f"model {name}: {os.path.basename(files[0].path)}"
    checked = tar._replace(entries=tuple(map(_checked, tar.entries)))
    return recipe_layer(cache, key, tar, codec, "model", about, checked=checked)


def _checked(entry: TarEntry) -> TarEntry:
    """Return an entry that refuses another content than that by which the library calls its large files."""
    if not isinstance(entry.source, Path) or not _SHA256.fullmatch(entry.source.name):
        return entry
    digest = Digest.parse(f"sha256:{entry.source.name}")
    return entry._replace(source=CheckedBlob(FileBlob(entry.source), digest, entry.path))


def _identity(entry: TarEntry) -> list[object]:
    if not isinstance(entry.source, Path):
        return [entry.path, entry.kind]
    stat = entry.source.stat()
    return [entry.path, entry.source.name, entry.size, stat.st_mtime_ns]
