"""Catalog: the items of one kind in one store, found by what people write, listed and read; nothing is written here."""

from __future__ import annotations

import builtins
import logging
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Generic

from ..exceptions import BentoMLException, NotFound
from ..tag import Tag
from . import refs
from .aliases import MARK, Alias, Aliases
from .inodes import generation
from .items import InfoT, Item

__all__ = ["Catalog"]

logger = logging.getLogger(__name__)


class Catalog(Generic[InfoT]):
    """The items in a folder: ``<name>/<version>/`` with a manifest and files."""

    def __init__(self, kind: type[InfoT], root: Path, aliases: Path) -> None:
        self._kind = kind
        self._root = root
        self.aliases = Aliases(aliases, kind.KIND, kind.COMMANDS)

    def get(self, taglike: str | Tag) -> tuple[Path, InfoT]:
        """Return the folder and manifest of the item that a tag means, if its files are what was stored (`Item.check`).

        Raises:
            NotFound: it means no item.
            BentoMLException: it means several, or the item is damaged.
        """
        tag = self.resolve(taglike)
        while True:
            before = generation(self._folder(tag))
            try:
                info = self.read(tag)
                Item(self._folder(tag), info).check()
            except BentoMLException:
                now = self.resolve(taglike)  # which says so where it was deleted while we looked
                if now == tag and generation(self._folder(tag)) == before:
                    raise
                tag = now
            else:
                return self._folder(tag), info

    def resolve(self, taglike: str | Tag) -> Tag:
        """Return the full tag that a tag or an alias means; errors as in `get`."""
        tag = self._parsed(taglike)
        found = refs.resolve(tag, self._root / tag.name, lambda: self._newest(tag.name))
        if found is None:
            raise self._not_found(f"`{tag}`")
        return found

    def _parsed(self, taglike: str | Tag) -> Tag:
        """Return a tag, or the full one that an alias names."""
        if not (isinstance(taglike, str) and MARK in taglike):
            return Tag.from_taglike(taglike)
        alias = Alias.parse(taglike)
        tag = self.aliases.get(alias)
        if tag.version not in refs.versions(self._root / tag.name):
            raise NotFound(
                f"{self._kind.KIND} alias `{alias}` names `{tag}`, which is not in the store; "
                f"`{self._kind.COMMANDS} alias {alias} TAG` lets it name another"
            )
        return tag

    def resolve_single(self, taglike: str | Tag) -> Tag:
        """Return the full tag that a tag means, as `resolve` does, but refuse a name that has several versions."""
        tag = self._parsed(taglike)
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

    def tags_of(self, taglike: str | Tag | None) -> builtins.list[Tag]:
        """Return the tags of all items, of those with a name, or the one that a full tag or an alias means.

        Raises:
            NotFound: there is none.
        """
        if taglike is None:
            return self.tags()
        tag = self._parsed(taglike)
        return [self.resolve(tag)] if tag.version else self.tags(tag.name)

    def manifests(self) -> Iterator[InfoT]:
        """Yield the manifest of each item, but of those that are deleted meanwhile.

        Raises:
            BentoMLException: one is damaged.
        """
        for tag in self.tags():
            try:
                yield self.read(tag)
            except BentoMLException:
                if self._folder(tag).exists():
                    raise

    def list(self, taglike: str | Tag | None = None) -> builtins.list[tuple[Path, InfoT]]:
        """Return all items, those with a name, or the one that a full tag means, newest first.

        A damaged item is left out and logged.
        """
        found = []
        for tag in self.tags_of(taglike):
            try:
                found.append((self._folder(tag), self.read(tag)))
            except BentoMLException as e:
                if self._folder(tag).exists():  # else it was deleted while we looked
                    logger.warning("%s", e)
        return sorted(found, key=lambda item: (item[1].creation_time, item[1].tag), reverse=True)

    # -- reading

    def _folder(self, tag: Tag) -> Path:
        return self._root / tag.path()

    def read(self, tag: Tag) -> InfoT:
        """Read a manifest; the item is called as its folder is."""
        try:
            return self._parse(tag, self._text(tag))
        except BentoMLException as e:
            raise BentoMLException(
                f"{self._kind.KIND} `{tag}` is damaged: `{self._folder(tag) / self._kind.FILE}`: {e}; save it again, or "
                f"delete it with `{self._kind.COMMANDS} delete {tag}`"
            ) from e

    def _text(self, tag: Tag) -> str:
        try:
            return (self._folder(tag) / self._kind.FILE).read_text("utf-8")
        except (OSError, UnicodeDecodeError) as e:
            raise BentoMLException(str(e.strerror if isinstance(e, OSError) else e)) from e

    def _parse(self, tag: Tag, text: str) -> InfoT:
        info = self._kind.from_yaml(text)
        return info if info.tag == tag else replace(info, tag=tag)

    def _read_fully(self, tag: Tag) -> InfoT | None:
        """Read a manifest with its list of files; None if it is missing or damaged."""
        try:
            info = self.read(tag)
            _ = info.files
        except BentoMLException:
            return None
        return info

    def _tags_of(self, name: str) -> builtins.list[Tag]:
        versions = refs.versions(self._root / name)
        return [tag for version in versions if (tag := refs.tag_of(name, version))]

    def _newest(self, name: str, *, but: str | None = None) -> str | None:
        items = self.list(Tag(name)) if refs.versions(self._root / name) else []
        return next((info.tag.version for _, info in items if info.tag.version != but), None)

    def _not_found(self, what: str) -> NotFound:
        return NotFound(
            f"{self._kind.KIND} {what} not found in the {self._kind.KIND} store `{self._root}`; "
            f"`{self._kind.COMMANDS} list` shows what is there"
        )
