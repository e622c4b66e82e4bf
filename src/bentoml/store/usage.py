"""Usage: how much room the items of a store take, alone and together. Equal files are counted once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..config import Home
from ..tag import Tag
from .base import ItemStore
from .bentos import BentoStore
from .inodes import Inode, files_in, inode
from .models import ModelStore

__all__ = ["Room", "Usage", "measure"]


@dataclass(frozen=True, slots=True)
class Room:
    """Say what an item takes: ``size`` is that of all its files, ``own`` what would be free without it."""

    tag: Tag
    size: int
    own: int


@dataclass(frozen=True, slots=True)
class Usage:
    """Say what takes how many bytes; the names of ``models`` and ``bentos`` are tags without a version.

    ``items`` is what they take together, ``shared`` what they would take more if each had files of its own, and
    ``blobs`` the part of their files that can be shared (so that it is not to be added).
    """

    models: Mapping[Room, tuple[Room, ...]]
    bentos: Mapping[Room, tuple[Room, ...]]
    items: int
    shared: int
    blobs: int
    caches: Mapping[str, int]
    others: Mapping[str, int]


def measure(home: Home) -> Usage:
    """Measure a store, reading no file."""
    models, bentos = _files(ModelStore(home), home.models), _files(BentoStore(home), home.bentos)
    every = [*models.values(), *bentos.values()]
    users = Counter(key for files in every for key in files)
    items = sum({key: size for files in every for key, size in files.items()}.values())
    return Usage(
        models=_rooms(models, users),
        bentos=_rooms(bentos, users),
        items=items,
        shared=sum(sum(files.values()) for files in every) - items,
        blobs=_size(home.blobs),
        caches={path.name: _size(path) for path in _folders(home.cache)},
        others={path.name: _size(path) for path in (home.state, home.staging) if path.exists()},
    )


def _files(store: ItemStore[Any], root: Path) -> dict[Tag, dict[Inode, int]]:
    return {tag: {inode(f): f.st_size for f in files_in(root / tag.path())} for tag in store.tags()}


def _rooms(items: Mapping[Tag, Mapping[Inode, int]], users: Counter[Inode]) -> dict[Room, tuple[Room, ...]]:
    by_name: dict[str, list[Tag]] = {}
    for tag in items:
        by_name.setdefault(tag.name, []).append(tag)
    return {
        _room(Tag(name), [items[tag] for tag in tags], users): tuple(
            _room(tag, [items[tag]], users) for tag in tags
        )
        for name, tags in by_name.items()
    }


def _room(tag: Tag, items: Iterable[Mapping[Inode, int]], users: Counter[Inode]) -> Room:
    """Return what items take together, and what nobody else uses of that."""
    here = Counter(key for files in items for key in files)
    sizes = {key: size for files in items for key, size in files.items()}
    own = sum(size for key, size in sizes.items() if users[key] == here[key])
    return Room(tag, sum(sizes.values()), own)


def _folders(root: Path) -> list[Path]:
    return sorted(path for path in root.iterdir() if path.is_dir()) if root.is_dir() else []


def _size(folder: Path) -> int:
    return sum({inode(found): found.st_size for found in files_in(folder)}.values())
