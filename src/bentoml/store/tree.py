"""Tree: the files of an item, as data: what they are called, how large they are, what they hold."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from ..exceptions import BentoMLException
from .digest import Digest, canonical_json

__all__ = ["Entry", "Tree"]

_NEWLINE = "\n"  # and nothing else that `splitlines` takes for one


class Entry(NamedTuple):
    """One file: its path (relative, with ``/``), size in bytes and content.

    ``link`` is the target of a symbolic link, relative to it; its size is 0 and its digest that of the target's text.
    """

    path: str
    size: int
    digest: Digest
    executable: bool = False
    link: str | None = None

    @classmethod
    def from_data(cls, data: Mapping[str, object]) -> Entry:
        """Read what `to_data` wrote; anything else is a ``BentoMLException``."""
        path, size, hex, link = data.get("path"), data.get("size"), data.get("sha256"), data.get("link")
        if not (isinstance(path, str) and isinstance(size, int) and isinstance(link, str | None)):
            raise BentoMLException(f"`{dict(data)}` does not describe a file")
        if path.startswith("/") or not {"", ".", ".."}.isdisjoint(path.split("/")) or "\0" in path:
            raise BentoMLException(f"file {path!r} leaves its item")
        try:
            digest = Digest.parse(f"sha256:{hex}")
        except ValueError as e:
            raise BentoMLException(f"file `{path}`: {e}") from e
        return cls(path, size, digest, bool(data.get("executable")), link)

    def to_data(self) -> dict[str, object]:
        """Return the entry as the manifest holds it; what is false or absent is left out."""
        data: dict[str, object] = {"path": self.path, "size": self.size, "sha256": self.digest.hex}
        if self.executable:
            data["executable"] = True
        if self.link is not None:
            data["link"] = self.link
        return data


class Tree(NamedTuple):
    """The files of an item, sorted by path. Folders have no identity of their own: an empty one is not kept."""

    entries: tuple[Entry, ...] = ()

    @classmethod
    def of(cls, entries: Iterable[Entry]) -> Tree:
        """Return the tree of these entries, in any order."""
        return cls(tuple(sorted(entries, key=lambda entry: entry.path)))

    @classmethod
    def parse(cls, lines: str) -> Tree:
        """Read what `lines` wrote; anything else is a ``BentoMLException``."""
        try:
            data = json.loads(
                f"[{','.join(line.removeprefix('- ') for line in lines.split(_NEWLINE) if line)}]"
            )
        except ValueError as e:
            raise BentoMLException(f"the list of files cannot be read: {e}") from e
        return cls.of(map(Entry.from_data, data))

    def lines(self) -> str:
        """Return one line of canonical JSON for each file, which together also are a YAML list."""
        return "".join(f"- {canonical_json(entry.to_data()).decode()}\n" for entry in self.entries)

    def digest(self) -> Digest:
        """Return the digest of the files: that of `lines`."""
        return Digest.of(self.lines().encode())

    def size(self) -> int:
        """Return the bytes of all files together."""
        return sum(entry.size for entry in self.entries)
