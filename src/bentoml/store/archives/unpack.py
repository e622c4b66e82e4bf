"""Unpacking an archive into a folder: all of it, or an error that says why not."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from ...exceptions import BentoMLException
from .formats import Format
from .members import Member, Names, checked_path
from .tar_reader import tar_members
from .unpacking import Stream, unpacked
from .watch import Watch
from .zip_reader import zip_members

__all__ = ["copy_folder", "unpack"]

_MOST_MEMBERS = 250_000
_SPARE = 64 << 20  # bytes that stay free on the disk
_SUSPICIOUS = 512 << 20  # bytes from which on
_RATIO = 200  # is how often an archive may hold its own size
_MODES = {False: 0o644, True: 0o755}


def unpack(
    file: BinaryIO, format: Format, folder: Path, *, watch: Watch, most: int = _MOST_MEMBERS
) -> list[Member]:
    """Write all that an archive holds, at ``most`` so many members, into an empty folder, and return what it is.

    Raises:
        BentoMLException: it is damaged, or holds something that has no place in a folder.
    """
    members = zip_members(file) if format == "zip" else tar_members(Stream(unpacked(file, format)))
    packed = os.fstat(file.fileno()).st_size
    reading, unpacking = _Reading(file, packed, watch), _Unpacking(folder, packed, most)
    for member, content in members:
        unpacking.add(member, reading.of(content))
    return unpacking.finish()


def copy_folder(source: Path, folder: Path) -> list[Member]:
    """Copy all that a folder holds into an empty one, and return what it is; errors as in `unpack`."""
    unpacking = _Unpacking(folder, None)
    for path in sorted(source.rglob("*")):
        unpacking.add_copy(path.relative_to(source).as_posix(), path)
    return unpacking.finish()


class _Unpacking:
    """A folder that fills; links are made at the end, when nothing can be written through them any more."""

    def __init__(self, folder: Path, packed: int | None, most_members: int = _MOST_MEMBERS) -> None:
        self._folder = folder
        self._most_members = most_members
        self._names = Names()
        self._members: list[Member] = []
        self._room = shutil.disk_usage(folder).free - _SPARE
        self._most = None if packed is None else max(_SUSPICIOUS, packed * _RATIO)
        self._size = 0

    def add(self, member: Member, content: Iterator[bytes]) -> None:
        """Take in a member of an archive."""
        if not member.path:
            if member.kind != "dir":
                raise BentoMLException("its root is no folder")
            _exhaust(content)
            return
        self._note(member)
        self._check_size(member.size)
        if member.kind == "file":
            self._write(member, content)
        else:
            _exhaust(content)
            if member.kind == "dir":
                self._place(member.path).mkdir(parents=True, exist_ok=True)

    def add_copy(self, path: str, source: Path) -> None:
        """Take in what lies in a folder."""
        if source.is_symlink():
            self._note(Member(checked_path(path), "symlink", link=os.readlink(source)))
        elif source.is_dir():
            self._note(Member(checked_path(path), "dir"))
        elif not source.is_file():
            raise BentoMLException(f"`{path}` is neither a file, a folder nor a link")
        else:
            found = source.stat()
            executable = bool(found.st_mode & 0o100)
            self._note(Member(checked_path(path), "file", found.st_size, executable))
            self._check_size(found.st_size)
            self._size += found.st_size
            place = self._place(path)
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, place)
            place.chmod(_MODES[executable])

    def finish(self) -> list[Member]:
        """Make the links."""
        sizes = {member.path: member.size for member in self._members}
        links = [member for member in self._members if member.kind in ("hardlink", "symlink")]
        for member in links:
            self._place(member.path).parent.mkdir(parents=True, exist_ok=True)
            if member.kind == "hardlink":
                size = sizes[member.path] = sizes[member.link]
                self._check_size(size)
                self._size += size
                shutil.copy(self._place(member.link), self._place(member.path))
        for member in links:
            if member.kind == "symlink":
                self._check_link(member)
                os.symlink(member.link, self._place(member.path))
        return self._members

    def _note(self, member: Member) -> None:
        if member.kind == "hardlink":
            target = checked_path(member.link)
            if not self._names.is_file(target):
                raise BentoMLException(
                    f"`{member.path}` is a hard link to {member.link!r}, which is no file before it"
                )
            member = Member(member.path, "hardlink", link=target)
        self._names.add(member)
        self._members.append(member)
        if len(self._members) > self._most_members:
            raise BentoMLException(f"it holds more than {self._most_members} files")

    def _write(self, member: Member, content: Iterator[bytes]) -> None:
        place = self._place(member.path)
        place.parent.mkdir(parents=True, exist_ok=True)
        with place.open("xb") as file:
            for piece in content:
                self._size += len(piece)
                self._check_size(0)
                file.write(piece)
        place.chmod(_MODES[member.executable])

    def _check_size(self, more: int) -> None:
        size = self._size + more
        if size > self._room:
            raise BentoMLException(
                f"it holds {size} bytes or more, for which the disk of the store has no room"
            )
        if self._most is not None and size > self._most:
            raise BentoMLException(
                f"it holds more than {_RATIO} times its own size, as archives do that are meant to fill a disk; if that is right, "
                "unpack it yourself and import the folder"
            )

    def _check_link(self, member: Member) -> None:
        """Make sure that a link leads to something inside; that it exists is found out when the files are read."""
        climbed = os.path.normpath(os.path.join(os.path.dirname(member.path), member.link))
        if not member.link or os.path.isabs(member.link) or climbed == ".." or climbed.startswith("../"):
            raise BentoMLException(f"link `{member.path}` leads to {member.link!r}, which is outside")

    def _place(self, path: str) -> Path:
        return self._folder / path


class _Reading:
    """Tell a watch how far the reading of a file is; behind the last member are a few bytes more."""

    def __init__(self, file: BinaryIO, size: int, watch: Watch) -> None:
        self._file = file
        self._watch = watch
        self._done = 0
        self._watch.expect(size)

    def of(self, content: Iterator[bytes]) -> Iterator[bytes]:
        """Yield the content of a member."""
        for piece in content:
            yield piece
            further = self._file.tell() - self._done
            self._watch.add(further)
            self._done += further


def _exhaust(content: Iterator[bytes]) -> None:
    for _ in content:
        pass
