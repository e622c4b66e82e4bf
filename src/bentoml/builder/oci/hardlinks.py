"""Hard links in the order of a layer, which is sorted: the file of each has to come before it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from ...store.archives.tar import TarEntry

__all__ = ["linked_forward"]


def linked_forward(files: Mapping[str, TarEntry]) -> list[TarEntry]:
    """Turn hard links around where their file would come after them in sorted order."""
    first: dict[str, str] = {}
    for path, entry in sorted(files.items()):
        if entry.kind == "hardlink":
            first[entry.link] = min(path, first.get(entry.link, entry.link))
    entries = []
    for path, entry in files.items():
        origin = entry.link if entry.kind == "hardlink" else path
        if origin not in first:
            entries.append(entry)
        elif path == first[origin]:
            entries.append(replace(files[origin], path=path))
        else:
            entries.append(
                replace(files[origin], path=path, kind="hardlink", link=first[origin], source=None)
            )
    return entries
