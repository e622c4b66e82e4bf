"""From a folder on disk to a tree: find the files, refuse what an item cannot hold, hash in threads."""

from __future__ import annotations

import os
import secrets
import shutil
import stat
import unicodedata
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path, PurePosixPath
from types import MappingProxyType
from typing import NamedTuple

from ..exceptions import InvalidArgument
from ..paths import fsync_folder, name_problem
from .blobs import MODE, Blobs
from .content import is_executable, put_stamp
from .digest import Digest
from .tree import Entry, Tree

__all__ = ["durable_copy", "folder_size", "scan", "sync_folders", "take"]

_THREADS = min(os.cpu_count() or 1, 8)


class _Found(NamedTuple):
    path: str  # relative to the folder that is scanned, with `/`
    file: Path
    size: int
    mode: int
    names: int
    link: str | None


def scan(folder: Path, *, skip: str) -> Tree:
    """Return the tree of a folder without the file ``skip`` at its top; nothing is changed.

    Raises:
        InvalidArgument: it holds something that an item cannot hold: a device, a name that is not printable UTF-8, a
            symbolic link that is absolute, leaves the folder or leads nowhere.
    """
    found = list(_walk(folder, skip))
    with ThreadPoolExecutor(_THREADS) as threads:
        return Tree.of(threads.map(_entry, found))


def take(
    folder: Path, blobs: Blobs, *, manifest: str, known: Mapping[str, Entry] = MappingProxyType({})
) -> Tree:
    """Return the tree of a staged folder after making it ready to be stored: read-only, without foreign links, durable.

    Files that the blobs hold already are not synced, as they are about to be replaced. Those that are ``known``, by path,
    are not read: whoever staged them has compared what was written with these entries, or has linked them from the blobs.

    Raises:
        InvalidArgument: as `scan`; or there is a file where the manifest will be.
    """
    if (folder / manifest).exists():
        raise InvalidArgument(f"`{manifest}` is the file in which the store describes an item; rename yours")
    found = [(f, _known(f, known.get(f.path), blobs)) for f in _walk(folder, manifest)]
    owned = [(f if f.names > 1 and entry else _owned(f), entry) for f, entry in found]
    with ThreadPoolExecutor(_THREADS) as threads:
        tree = Tree.of(threads.map(lambda pair: _durable_entry(pair[0], pair[1], blobs), owned))
    _settle_folders(folder)
    return tree


def durable_copy(folder: Path, target: Path) -> Path:
    """Copy a folder with the modes and times of its files, which are on the disk then, and return the copy."""
    shutil.copytree(folder, target, symlinks=True)
    for path in target.rglob("*"):
        if path.is_file() and not path.is_symlink():
            _sync(path)
    return target


def sync_folders(folder: Path) -> None:
    """Make the names in a folder and in those below it durable."""
    for parent, _, _ in os.walk(folder):
        fsync_folder(Path(parent))


def folder_size(folder: Path) -> int:
    """Return the bytes of all files under a folder, following no links."""
    size = 0
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                size += folder_size(Path(entry.path))
            elif entry.is_file(follow_symlinks=False):
                size += entry.stat(follow_symlinks=False).st_size
    return size


def _walk(root: Path, skip: str, prefix: str = "") -> Iterator[_Found]:
    with os.scandir(root / prefix) as listed:
        entries = list(listed)
    for entry in entries:
        path = f"{prefix}{entry.name}"
        _check_name(path)
        info = entry.stat(follow_symlinks=False)
        if stat.S_ISDIR(info.st_mode):
            yield from _walk(root, skip, f"{path}/")
        elif stat.S_ISLNK(info.st_mode):
            yield _Found(path, Path(entry.path), 0, info.st_mode, 1, _inner_link(root, path))
        elif not stat.S_ISREG(info.st_mode):
            raise InvalidArgument(
                f"`{path}` is neither a file nor a folder; an item of the store cannot hold it"
            )
        elif path != skip:
            yield _Found(path, Path(entry.path), info.st_size, info.st_mode, info.st_nlink, None)


def _check_name(path: str) -> None:
    if any(unicodedata.category(character) in ("Cc", "Cs") for character in path):
        raise InvalidArgument(f"file name {path!r} holds control characters or {name_problem()}")


def _inner_link(root: Path, path: str) -> str:
    """Return the target of a link that still holds after the folder has moved: relative, inside, not dangling."""
    target = os.readlink(root / path)
    _check_name(target)
    inside = not os.path.isabs(target) and not _climbs(PurePosixPath(path).parent / target)
    resolved = os.path.realpath(root / path)
    if (
        not inside
        or not Path(resolved).is_relative_to(os.path.realpath(root))
        or not os.path.exists(resolved)
    ):
        raise InvalidArgument(
            f"link `{path}` leads to `{target}`, which is not inside the folder; put a copy of the file there instead"
        )
    return target


def _climbs(path: PurePosixPath) -> bool:
    depth = 0
    for part in path.parts:
        depth += -1 if part == ".." else 1
        if depth < 0:
            return True
    return False


def _entry(found: _Found) -> Entry:
    if found.link is not None:
        return Entry(found.path, 0, Digest.of(found.link.encode()), link=found.link)
    digest = Digest.of_file(found.file)
    if found.file.stat().st_size != found.size:
        raise InvalidArgument(
            f"`{found.path}` was written to while it was read; close it before it is stored"
        )
    return Entry(found.path, found.size, digest, executable=is_executable(found.mode))


def _known(found: _Found, entry: Entry | None, blobs: Blobs) -> Entry | None:
    """Return the entry of a file that need not be read, if nobody else can have written to it."""
    if entry is None or found.link is not None:
        return None
    if (entry.size, entry.executable) != (found.size, is_executable(found.mode)):
        return None
    return entry if found.names == 1 or blobs.is_at(found.file, entry) else None


def _durable_entry(found: _Found, known: Entry | None, blobs: Blobs) -> Entry:
    """Return the entry of a file whose bytes are on the disk by now, or were before.

    The sync waits for the hash, as most time is lost where a large file is written out only to be removed again.
    """
    entry = known or _entry(found)
    if entry.link is None and not blobs.holds(entry):
        _sync(found.file)
    return entry


def _owned(found: _Found) -> _Found:
    """Make sure that nobody else can write to the file: not by its mode, and not by another of its names."""
    if found.link is not None:
        return found
    if found.names > 1:
        copy = found.file.with_name(f".{secrets.token_hex(8)}")
        shutil.copyfile(found.file, copy)
        os.replace(copy, found.file)
    mode = MODE[is_executable(found.mode)]
    os.chmod(found.file, mode)
    put_stamp(found.file)  # before it is read: what is written from now on shows
    return found._replace(mode=mode, names=1)


def _sync(file: Path) -> None:
    descriptor = os.open(file, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _settle_folders(folder: Path) -> None:
    """Drop empty folders, which a tree does not know; let the others be read by all and changed by their owner."""
    for parent, _, _ in os.walk(folder, topdown=False):
        os.chmod(parent, 0o755)
        if parent != str(folder) and not os.listdir(parent):
            os.rmdir(parent)
