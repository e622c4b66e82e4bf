"""Aliases: names like ``iris@prod`` that a person moves from version to version.

An alias is the file ``aliases/<kind>s/<name>/<alias>`` with a version in it, replaced in one step. The file
``.<alias>.log`` beside it has a line for each move, the oldest first: what it named before, and since when what it names.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ..exceptions import BentoMLException, NotFound
from ..paths import fsync_folder, write_atomic
from ..tag import Tag
from .refs import LATEST

__all__ = ["MARK", "Alias", "Aliases", "Move", "parse_taglike"]

logger = logging.getLogger(__name__)

MARK = "@"


@dataclass(frozen=True, slots=True, order=True)
class Alias:
    """Name an item of the store by ``name@alias``; both parts follow the grammar of tags."""

    name: str
    alias: str

    @classmethod
    def parse(cls, text: str) -> Alias:
        """Parse ``name@alias``; ``str()`` of the result gives the text back.

        Raises:
            BentoMLException: it is not of this form; or the alias is `latest`, which has a meaning of its own.
        """
        name, mark, alias = text.partition(MARK)
        if not (name and mark and alias):
            raise BentoMLException(f"alias `{text}` is not of the form NAME@ALIAS, such as `iris@prod`")
        try:
            tag = Tag(name, alias)
        except BentoMLException as e:
            raise BentoMLException(f"Invalid alias `{text}`: {e}") from e
        if tag.version == LATEST:
            raise BentoMLException(
                f"`{text}`: what was saved last is `{tag.name}:latest`; choose another alias"
            )
        return cls(tag.name, str(tag.version))

    def __str__(self) -> str:
        return f"{self.name}{MARK}{self.alias}"


def parse_taglike(taglike: str | Tag) -> str | Tag:
    """Return a tag, or an alias as text, in the form that the store knows.

    Raises:
        ValueError: the text is neither.
        BentoMLException: the same, where a version or an alias is given.
    """
    if isinstance(taglike, str) and MARK in taglike:
        return str(Alias.parse(taglike))
    return Tag.from_taglike(taglike)


@dataclass(frozen=True, slots=True)
class Move:
    """Say when an alias was moved, from which version to which; None is where it began or ended."""

    time: datetime
    before: str | None
    after: str | None


class Aliases:
    """The aliases of one kind of items; to be changed under the store's publishing lock."""

    def __init__(self, root: Path, kind: str, commands: str) -> None:
        self._root = root
        self._kind = kind
        self._commands = commands

    def get(self, alias: Alias) -> Tag:
        """Return the tag that an alias names, whether such an item is there or not.

        Raises:
            NotFound: there is no such alias.
        """
        if (version := self._read(alias)) is None:
            raise NotFound(
                f"{self._kind} alias `{alias}` not found; `{self._commands} alias` lists those that there are, "
                f"`{self._commands} alias {alias} TAG` makes one"
            )
        return Tag(alias.name, version)

    def all(self, name: str | None = None) -> dict[Alias, Tag]:
        """Return what each alias names, or each one of a name, in their order; a damaged one is logged and left out."""
        found = {}
        for alias in sorted(self._aliases(name)):
            try:
                if version := self._read(alias):
                    found[alias] = Tag(alias.name, version)
            except BentoMLException as e:
                logger.warning("%s", e)
        return found

    def of(self, tag: Tag) -> list[Alias]:
        """Return the aliases that name an item."""
        return [alias for alias, named in self.all(tag.name).items() if named == tag]

    def move(self, alias: Alias, tag: Tag) -> Tag | None:
        """Let an alias name an item and return what it named before; the log is written first, so that it is never short."""
        before = self._read(alias)
        if before != tag.version:
            self._file(alias).parent.mkdir(parents=True, exist_ok=True)
            self._append(alias, before, tag.version)
            write_atomic(self._file(alias), str(tag.version).encode())
        return None if before is None else Tag(alias.name, before)

    def remove(self, alias: Alias) -> Tag:
        """Remove an alias and return what it named; its log stays.

        Raises:
            NotFound: there is none.
        """
        named = self.get(alias)
        self._append(alias, named.version, None)
        self._file(alias).unlink()
        fsync_folder(self._file(alias).parent)
        return named

    def log(self, alias: Alias) -> list[Move]:
        """Return the moves of an alias, the oldest first; those of one that was removed, too.

        Raises:
            NotFound: there never was such an alias.
        """
        try:
            lines = self._log(alias).read_text("utf-8").splitlines()
        except FileNotFoundError:
            self.get(alias)
            return []
        return [move for line in lines if (move := _move(line))]

    def _read(self, alias: Alias) -> str | None:
        try:
            return Tag(alias.name, self._file(alias).read_text("utf-8").strip() or "?").version
        except (FileNotFoundError, NotADirectoryError):
            return None
        except (BentoMLException, ValueError) as e:
            raise BentoMLException(
                f"`{self._file(alias)}` of the store holds no version; remove it, or write it anew with "
                f"`{self._commands} alias {alias} TAG`"
            ) from e

    def _aliases(self, name: str | None) -> Iterator[Alias]:
        for folder in _entries(self._root) if name is None else [name]:
            for file in _entries(self._root / folder):
                if not file.startswith(".") and (alias := _alias(folder, file)):
                    yield alias

    def _append(self, alias: Alias, before: str | None, after: str | None) -> None:
        line = {"time": datetime.now(UTC).isoformat(), "before": before, "after": after}
        with self._log(alias).open("ab") as log:
            log.write(json.dumps(line).encode() + b"\n")
            log.flush()
            os.fsync(log.fileno())

    def _file(self, alias: Alias) -> Path:
        return self._root / alias.name / alias.alias

    def _log(self, alias: Alias) -> Path:
        return self._root / alias.name / f".{alias.alias}.log"


def _entries(folder: Path) -> list[str]:
    try:
        return os.listdir(folder)
    except (FileNotFoundError, NotADirectoryError):
        return []


def _alias(name: str, alias: str) -> Alias | None:
    """Return the alias that a file is; one that is called like none is none of ours."""
    try:
        return Alias.parse(f"{name}{MARK}{alias}")
    except BentoMLException:
        return None


def _move(line: str) -> Move | None:
    """Read a line of a log; one that a crash cut off is left out."""
    try:
        data: dict[str, Any] = json.loads(line)
        return Move(datetime.fromisoformat(data["time"]), data["before"], data["after"])
    except (ValueError, KeyError, TypeError):
        return None
