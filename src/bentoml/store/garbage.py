"""Garbage: what lies in a store and nobody needs any more, found without changing anything, and removed.

Whatever a running process uses is told by its locks, or by the names that its files have: a blob with one name is used by
nobody. All is moved away under the publishing lock before it is removed, so that a crash in the middle leaves what the next
run removes.
"""

from __future__ import annotations

import os
import re
import secrets
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Literal, NamedTuple

from ..config import Home
from ..exceptions import BentoMLException
from ..tag import Tag
from .bentos import BentoStore
from .blobs import Blobs
from .inodes import Inode, files_in, inode
from .locks import is_abandoned, unlink_unlocked
from .models import ModelStore
from .refs import LATEST, versions
from .staging import Staging, places, remove, remove_empty

__all__ = ["Piece", "collect", "find_garbage", "is_forgotten"]

Kind = Literal["model", "alias", "staging", "temporary", "leftover", "download", "cache", "blob"]

_BUILDS = (
    "bentoml-lock-",
    "bentoml-git-",
)  # what only a build makes outside of the store, for minutes at most
_HOUR = 60 * 60.0  # seconds
_DAY = 24 * _HOUR
_WEEK = 7 * _DAY
_DRAFT = re.compile(r"\..+\.[0-9a-f]{12}")  # of `paths.atomic_write`


class Piece(NamedTuple):
    """One thing that nobody needs: what it is, what it is called, and the bytes that its removal gives back."""

    kind: Kind
    name: str
    size: int


def find_garbage(
    home: Home, *, temporary: Path, unused_models: bool = False, caches: bool = False
) -> list[Piece]:
    """Return what `collect` would remove, changing nothing; ``temporary`` is the folder of temporary files.

    With ``caches`` also what can be made again: a build that runs meanwhile may have to be run again.

    Raises:
        BentoMLException: a bento is damaged, so that it is not known which models are unused.
    """
    models = _unused_models(home) if unused_models else []
    folders: list[tuple[Kind, str, Path]] = [
        *(("model", str(tag), home.models / tag.path()) for tag in models),
        *(("staging", path.name, path) for path in _abandoned(home)),
        *(("temporary", str(path), path) for path in _forgotten(temporary)),
        *(("leftover", str(path.relative_to(home.root)), path) for path in _leftovers(home)),
        *(("leftover", str(path.relative_to(home.root)), path) for path in _half_removed(home)),
        *(("cache", f"cache/{path.name}", path) for path in _caches(home) if caches),
        *(("download", path.name, path) for path in _old_downloads(home) if not caches),
    ]
    pieces = [Piece("alias", text, 0) for text in _dangling(home)]
    gone: Counter[Inode] = Counter(inode(f) for _, _, path in folders for f in files_in(path))
    blobs = {inode(found): (path, found) for path, found in _blobs(home)}
    counted: set[Inode] = set()
    for kind, name, path in folders:
        freed = {
            inode(found): found.st_size
            for found in files_in(path)
            if found.st_nlink == gone[inode(found)] + (inode(found) in blobs)
        }
        pieces.append(Piece(kind, name, sum(size for key, size in freed.items() if key not in counted)))
        counted.update(freed)
    unused = [
        Piece("blob", path.name, found.st_size)
        for key, (path, found) in blobs.items()
        if key not in counted and (found.st_nlink == 1 or path.name.startswith("."))
    ]
    return pieces + unused


def collect(home: Home, *, temporary: Path, unused_models: bool = False, caches: bool = False) -> list[Piece]:
    """Remove what nobody needs and return what that was.

    Raises:
        BentoMLException: the store cannot be written; or as `find_garbage`.
    """
    found = find_garbage(home, temporary=temporary, unused_models=unused_models, caches=caches)
    if not found:
        return []
    models, bentos = ModelStore(home), BentoStore(home)
    for piece in found:
        if piece.kind == "model":
            with suppress(BentoMLException):  # somebody needs it by now
                models.delete(piece.name, check=bentos.check_unused)
    for path in _forgotten(temporary):
        remove(path)
    staging = Staging(home)
    for path in _abandoned(home):
        staging.remove(path)
    for beside in places(home)[1:]:
        remove_empty(beside)
    with staging.folder() as trash, staging.publishing():
        for text, store in _dangling(home).items():
            store.delete_dangling(text)
        for path in _leftovers(home):
            _discard(path)
        Blobs(home.blobs).sweep(trash)
    for path in _caches(home) if caches else ():
        path.rename(path.with_name(f".{path.name}.{secrets.token_hex(6)}"))
    for path in _half_removed(home):  # here, as a cache may lie on another disk
        _discard(path)
    for path in _old_downloads(home):
        with suppress(FileNotFoundError):
            unlink_unlocked(path)
    return found


