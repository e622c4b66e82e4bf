"""Members of tars that others made, as entries of ours."""

from __future__ import annotations

import tarfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from ...store.archives.tar import CAPABILITY, Source, TarEntry

__all__ = ["each_member", "entry_of", "linked_forward"]

_CAPABILITY = CAPABILITY.decode()


def each_member(archive: tarfile.TarFile) -> Iterator[tarfile.TarInfo]:
    """Yield the members of a tar that is read as a stream; unlike the archive itself, keep none of them: there may be a million."""
    for info in archive:
        archive.members.clear()  # type: ignore[attr-defined]  # Python 3.13 has `stream=True` for it
        yield info


def entry_of(info: tarfile.TarInfo, path: str, *, link: str, content: Path | Source) -> TarEntry | None:
    """Return the entry of a member, under ``path``; nothing for what no layer of ours holds: devices, pipes, sparse files.

    Of the attributes that a member may have, a file keeps its capabilities; all others are of the machine that wrote it.
    ``link`` is the path of the file that a hard link shares, ``content`` gives the bytes of a file.
    """
    mode, uid, gid = info.mode & 0o7777, info.uid, info.gid
    if info.isdir():
        return TarEntry.folder(path, mode=mode, uid=uid, gid=gid)
    if info.issym():
        return TarEntry.symlink(path, info.linkname, uid=uid, gid=gid)
    if info.islnk():
        return TarEntry(path, "hardlink", mode, link=link, uid=uid, gid=gid)
    if info.isreg() and info.sparse is None:
        capability = info.pax_headers.get(_CAPABILITY, "").encode("utf-8", "surrogateescape")
        return TarEntry(path, "file", mode, info.size, content, uid=uid, gid=gid, capability=capability)
    return None


def linked_forward(files: Mapping[str, TarEntry]) -> list[TarEntry]:
    """Turn hard links around where their file would come after them in the order of a layer, which is sorted."""
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
            entries.append(files[origin]._replace(path=path))
        else:
            entries.append(
                files[origin]._replace(
                    path=path, kind="hardlink", link=first[origin], source=None, capability=b""
                )
            )
    return entries
