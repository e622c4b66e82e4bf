"""What an engine's layer holds, told as entries of ours: sorted, without clocks, and without what only the steps saw."""

from __future__ import annotations

import mmap
import posixpath
import tarfile
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from ...exceptions import BentoMLException
from ...store.archives.tar import TarEntry
from ...store.digest import Digest
from ..oci.blobs import FileBlob
from ..oci.members import entry_of, linked_forward
from .model import FILES

__all__ = ["check_secrets", "step_entries"]

_WHITEOUT = ".wh."
_CLOCKS = ("var/cache/ldconfig/aux-cache",)  # holds the times of files, which are others in the image
_ENGINES = (
    *("etc/hostname", "etc/hosts", "etc/mtab", "etc/resolv.conf"),
    *(".dockerenv", "run/.containerenv"),
)  # what an engine puts into each container: Docker keeps it out of the layer, Podman leaves empty files there
_PYC_FLAGS = slice(4, 8)
_LEAST_SECRET = 6  # bytes: what is shorter stands in any file


def step_entries(file: Path, given: Mapping[str, Digest]) -> list[TarEntry]:
    """Return the entries of a plain layer, whose bytes stay in ``file``.

    Files of ``given`` (by path) that are as they were given are left out. So is bytecode that knows its source by its
    time: all times are those of the image, so that it would never be used.

    Raises:
        BentoMLException: the layer holds what no layer of ours can: a device.
    """
    entries: dict[str, TarEntry] = {}
    with tarfile.open(file, "r:") as tar:
        for info in tar:
            path = str(PurePosixPath("/", info.name))[1:]
            if not path or _is_ours(path, given):
                continue
            entry = _entry(file, info, path)
            if entry and not _is_as_given(entry, given) and not _is_timed_bytecode(entry):
                entries[path] = entry
    return linked_forward(entries)


def check_secrets(file: Path, secrets: Mapping[str, str]) -> None:
    """Refuse a layer in which the value of a secret stands.

    Raises:
        BentoMLException: a step left it there; the message names the secret and the file.
    """
    if not file.stat().st_size:
        return
    with file.open("rb") as opened, mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ) as content:
        for name, value in secrets.items():
            if len(value.encode()) >= _LEAST_SECRET and (found := content.find(value.encode())) >= 0:
                place = _path_at(file, found).replace(value, "***")
                raise BentoMLException(
                    f"a step leaves the build secret `{name}` in `/{place}`; remove it with the same command that wrote it"
                )


def _path_at(file: Path, offset: int) -> str:
    with tarfile.open(file, "r:") as tar:
        return next((info.name for info in tar if info.offset <= offset < _end(info)), "")


def _end(info: tarfile.TarInfo) -> int:
    return info.offset_data + (info.size if info.isreg() else 0)


def _is_ours(path: str, given: Mapping[str, Digest]) -> bool:
    """Say whether something lies where only the steps look, is the engine's, or says that a given file is gone."""
    folder, name = posixpath.split(path)
    shown = posixpath.join(folder, name.removeprefix(_WHITEOUT))
    return (
        f"{shown}/".startswith(f"{FILES}/")
        or path in (*_CLOCKS, *_ENGINES)
        or (name.startswith(_WHITEOUT) and shown in given)
    )


def _entry(file: Path, info: tarfile.TarInfo, path: str) -> TarEntry | None:
    link = str(PurePosixPath("/", info.linkname))[1:]
    entry = entry_of(info, path, link=link, content=FileBlob(file, info.offset_data, info.size))
    if entry is not None or info.isfifo():  # a pipe is made by whoever talks over it
        return entry
    raise BentoMLException(
        f"a step made the device `/{path}`, which no layer can hold; make it when the container starts"
    )


def _is_as_given(entry: TarEntry, given: Mapping[str, Digest]) -> bool:
    if entry.kind != "file" or entry.path not in given:
        return False
    return Digest.of(b"".join(entry.chunks())) == given[entry.path]


def _is_timed_bytecode(entry: TarEntry) -> bool:
    return entry.kind == "file" and entry.path.endswith(".pyc") and _head(entry)[_PYC_FLAGS] == bytes(4)


def _head(entry: TarEntry) -> bytes:
    return next(iter(entry.chunks()), b"")[:8]
