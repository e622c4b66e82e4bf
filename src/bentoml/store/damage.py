"""Damage: what is wrong with the files of an item: all of them are read, or those that were perhaps written to.

Those have not the stamp of the store. Elsewhere (in an image, say) all files of an item may have another time in common:
that of its manifest, if it is a whole second, which no clock gives to a file.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from threading import Lock
from types import TracebackType
from typing import NamedTuple

from ..exceptions import BentoMLException
from ..tag import Tag
from .content import CHANGED, STAMP, is_executable, unreadable, wrong_content
from .manifest import Manifest
from .tree import Entry

__all__ = ["Damage", "Reading", "find_damage", "foreign_files", "said"]

_SECOND = 10**9
_NAMED = 20  # files that a message names
_BYTECODE = "__pycache__"
_EXECUTABLE = "can be executed, which it could not when it was stored"
_NOT_EXECUTABLE = "cannot be executed, which it could when it was stored"
_THREADS = min(os.cpu_count() or 1, 8)


class Damage(NamedTuple):
    """Say what is wrong with one file of an item: its path in the item, and what; ``str()`` says it to people."""

    kind: str
    tag: Tag
    path: str
    what: str

    @classmethod
    def of_content(cls, kind: str, tag: Tag, path: str) -> Damage:
        """Return the damage of a file that was read, and is not what was stored."""
        return cls(kind, tag, path, CHANGED)

    def __str__(self) -> str:
        return f"{self.kind} `{self.tag}`: `{self.path}` {self.what}"


class Reading:
    """Compare files with what they should hold, in threads; a file of several names is read once."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(_THREADS)
        self._lock = Lock()
        self._begun: dict[tuple[int, int, str], Future[str | None]] = {}
        self.size = 0

    def begin(self, file: str, found: os.stat_result, entry: Entry) -> Future[str | None]:
        """Start to read a file; the result says what is wrong with it, or None."""
        key = (found.st_dev, found.st_ino, entry.digest.hex)
        with self._lock:
            if key not in self._begun:
                self._begun[key] = self._threads.submit(wrong_content, file, entry)
                self.size += found.st_size
            return self._begun[key]

    def __enter__(self) -> Reading:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._threads.shutdown(cancel_futures=error is not None)


def said(found: list[Damage], commands: str) -> str:
    """Say which files of an item are damaged, and what to do; ``commands`` are those of its kind."""
    kind, tag = found[0].kind, found[0].tag
    files = ", ".join(f"`{damage.path}` {damage.what}" for damage in found[:_NAMED])
    more = f", and {len(found) - _NAMED} more files" if len(found) > _NAMED else ""
    return f"{kind} `{tag}` is damaged: {files}{more}; save it again, or delete it with `{commands} delete {tag}`"


def find_damage(
    folder: Path, info: Manifest, reading: Reading | None = None, *, modes: bool = False
) -> list[Damage]:
    """Return what is wrong with an item: its manifest, and each file that is missing, of another size or content.

    With ``reading`` all files are read, otherwise those that were perhaps written to. With it, or with ``modes``, a file is
    damaged, too, that can be executed and could not, or the other way round: who only loads an item takes no offence at that,
    as not every copy and file system keeps it. Nothing is known of an item of BentoML 1.x whose manifest has no digest yet.
    """
    if info.digest is None:
        return []
    said = _wrong_manifest(info)
    wrong = [(info.FILE, said)] if said else []
    with suppress(BentoMLException):  # its list of files cannot be read, as has been said
        if reading is None:
            with Reading() as own:
                wrong += _wrong_files(folder, info, own, _known_times(folder / info.FILE), modes)
        else:
            wrong += _wrong_files(folder, info, reading, known=(), modes=True)
    return [Damage(info.KIND, info.tag, path, what) for path, what in wrong]


def _wrong_manifest(info: Manifest) -> str | None:
    try:
        if info.identity(info.files) != info.digest:
            return "was changed: it has not its `digest`"
        info.check_written()
    except (BentoMLException, TypeError, ValueError) as e:  # values that no manifest holds
        return f"was changed: {e}"
    return None


def _known_times(manifest: Path) -> tuple[int, ...]:
    """Return the times of change of files that nobody wrote to."""
    try:
        time = os.lstat(manifest).st_mtime_ns
    except OSError:
        return (STAMP,)
    return (STAMP,) if time % _SECOND else (STAMP, time)


def _wrong_files(
    folder: Path, info: Manifest, reading: Reading, known: tuple[int, ...], modes: bool
) -> Iterator[tuple[str, str]]:
    """Yield each file that is not as it was stored, in their order."""
    verdicts = [(entry, _verdict(str(folder), entry, reading, known, modes)) for entry in info.files.entries]
    for entry, verdict in verdicts:
        said = verdict.result() if isinstance(verdict, Future) else verdict
        if said and isinstance(verdict, Future):  # by another name of it, perhaps, which is gone by now
            said = wrong_content(folder / entry.path, entry)
        if said:
            yield entry.path, said


def foreign_files(folder: Path, info: Manifest) -> Iterator[Damage]:
    """Yield what somebody put into an item, but for what Python writes beside code; only who reads a whole folder sees it."""
    stored = {info.FILE, *(entry.path for entry in info.files.entries)}
    for parent, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if name != _BYTECODE)
        links = [name for name in folders if os.path.islink(os.path.join(parent, name))]
        for name in sorted([*files, *links]):
            path = Path(parent, name).relative_to(folder).as_posix()
            if path not in stored:
                yield Damage(info.KIND, info.tag, path, "is not one of the files that were stored")


def _verdict(
    folder: str, entry: Entry, reading: Reading, known: tuple[int, ...], modes: bool
) -> str | Future[str | None] | None:
    file = os.path.join(folder, entry.path)
    try:
        found = os.lstat(file)
        if entry.link is not None:
            return None if os.readlink(file) == entry.link else "leads elsewhere"
    except (FileNotFoundError, NotADirectoryError):
        return "is missing"
    except OSError as e:
        return unreadable(e) if entry.link is None else "is not a link"
    if not stat.S_ISREG(found.st_mode):
        return "is not a file"
    if found.st_size != entry.size:
        return f"has {found.st_size} bytes instead of {entry.size}"
    if modes and is_executable(found.st_mode) != entry.executable:
        return _NOT_EXECUTABLE if entry.executable else _EXECUTABLE
    return reading.begin(file, found, entry) if found.st_mtime_ns not in known else None
