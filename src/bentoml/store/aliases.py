"""Aliases: names like ``iris@prod`` that a person moves from version to version.

An alias is the file ``aliases/<kind>s/<name>/<alias>`` with a version in it, replaced in one step. The file
``.<alias>.log`` beside it has a line for each move, the oldest first: what it named before, and since when what it names.
"""

from __future__ import annotations

import errno
import json
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from ..exceptions import BentoMLException, NotFound
from ..paths import atomic_write, fsync_folder
from ..tag import Tag
from .refs import LATEST

__all__ = ["MARK", "Alias", "Aliases", "Move", "parse_taglike"]

logger = logging.getLogger(__name__)

MARK = "@"


class Alias(NamedTuple):
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


class Move(NamedTuple):
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
            BentoMLException: it is damaged.
        """
        version = self.find(alias)
        if version is None and self._file(alias).exists():
            raise BentoMLException(
                f"`{self._file(alias)}` of the store holds no version; move the alias anew with "
                f"`{self._commands} alias {alias} TAG`"
            )
        if version is None:
            raise self._not_found(alias)
        return Tag(alias.name, version)

    def all(self, name: str | None = None) -> dict[Alias, Tag]:
        """Return what each alias names, or each one of a name, in their order; a damaged one is logged and left out."""
        found = {}
        for alias in self.names(name):
            if version := self.find(alias):
                found[alias] = Tag(alias.name, version)
            elif self._file(alias).exists():
                logger.warning("%s alias `%s` is damaged; move it anew, or delete it", self._kind, alias)
        return found

    def names(self, name: str | None = None) -> list[Alias]:
        """Return all aliases, or those of a name, in order; damaged ones included."""
        folders = _entries(self._root) if name is None else [name]
        files = [(folder, file) for folder in folders for file in _entries(self._root / folder)]
        found = (_alias(folder, file) for folder, file in files if not file.startswith("."))
        return sorted(alias for alias in found if alias)

    def of(self, tag: Tag) -> list[Alias]:
        """Return the aliases that name an item."""
        return [alias for alias, named in self.all(tag.name).items() if named == tag]

    def move(self, alias: Alias, tag: Tag) -> Tag | None:
        """Let an alias name an item and return what it named before.

        The log is written before the alias changes, so that it is never short, and once there is room for both.
        """
        before = self.find(alias)
        if before != tag.version:
            with self._changing(alias), atomic_write(self._file(alias)) as file:
                file.write(str(tag.version).encode())
                file.flush()
                os.fsync(file.fileno())
                self._append(alias, before, tag.version)
        return None if before is None else Tag(alias.name, before)

    def remove(self, alias: Alias) -> Tag | None:
        """Remove an alias and return what it named, if it is not damaged; its log stays.

        Raises:
            NotFound: there is none.
        """
        named = self.find(alias)
        if named is None and not self._file(alias).exists():
            raise self._not_found(alias)
        with self._changing(alias):
            self._append(alias, named, None)
            self._file(alias).unlink()
            fsync_folder(self._file(alias).parent)
        return Tag(alias.name, named) if named else None

    def log(self, alias: Alias) -> list[Move]:
        """Return the moves of an alias, the oldest first; those of one that was removed, too.

        Raises:
            NotFound: there never was such an alias.
        """
        try:
            lines = self._log(alias).read_bytes().splitlines()
        except FileNotFoundError:
            self.get(alias)
            return []
        return [move for line in lines if (move := _move(line))]

    def find(self, alias: Alias) -> str | None:
        """Return the version that an alias names; None if there is no such alias, or it is damaged."""
        try:
            return Tag(alias.name, self._file(alias).read_text("utf-8").strip() or "?").version
        except (OSError, BentoMLException, ValueError):
            return None

    def _not_found(self, alias: Alias) -> NotFound:
        return NotFound(
            f"{self._kind} alias `{alias}` not found; `{self._commands} alias` lists those that there are, "
            f"`{self._commands} alias {alias} TAG` makes one"
        )

    def _append(self, alias: Alias, before: str | None, after: str | None) -> None:
        line = {"time": datetime.now(UTC).isoformat(), "before": before, "after": after}
        with self._log(alias).open("a+b", buffering=0) as log:
            end = log.seek(0, os.SEEK_END)
            cut_off = end and os.pread(log.fileno(), 1, end - 1) != b"\n"  # by a crash
            data = (b"\n" if cut_off else b"") + json.dumps(line).encode() + b"\n"
            try:
                while data:
                    data = data[log.write(data) :]
                os.fsync(log.fileno())
            except OSError:
                with suppress(OSError):
                    log.truncate(end)
                raise

    @contextmanager
    def _changing(self, alias: Alias) -> Iterator[None]:
        """Say what could not be written, and where."""
        folder = self._file(alias).parent
        try:
            folder.mkdir(parents=True, exist_ok=True)
            yield
        except OSError as e:
            full = e.errno in (errno.ENOSPC, errno.EDQUOT)
            raise BentoMLException(
                f"{self._kind} alias `{alias}` stays as it was: `{folder}` cannot be written: {e.strerror}; "
                f"{'make room on its disk' if full else 'make it a folder that you own'}"
            ) from e

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


def _move(line: bytes) -> Move | None:
    """Read a line of a log; one that a crash cut off, or that is damaged, is left out."""
    try:
        data: dict[str, Any] = json.loads(line)
        return Move(datetime.fromisoformat(data["time"]), data["before"], data["after"])
    except (ValueError, KeyError, TypeError):
        return None
