"""Contents: what the archive of an item holds: its files, and a manifest that says nothing of clock or host.

The archive of a bento also holds its models, each under ``models/<name>/<version>/``, as BentoML 1.x has it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from ...exceptions import BentoMLException
from ..bentos import Bento
from ..content import take_stamp
from ..damage import Damage, said
from ..models import Model
from ..tree import Entry
from .members import Member, check_names
from .tar import TarEntry, file_chunks

__all__ = ["MODELS", "StoredFile", "contents"]

MODELS = "models"
_MODES = {False: 0o644, True: 0o755}


def contents(item: Model | Bento, models: Sequence[Model] = ()) -> list[TarEntry]:
    """Return the members of an item's archive, folders included, sorted by path.

    Raises:
        BentoMLException: a name in it could not be unpacked everywhere.
    """
    files = list(_of_item(item, ""))
    for model in models:
        files += _of_item(model, f"{MODELS}/{model.tag.path()}/")
    latest = {model.tag.name: model.tag for model in sorted(models, key=lambda model: model.tag)}
    files += [
        TarEntry.file(f"{MODELS}/{tag.latest_path()}", (tag.version or "").encode())
        for tag in latest.values()
    ]
    entries = sorted([*_folders(files), *files], key=lambda entry: entry.path)
    try:
        check_names(Member(entry.path, entry.kind) for entry in entries)
    except BentoMLException as e:
        raise BentoMLException(
            f"{item.info.KIND} `{item.tag}` could not be unpacked everywhere: {e}; rename the file, and save it again"
        ) from e
    return entries


def _of_item(item: Model | Bento, place: str) -> Iterator[TarEntry]:
    info = replace(item.info.timeless(), digest=item.digest, listing=item.tree.lines())
    yield TarEntry.file(f"{place}{info.FILE}", info.to_yaml().encode())
    for entry in item.tree.entries:
        path = f"{place}{entry.path}"
        if entry.link is not None:
            yield TarEntry.symlink(path, entry.link)
        else:
            yield TarEntry(path, "file", _MODES[entry.executable], entry.size, StoredFile(item, entry))


class StoredFile(NamedTuple):
    """A file of an item, which is compared with what was stored while it is read: what rotted on the disk goes nowhere."""

    item: Model | Bento
    entry: Entry

    def chunks(self) -> Iterator[bytes]:
        """Yield the bytes.

        Raises:
            BentoMLException: they are not those that were stored.
        """
        state = hashlib.sha256()
        for chunk in file_chunks(Path(self.item.path, self.entry.path)):
            state.update(chunk)
            yield chunk
        if state.hexdigest() != self.entry.digest.hex:
            take_stamp(Path(self.item.path, self.entry.path))
            info = self.item.info
            raise BentoMLException(
                said([Damage.of_content(info.KIND, info.tag, self.entry.path)], info.COMMANDS)
            )


def _folders(files: Iterable[TarEntry]) -> list[TarEntry]:
    parents = {str(parent) for entry in files for parent in PurePosixPath(entry.path).parents}
    return [TarEntry.folder(path) for path in parents - {"."}]
