"""The door through which items come from elsewhere: from an archive, a registry, another folder.

A folder is staged in the store and filled; it is taken in under the tag that its manifest names if its files are what the
manifest says. The same item again is no error, another one under the same tag is. Several folders are taken in
together, or none of them.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Generic, TypeVar

from ..config import Home
from ..exceptions import BentoMLException
from ..paths import under
from ..tag import Tag
from . import refs
from .bentos import Bento
from .blobs import MODE
from .content import is_executable
from .digest import Digest
from .items import InfoT
from .manifest import BentoInfo, Manifest, ModelInfo
from .models import Model
from .pickled import pickled_files
from .shelf import Shelf
from .staging import Staging
from .tree import Entry, Tree
from .trust import Trust

__all__ = ["Received", "check_length", "read_manifest", "receive", "receive_files", "staged"]

ItemT_co = TypeVar("ItemT_co", Model, Bento, covariant=True)

_LARGEST_MANIFEST = 64 << 20  # bytes: half a million files
_LARGEST_YAML = 4 << 20
_NAMED = 20  # files that a message names


@dataclass(frozen=True)
class Received(Generic[ItemT_co]):
    """An item that came in. ``is_new`` is False if it was there; ``untrusted`` are its files that may not be loaded yet."""

    item: ItemT_co
    is_new: bool
    untrusted: tuple[str, ...] = ()


@contextmanager
def staged(home: Home) -> Iterator[Path]:
    """Make a folder in the store for what is on its way; what `receive` did not take is removed at the end of the block.

    Raises:
        BentoMLException: the store cannot be written, or its disk is full.
    """
    staging = Staging(home)
    staging.remove_abandoned()
    with staging.folder() as folder:
        yield folder


def receive(
    folders: Sequence[Path],
    *,
    home: Home,
    origin: str,
    trust: bool = False,
    known: Mapping[Path, Iterable[Entry]] = MappingProxyType({}),
    replaces: bool = False,
) -> list[Received[Model] | Received[Bento]]:
    """Take in folders that were `staged`, each with the manifest of an item and its files: all of them, or none.

    ``origin`` is where they came from, as a person would say it. With ``trust``, pickled content of the models may be loaded;
    otherwise `bentoml models trust` must be run first. ``known`` are files of a folder that were compared with their entries
    while they were written, or linked from the blobs: they are not read again. With ``replaces`` they take the places of other
    items with their tags. The models are listed before the bentos.

    Raises:
        BentoMLException: a manifest is missing or damaged, files are not what it says, or its tag exists with other content
            and ``replaces`` is not set.
    """
    manifests = [(folder, read_manifest(folder)) for folder in folders]
    shelf = Shelf(home, ModelInfo, home.models)
    models = [
        _arrival(folder, info, shelf, known.get(folder, ()), replaces)
        for folder, info in manifests
        if isinstance(info, ModelInfo)
    ]
    shelves = Shelf(home, BentoInfo, home.bentos)
    bentos = [
        _arrival(folder, info, shelves, known.get(folder, ()), replaces)
        for folder, info in manifests
        if isinstance(info, BentoInfo)
    ]
    door = Trust(home)
    received = [_model(arrival, door, origin, trust) for arrival in models]
    return [*received, *(_bento(arrival, received) for arrival in bentos)]


def receive_files(
    folder: Path, info: ModelInfo, *, home: Home, origin: str, trust: bool = False
) -> Received[Model]:
    """Take in a folder that was `staged` and holds files alone, as a model that ``info`` describes.

    Its version follows from its content unless ``info`` has one; otherwise as `receive`.
    """
    arrival = _arrival(folder, info, Shelf(home, ModelInfo, home.models))
    return _model(arrival, Trust(home), origin, trust)


def read_manifest(folder: Path) -> ModelInfo | BentoInfo:
    """Read the manifest in a folder, whichever of the two it is.

    Raises:
        BentoMLException: there is none, there are both, or it cannot be read.
    """
    there = [kind for kind in (ModelInfo, BentoInfo) if (folder / kind.FILE).is_file()]
    if len(there) != 1:
        said = (
            "both a model's and a bento's"
            if there
            else "neither `model.yaml` nor `bento.yaml`: it is no item"
        )
        raise BentoMLException(f"it holds {said}")
    file = folder / there[0].FILE
    try:
        if file.is_symlink() or file.stat().st_size > _LARGEST_MANIFEST:
            raise BentoMLException(f"it is no file of at most {_LARGEST_MANIFEST >> 20} MiB")
        text = file.read_text("utf-8")
        check_length(text)
        return there[0].from_yaml(text)
    except (BentoMLException, ValueError, OSError, RecursionError) as e:
        raise BentoMLException(f"its `{there[0].FILE}` is damaged: {e}") from e


def check_length(text: str) -> None:
    """Refuse a manifest that would take a reader of YAML minutes; the list of files is read in another way, and may be long.

    Raises:
        BentoMLException: it is so long.
    """
    head, _, listing = text.partition("\nfiles:\n")
    is_ours = len(listing) <= _LARGEST_YAML or all(line.startswith('- {"') for line in listing.splitlines())
    if len(head) > _LARGEST_YAML or not is_ours:
        raise BentoMLException(f"it has more than {_LARGEST_YAML >> 20} MiB of YAML")


@dataclass(frozen=True)
class _Arrival(Generic[InfoT]):
    """A staged folder whose files are ready to be stored, and what its manifest says."""

    folder: Path
    info: InfoT
    files: Tree
    digest: Digest
    shelf: Shelf[InfoT]
    is_new: bool
    replaces: bool

    def put(self, check: Callable[[], object] = lambda: None) -> tuple[Path, InfoT]:
        """Store it unless ``check`` refuses it, and return its place and its manifest there."""
        return self.shelf.put(self.folder, self.info, self.files, check, replaces=self.replaces)


def _arrival(
    folder: Path, info: InfoT, shelf: Shelf[InfoT], known: Iterable[Entry] = (), replaces: bool = False
) -> _Arrival[InfoT]:
    """Make the files ready, compare them with the manifest, and make sure that nothing else has the tag."""
    if info.tag.version == refs.LATEST:
        raise BentoMLException(f"`{info.tag}`: `latest` means the item saved last, and is no version")
    (folder / info.FILE).unlink(missing_ok=True)
    if info.digest is not None:
        _restore_modes(folder, info.files)
    files = shelf.take(folder, known)
    digest = info.identity(files)
    if info.digest is not None:
        _check(info, files, digest)
    info = replace(info, tag=Tag(info.tag.name, info.tag.version or digest.version()))
    is_new = not shelf.holds(info.tag, digest, or_other=replaces)
    return _Arrival(folder, info.with_time_of_arrival(), files, digest, shelf, is_new, replaces)


def _restore_modes(folder: Path, listed: Tree) -> None:
    """Make programs of those files that are some, and of no others: BentoML 1.x, and some file systems, keep no modes."""
    for entry in listed.entries:
        file = folder / entry.path
        with suppress(OSError):  # what is missing is named later
            found = os.lstat(file)
            is_ours = stat.S_ISREG(found.st_mode) and found.st_nlink == 1
            if is_ours and is_executable(found.st_mode) != entry.executable:
                os.chmod(under(folder, entry.path), MODE[entry.executable])


def _model(arrival: _Arrival[ModelInfo], door: Trust, origin: str, trust: bool) -> Received[Model]:
    """Take a model in; what is to be known of it is written before it can be found."""
    receipt = door.receipt(arrival.digest)
    if arrival.is_new or receipt is not None:  # else it was made here
        paths = (entry.path for entry in arrival.files.entries if entry.link is None)
        if pickled := pickled_files(arrival.folder, paths):
            receipt = door.received(arrival.digest, origin, pickled, is_trusted=trust)
    model = Model(*arrival.put())
    return Received(model, arrival.is_new, () if receipt is None or receipt.is_trusted else receipt.files)


def _bento(arrival: _Arrival[BentoInfo], models: Sequence[Received[Model]]) -> Received[Bento]:
    """Take a bento in, unless a model that came with it was deleted by then: nobody knew that it is needed."""

    def check() -> None:
        for model in models:
            model.item.check()

    return Received(Bento(*arrival.put(check)), arrival.is_new)


def _check(info: Manifest, files: Tree, digest: Digest) -> None:
    """Make sure that the files are those that the manifest lists, and that nobody changed the manifest."""
    listed = {entry.path: entry for entry in info.files.entries}
    found = {entry.path: entry for entry in files.entries}
    wrong = [path for path in sorted({*listed, *found}) if listed.get(path) != found.get(path)]
    if wrong:
        named = ", ".join(f"`{path}` {_what(path, listed, found)}" for path in wrong[:_NAMED])
        more = f" and {len(wrong) - _NAMED} more" if len(wrong) > _NAMED else ""
        raise BentoMLException(f"{info.KIND} `{info.tag}` is damaged: {named}{more}")
    if digest != info.digest:
        raise BentoMLException(
            f"{info.KIND} `{info.tag}` is damaged: its `{info.FILE}` was changed: it says {info.digest}, and what it describes "
            f"is {digest}"
        )


def _what(path: str, listed: Mapping[str, Entry], found: Mapping[str, Entry]) -> str:
    if path not in found:
        return "is missing"
    return "has other content" if path in listed else "is not in its manifest"