def is_forgotten(download: Path) -> bool:
    """Say whether nobody came back within a week for what has arrived of a blob."""
    return _age(download) > _WEEK


def _discard(path: Path) -> None:
    if path.is_dir():
        remove(path)
    else:
        path.unlink(missing_ok=True)


def _unused_models(home: Home) -> list[Tag]:
    """Return the models that no bento and no alias needs."""
    needed = set(ModelStore(home).aliases().values())
    for bento in BentoStore(home).manifests():
        needed |= {ref.tag for ref in bento.all_models}
    return [tag for tag in ModelStore(home).tags() if tag not in needed]


def _dangling(home: Home) -> dict[str, ModelStore | BentoStore]:
    """Return the aliases that name nothing, each with its store."""
    stores: tuple[ModelStore | BentoStore, ...] = (ModelStore(home), BentoStore(home))
    return {str(alias): store for store in stores for alias in store.dangling()}


def _abandoned(home: Home) -> list[Path]:
    """Return the staging folders of processes that died, or their locks alone."""
    found = []
    for path in sorted(path for place in places(home) for path in place.glob("*")):
        if path.suffix == ".lock":
            if is_abandoned(path):
                found.append(path.with_suffix(""))
        elif not path.with_suffix(".lock").exists() and path.exists():
            found.append(path)
    return found


def _forgotten(temporary: Path) -> Iterator[Path]:
    """Yield the temporary folders of builds that were killed: they are this user's, and nobody touched them for a day."""
    with suppress(OSError):
        for path in sorted(temporary.iterdir()):
            if path.name.startswith(_BUILDS) and not path.is_symlink() and path.is_dir():
                info = path.stat()
                touched = max([info.st_mtime, *(found.st_mtime for found in files_in(path))])
                if info.st_uid == os.getuid() and time.time() - touched > _DAY:
                    yield path


def _leftovers(home: Home) -> list[Path]:
    """Return what killed processes left beside items and aliases: files half written, names without a version."""
    found = _drafts(home.root / "received")
    for root in (home.models, home.bentos, home.aliases / "models", home.aliases / "bentos"):
        for folder in (root / name for name in versions(root)):
            if folder.is_symlink():
                continue
            drafts = _drafts(folder)
            rest = {path.name for path in folder.iterdir()} - {path.name for path in drafts}
            is_empty = rest <= {LATEST} and root in (home.models, home.bentos) and not os.path.ismount(folder)
            found += [folder] if is_empty else drafts
    return found


def _caches(home: Home) -> list[Path]:
    """Return the caches, but not that of downloads while one is on its way."""
    loading = any(not is_abandoned(path) for path in _downloads(home))
    return [
        path
        for path in _folders(home.cache)
        if not _is_draft(path) and not (loading and home.downloads.is_relative_to(path))
    ]


def _half_removed(home: Home) -> list[Path]:
    """Return caches that were moved away to be removed, and files of caches that nobody has finished for an hour."""
    files = (path for path in home.cache.glob("*/*/.*") if _is_draft(path) and path.is_file())
    return [
        *(path for path in _folders(home.cache) if _is_draft(path)),
        *(path for path in sorted(files) if _age(path) > _HOUR),
    ]


def _old_downloads(home: Home) -> list[Path]:
    return [path for path in _downloads(home) if is_forgotten(path) and is_abandoned(path)]


def _downloads(home: Home) -> list[Path]:
    return sorted(home.downloads.iterdir()) if home.downloads.is_dir() else []


def _folders(root: Path) -> list[Path]:
    """Return the folders in a folder, which those that it links to are not."""
    there = sorted(root.iterdir()) if root.is_dir() else []
    return [path for path in there if path.is_dir() and not path.is_symlink()]


def _drafts(folder: Path) -> list[Path]:
    return [path for path in folder.glob(".*") if _is_draft(path) and path.is_file()]


def _age(path: Path) -> float:
    """Return for how many seconds nobody wrote to a file; none if it is gone."""
    try:
        return time.time() - path.stat().st_mtime
    except FileNotFoundError:
        return 0.0


def _is_draft(path: Path) -> bool:
    return bool(_DRAFT.fullmatch(path.name))


def _blobs(home: Home) -> Iterator[tuple[Path, os.stat_result]]:
    for path in Blobs(home.blobs).all():
        with suppress(FileNotFoundError):
            yield path, path.stat()
