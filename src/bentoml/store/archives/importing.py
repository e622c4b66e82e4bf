"""Importing: an archive, a folder or a URL becomes an item of the store, and what travels with a bento, too."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from ...config import Home
from ...exceptions import BentoMLException, NotFound
from ...tag import Tag
from ..bentos import Bento
from ..manifest import BentoInfo, Manifest, ModelInfo
from ..models import Model
from ..receive import Received, receive, receive_files, staged
from .contents import MODELS
from .formats import Format, by_content, by_name, by_suffix
from .members import Member
from .places import LocalPlace, Place
from .unpack import copy_folder, unpack
from .watch import Unwatched, Watch
from .weights import is_plain, model_tag, place_weights

__all__ = ["import_item"]

_MODEL = re.compile(rf"{MODELS}/([^/]+/[^/]+)/{re.escape(ModelInfo.FILE)}\Z")
_HEAD = 512


def import_item(
    kind: type[Model] | type[Bento],
    place: Place,
    input_format: str | None = None,
    *,
    home: Home,
    trust: bool = False,
    name: str | Tag | None = None,
    watch: Watch | None = None,
) -> list[Received[Model] | Received[Bento]]:
    """Take in the item that an archive or a folder holds, with the models of a bento, and return them, the item itself last.

    What it is, its first bytes tell; ``input_format`` must not say otherwise. A file or folder that is no item becomes a
    model as it is, under ``name`` or what its own name suggests.

    Raises:
        NotFound: there is nothing at the place.
        ValueError: there is no such format.
        BentoMLException: it is damaged, may not be unpacked, or its tag exists with other content.
    """
    wanted = None if input_format is None else by_name(input_format)
    with staged(home) as folder, _named(place):
        source = _at_hand(place, folder)
        target = folder / "item"
        target.mkdir()
        if kind is Model and wanted is None and is_plain(source, place.name):
            info = ModelInfo(tag=model_tag(name, source, place.name))
            place_weights(source, os.path.basename(place.name), target)
            return [receive_files(target, info, home=home, origin=place.name, trust=trust)]
        members = _unpacked(source, place.name, wanted, target, watch or Unwatched())
        folders = _items(target, members, folder / MODELS)
        _check_kind(kind, target)
        if name is not None:
            raise BentoMLException("it is an item with a name of its own; leave out the name")
        return receive(folders, home=home, origin=place.name, trust=trust)


@contextmanager
def _named(place: Place) -> Iterator[None]:
    """Let an error say what was to be imported."""
    try:
        yield
    except NotFound:
        raise
    except BentoMLException as e:
        raise BentoMLException(f"`{place.name}` is not imported: {e}") from e


def _at_hand(place: Place, folder: Path) -> Path:
    """Return what is at a place as a file or folder of this machine."""
    if not isinstance(place, LocalPlace):
        place.fetch(folder / "archive")
        return folder / "archive"
    if place.is_unsaid:
        raise NotFound("nothing says what to import; give the path of an archive or a folder")
    if not (os.path.isdir(place.path) or os.path.isfile(place.path)):
        there = os.path.lexists(place.path)
        raise NotFound(f"`{place.name}` {'is neither a file nor a folder' if there else 'does not exist'}")
    return place.path


def _unpacked(source: Path, name: str, wanted: Format | None, target: Path, watch: Watch) -> list[Member]:
    """Put what an archive or a folder holds into an empty folder."""
    if source.is_dir():
        if wanted not in (None, "folder"):
            raise BentoMLException(f"it is a folder, not `{wanted}`")
        return copy_folder(source, target)
    with source.open("rb") as file:
        format = _format(file.read(_HEAD), name, wanted)
        file.seek(0)
        return unpack(file, format, target, watch=watch)


def _format(head: bytes, name: str, wanted: Format | None) -> Format:
    """Say what a file is by its first bytes; what nobody knows is not tried."""
    found = by_content(head)
    if wanted is not None and found != wanted:
        raise BentoMLException(f"it is {f'`{found}`' if found else 'no archive'}, not `{wanted}`")
    if found is None:
        said = by_suffix(name)
        raise BentoMLException(
            f"it is no archive{f' of the format `{said}`' if said else ''}, or its beginning is damaged"
        )
    return found


def _items(root: Path, members: Sequence[Member], models: Path) -> list[Path]:
    """Return the folders of the items, after those of a bento's models were moved out of it."""
    if not any(member.path == BentoInfo.FILE for member in members):
        return [root]
    found = []
    for member in members:
        if match := _MODEL.match(member.path):
            target = models / match[1]
            target.parent.mkdir(parents=True, exist_ok=True)
            os.rename(root / MODELS / match[1], target)
            found.append(target)
    if (root / MODELS).is_dir():
        _drop_pointers(root / MODELS)
    return [*found, root]


def _drop_pointers(folder: Path) -> None:
    """Remove what is left of the folder of models; there is nothing in it but the files `latest`."""
    for path in sorted(folder.rglob("*"), reverse=True):
        if path.is_symlink() or not (path.is_dir() or path.name == "latest"):
            raise BentoMLException(f"`{MODELS}/{path.relative_to(folder)}` belongs to no model")
        if path.is_dir():
            path.rmdir()
        else:
            path.unlink()
    folder.rmdir()


def _check_kind(kind: type[Model] | type[Bento], root: Path) -> None:
    info: type[Manifest] = BentoInfo if kind is Bento else ModelInfo
    other: type[Manifest] = ModelInfo if kind is Bento else BentoInfo
    if not (root / info.FILE).is_file() and (root / other.FILE).is_file():
        command = "bentoml import" if other is BentoInfo else "bentoml models import"
        raise BentoMLException(f"it holds a {other.KIND}, not a {info.KIND}; use `{command}`")
