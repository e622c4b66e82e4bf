"""Shelf: the items of one kind in one store; how they are staged, stored, found, listed and deleted."""

from __future__ import annotations

import builtins
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Generic

from ..config import Home
from ..exceptions import BentoMLException, NotFound
from ..paths import fsync_folder, write_atomic
from ..tag import Tag
from . import refs
from .blobs import MODE, Blobs
from .content import put_stamp
from .damage import find_damage
from .digest import Digest
from .items import InfoT, Item
from .scan import sync_folders, take
from .staging import Staging, remove
from .tree import Tree

__all__ = ["Shelf"]

logger = logging.getLogger(__name__)

_EPOCH = datetime.fromtimestamp(0, UTC)


class Shelf(Generic[InfoT]):
    """The items of one kind in one store: ``<name>/<version>/`` with a manifest and files."""

    def __init__(self, home: Home, kind: type[InfoT], root: Path) -> None:
        self._kind = kind
        self._root = root
        self._blobs = Blobs(home.blobs)
        self._staging = Staging(home)

    # -- storing

    @contextmanager
    def staged(self, tag: Tag) -> Iterator[Path]:
        """Make a folder for the files of a new item; it vanishes at the end of the block unless `commit` took it."""
        if tag.version == refs.LATEST:
            raise BentoMLException(
                f"`{tag}`: `latest` means the item saved last; choose another version, or none"
            )
        if self._staging.remove_abandoned():
            with self._staging.folder() as trash, self._staging.publishing():
                self._blobs.sweep(trash)
        with self._staging.folder() as folder:
            draft = folder / tag.name
            draft.mkdir()
            yield draft

    def commit(self, draft: Path, info: InfoT) -> tuple[Path, InfoT]:
        """Store a staged folder under the tag that follows from its content, or under the version that ``info`` has.

        Returns the item's folder and manifest. If the same item is there already, that one is returned. In both
        cases `latest` means it afterwards.

        Raises:
            BentoMLException: the version exists with other content, or the files cannot be stored.
        """
        return self.put(draft, info, self.take(draft))

    def take(self, draft: Path) -> Tree:
        """Make the files of a staged folder ready to be stored, and return them.

        Raises:
            InvalidArgument: there is something that an item cannot hold, or a file where the manifest will be.
        """
        return take(draft, self._blobs, manifest=self._kind.FILE)

    def put(self, draft: Path, info: InfoT, files: Tree) -> tuple[Path, InfoT]:
        """Store a staged folder whose files `take` returned; otherwise as `commit`."""
        digest = info.identity(files)
        tag = Tag(info.tag.name, info.tag.version or digest.version())
        info = replace(info, tag=tag, digest=digest, listing=files.lines())
        manifest = draft / self._kind.FILE
        write_atomic(manifest, info.to_yaml().encode())
        manifest.chmod(MODE[False])  # whatever the umask is
        put_stamp(manifest)
        with self._staging.publishing():
            if not self.holds(tag, digest):
                with self._unshared_on_error(draft, files):
                    self._publish(draft, info)
            refs.write_latest(self._folder(tag).parent, tag.version)
            stored = self._read(tag)  # while nobody can delete it
        return self._folder(tag), stored

    def holds(self, tag: Tag, digest: Digest) -> bool:
        """Say whether the very same item is there and whole.

        Raises:
            BentoMLException: another one has the same tag.
        """
        stored = self._read_fully(tag)
        if stored is None:
            return False
        existing = Item(self._folder(tag), stored).digest
        if existing != digest:
            raise BentoMLException(
                f"{self._kind.KIND} `{tag}` exists with other content: it is {existing}, this is {digest}; "
                f"choose another version, or delete the old one with `{self._kind.COMMANDS} delete {tag}`"
            )
        return not find_damage(self._folder(tag), stored)

    def _publish(self, draft: Path, info: InfoT) -> None:
        target = self._folder(info.tag)
        for entry in info.files.entries:
            if entry.link is None:
                self._blobs.share(draft / entry.path, entry)
        sync_folders(draft)
        target.parent.mkdir(parents=True, exist_ok=True)
        if target.exists():  # damaged, as `holds` found: this one takes its place
            target.rename(draft.parent / ".damaged")
        draft.rename(target)
        fsync_folder(target.parent)
        fsync_folder(target.parent.parent)

    @contextmanager
    def _unshared_on_error(self, draft: Path, files: Tree) -> Iterator[None]:
        """Take back the blobs that would otherwise outlive a draft that could not be published."""
        try:
            yield
        except BaseException:
            remove(draft)
            self._blobs.release(files.entries, draft.parent)
            raise

    # -- finding

    def get(self, tag: Tag) -> tuple[Path, InfoT]:
        """Return the folder and manifest of the item that a tag means, if its files are what was stored (`Item.check`).

        Raises:
            NotFound: it means no item.
            BentoMLException: it means several, or the item is damaged.
        """
        tag = self.resolve(tag)
        info = self._read(tag)
        Item(self._folder(tag), info).check()
        return self._folder(tag), info

    def resolve(self, tag: Tag) -> Tag:
        """Return the full tag that a tag means; errors as in `get`."""
        found = refs.resolve(tag, self._root / tag.name, lambda: self._newest(tag.name))
        if found is None:
            raise self._not_found(f"`{tag}`")
        return found

    def resolve_single(self, tag: Tag) -> Tag:
        """Return the full tag that a tag means, as `resolve` does, but refuse a name that has several versions."""
        if tag.version is None and len(self.tags(tag.name)) > 1:
            raise BentoMLException(
                f"{self._kind.KIND} `{tag}` has several versions; write `{tag}:VERSION`, or `{tag}:latest`"
            )
        return self.resolve(tag)

    def tags(self, name: str | None = None) -> builtins.list[Tag]:
        """Return the tags of all items, or of those with a name, damaged ones included.

        Raises:
            NotFound: no item has the name.
        """
        if name is not None:
            tags = self._tags_of(name)
            if not tags:
                raise self._not_found(f"with the name `{name}`")
            return tags
        return [tag for name in refs.versions(self._root) for tag in self._tags_of(name)]

    def list(self, tag: Tag | None = None) -> builtins.list[tuple[Path, InfoT]]:
        """Return all items, those with a name, or the one that a full tag means, newest first.

        A damaged item is left out and logged.
        """
        tags = [self.resolve(tag)] if tag and tag.version else self.tags(tag.name if tag else None)
        found = []
        for tag in tags:
            try:
                found.append((self._folder(tag), self._read(tag)))
            except BentoMLException as e:
                if self._folder(tag).exists():  # else it was deleted while we looked
                    logger.warning("%s", e)
        return sorted(found, key=lambda item: (item[1].creation_time, item[1].tag), reverse=True)

    # -- deleting

    def delete(self, tag: Tag) -> tuple[Path, InfoT]:
        """Remove the item that a tag means, and the bytes that no other item shares; return what it was.

        Raises:
            NotFound: it means no item.
            BentoMLException: it means several; a name alone means all its versions.
        """
        tag = self.resolve_single(tag)
        with self._staging.folder() as trash, self._staging.publishing():
            tag = self.resolve(tag)  # again, as another process may have deleted it meanwhile
            self._check_own(tag)
            info = self._read_fully(tag)
            self._folder(tag).rename(trash / "deleted")
            self._repair_latest(tag.name)
            remove(trash / "deleted")
            if info is None:
                self._blobs.sweep(trash)
            else:
                self._blobs.release(info.files.entries, trash)
        return self._folder(tag), info or self._kind(tag=tag, creation_time=_EPOCH)

    def _check_own(self, tag: Tag) -> None:
        """Make sure that the item lies where the store put it: what a link leads to is not the store's to delete."""
        for folder in (self._folder(tag).parent, self._folder(tag)):
            if folder.is_symlink():
                raise BentoMLException(
                    f"`{folder}` is a link to `{os.readlink(folder)}`, and what lies elsewhere is left alone; remove the link"
                )

    def _repair_latest(self, name: str) -> None:
        folder = self._root / name
        newest = refs.read_latest(folder) or self._newest(name)
        refs.write_latest(folder, newest)
        if not refs.versions(folder):
            remove(folder)

    # -- reading

    def _folder(self, tag: Tag) -> Path:
        return self._root / tag.path()

    def _read(self, tag: Tag) -> InfoT:
        """Read a manifest; the item is called as its folder is."""
        file = self._folder(tag) / self._kind.FILE
        try:
            info = self._kind.from_yaml(file.read_text("utf-8"))
            return info if info.tag == tag else replace(info, tag=tag)
        except (BentoMLException, OSError, UnicodeDecodeError) as e:
            said = e.strerror if isinstance(e, OSError) else e
            raise BentoMLException(
                f"{self._kind.KIND} `{tag}` is damaged: `{file}`: {said}; save it again, or delete it with "
                f"`{self._kind.COMMANDS} delete {tag}`"
            ) from e

    def _read_fully(self, tag: Tag) -> InfoT | None:
        """Read a manifest with its list of files; None if it is missing or damaged."""
        try:
            info = self._read(tag)
            _ = info.files
        except BentoMLException:
            return None
        return info

    def _tags_of(self, name: str) -> builtins.list[Tag]:
        versions = refs.versions(self._root / name)
        return [tag for version in versions if (tag := _tag(name, version))]

    def _newest(self, name: str) -> str | None:
        items = self.list(Tag(name)) if refs.versions(self._root / name) else []
        return items[0][1].tag.version if items else None

    def _not_found(self, what: str) -> NotFound:
        return NotFound(
            f"{self._kind.KIND} {what} not found in the {self._kind.KIND} store `{self._root}`; "
            f"`{self._kind.COMMANDS} list` shows what is there"
        )


def _tag(name: str, version: str) -> Tag | None:
    """Return the tag of a folder; a folder that is called like no tag is none of ours."""
    try:
        tag = Tag(name, version)
    except BentoMLException:
        tag = None
    if str(tag) != f"{name}:{version}":
        logger.warning("`%s/%s` is not the name of an item; it is left alone", name, version)
        return None
    return tag
