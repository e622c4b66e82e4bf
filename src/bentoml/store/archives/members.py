"""Members: what an archive says that it holds, and the rules for it, whatever its format.

An archive is refused whole if one of its members could lie outside its folder, could not be made on every machine, or is
neither a file, a folder nor a link. Links are made last, so that nothing is ever written through one.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator
from typing import Literal, NamedTuple

from ...exceptions import BentoMLException

__all__ = ["Kind", "Member", "Names", "check_names", "checked_path"]

Kind = Literal["file", "dir", "symlink", "hardlink"]

_LONGEST_NAME = 255  # bytes
_LONGEST_PATH = 1024
_DRIVE = re.compile(r"[a-zA-Z]:")


class Member(NamedTuple):
    """One member: ``link`` is the text of a symbolic link, or the path of the file that a hard link shares."""

    path: str
    kind: Kind
    size: int = 0
    executable: bool = False
    link: str = ""


class Names:
    """The names of the members so far: each stands once, also for file systems that do not tell case or accents apart."""

    def __init__(self) -> None:
        self._kinds: dict[str, Kind] = {}
        self._folded: dict[str, str] = {}

    def add(self, member: Member) -> None:
        """Take a member in.

        Raises:
            BentoMLException: its path is there already, or differs from one in case alone, or leads through a file.
        """
        for parent in _parents(member.path):
            if self._kinds.setdefault(parent, "dir") != "dir":
                raise BentoMLException(f"`{member.path}` lies in `{parent}`, which is no folder")
            self._fold(parent)
        if (known := self._kinds.get(member.path)) and not known == member.kind == "dir":
            raise BentoMLException(f"`{member.path}` is there twice")
        self._fold(member.path)
        self._kinds[member.path] = member.kind

    def is_file(self, path: str) -> bool:
        """Say whether a file of this path came already."""
        return self._kinds.get(path) in ("file", "hardlink")

    def _fold(self, path: str) -> None:
        folded = path.lower() if path.isascii() else _without_case(path)
        other = self._folded.setdefault(folded, path)
        if other != path:
            raise BentoMLException(
                f"`{other}` and `{path}` are one name for file systems that do not tell case or accents apart"
            )


def check_names(members: Iterable[Member]) -> None:
    """Make sure that an archive of these members is not refused where it arrives, for their names.

    Raises:
        BentoMLException: it would be.
    """
    names = Names()
    for member in members:
        checked_path(member.path)
        names.add(member)


def checked_path(name: str) -> str:
    """Return the path of a member, without the `./` before and the `/` behind that tar writes; "" is the root itself.

    Raises:
        BentoMLException: it is absolute, climbs, or is a name that not every file system can hold.
    """
    path = name.removeprefix("./").removesuffix("/")
    if path in (".", ""):
        if name in (".", "./"):
            return ""
        raise BentoMLException(f"{name!r} is no name of a file")
    if path.startswith("/") or _DRIVE.match(path) or path.startswith("\\"):
        raise BentoMLException(f"{name!r} is an absolute path, or of a drive")
    if ".." in re.split(r"[/\\]", path):
        raise BentoMLException(f"{name!r} leaves its folder")
    parts = path.split("/")
    if "" in parts or "." in parts:
        raise BentoMLException(f"{name!r} is no plain path")
    is_plain = path.isascii() and path.isprintable()
    if not is_plain and any(unicodedata.category(letter) in ("Cc", "Cs") for letter in path):
        raise BentoMLException(f"{name!r} holds control characters or is not UTF-8")
    if len(path.encode()) > _LONGEST_PATH or any(len(part.encode()) > _LONGEST_NAME for part in parts):
        raise BentoMLException(f"the name `{path[:80]}...` is too long")
    return path


def _without_case(path: str) -> str:
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", path).casefold())


def _parents(path: str) -> Iterator[str]:
    parts = path.split("/")
    for count in range(1, len(parts)):
        yield "/".join(parts[:count])
