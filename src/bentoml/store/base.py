"""What both stores do with the tags of their items: find, name and verify them."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Generic

from ..exceptions import BentoMLException
from ..tag import Tag
from .aliases import Alias, Move
from .damage import Damage, Reading
from .items import InfoT
from .shelf import Shelf

__all__ = ["ItemStore"]

_ITEMS_AT_ONCE = 8


class ItemStore(Generic[InfoT]):
    """The items on one shelf."""

    def __init__(self, shelf: Shelf[InfoT]) -> None:
        self._shelf = shelf

    def tags(self, name: str | None = None) -> list[Tag]:
        """Return the tags of all items, or of those with a name, in order, damaged ones included."""
        return self._shelf.tags(name)

    def tags_of(self, tag: str | Tag | None) -> list[Tag]:
        """Return the tags that are meant: of all items, all with a name, or the one of a full tag or an alias."""
        return self._shelf.tags_of(tag)

    def resolve(self, tag: str | Tag) -> Tag:
        """Return the full tag that a tag or an alias means, as `get` does, without reading the item."""
        return self._shelf.resolve(tag)

    def resolve_single(self, tag: str | Tag) -> Tag:
        """Return the full tag that a tag or an alias means; a name alone must mean a single item."""
        return self._shelf.resolve_single(tag)

    def verify(self, tag: str | Tag | None = None, reading: Reading | None = None) -> list[Damage]:
        """Read all files of all items, of those with a name, or of one, and return what is wrong with them.

        So is a file `latest` or an alias that names nothing. An item of BentoML 1.x, whose manifest names no digest, gets one now.

        Raises:
            NotFound: the tag means no item.
        """
        tags = self._shelf.tags_of(tag)
        names = self._shelf.verify_names(tags[0].name if tag and tags else None)
        if reading is None:
            with Reading() as own:
                return [*self._verify(tags, own), *names]
        return [*self._verify(tags, reading), *names]

    def _verify(self, tags: list[Tag], reading: Reading) -> list[Damage]:
        with ThreadPoolExecutor(_ITEMS_AT_ONCE) as threads:
            found = threads.map(lambda tag: self._shelf.verify(tag, reading), tags)
            return [damage for damages in found for damage in damages]

    def aliases(self, name: str | None = None) -> dict[Alias, Tag]:
        """Return what each alias names, whether that is there or not."""
        return self._shelf.aliases.all(name)

    def alias(self, alias: str) -> Tag:
        """Return what an alias names, whether that is there or not; `NotFound` says that there is no such alias."""
        return self._shelf.aliases.get(Alias.parse(alias))

    def set_alias(self, alias: str, tag: str | Tag) -> tuple[Tag, Tag | None]:
        """Let an alias name the item that a tag means; return its full tag, and what the alias named before.

        Raises:
            NotFound: the tag means no item.
            BentoMLException: the alias is not of the form ``name@alias``, or the item has another name.
        """
        parsed = Alias.parse(alias)
        self._shelf.resolve(tag)  # before anything is written
        with self._shelf.publishing():
            named = self._shelf.resolve(tag)
            if named.name != parsed.name:
                raise BentoMLException(
                    f"alias `{parsed}` can name a version of `{parsed.name}` only, not `{named}`"
                )
            return named, self._shelf.aliases.move(parsed, named)

    def delete_alias(self, alias: str) -> Tag | None:
        """Remove an alias and return what it named, if it is not damaged; `NotFound` says that there is no such alias."""
        parsed = Alias.parse(alias)
        if parsed not in self._shelf.aliases.names(parsed.name):
            self._shelf.aliases.get(parsed)  # says that it is not there, before anything is written
        with self._shelf.publishing():
            return self._shelf.aliases.remove(parsed)

    def alias_log(self, alias: str) -> list[Move]:
        """Return the moves of an alias, the oldest first; also of one that was removed."""
        return self._shelf.aliases.log(Alias.parse(alias))

    def dangling(self) -> list[Alias]:
        """Return the aliases that name what is not there."""
        return self._shelf.dangling()

    def delete_dangling(self, alias: str) -> None:
        """Remove an alias that names nothing; to be called under the store's publishing lock."""
        self._shelf.aliases.remove(Alias.parse(alias))

    def manifests(self) -> Iterator[InfoT]:
        """Yield the manifest of each item; a damaged one is a `BentoMLException`."""
        return self._shelf.manifests()

    def read(self, tag: Tag) -> InfoT:
        """Return the manifest of an item; a damaged one is a `BentoMLException`."""
        return self._shelf.read(tag)

    def check_unnamed(self, tag: Tag) -> None:
        """Make sure that no alias names an item; otherwise a `BentoMLException` lists them."""
        self._shelf.check_unnamed(tag)
