"""One Debian package as data: its files as tar entries and its control fields; no script of it is run."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import tarfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, NamedTuple

from ....exceptions import BentoMLException
from ....store.archives.tar import TarEntry
from ..codec import decompressed
from ..members import entry_of

__all__ = ["Deb", "read_deb"]

_MAGIC = b"!<arch>\n"
_MEMBER = 60
_SCRIPTS = ("preinst", "postinst")  # what an installation runs


class Deb(NamedTuple):
    """The content of a package: ``control`` and ``md5sums`` as they stand in it, its files, and its scripts by name."""

    control: bytes
    md5sums: bytes
    entries: tuple[TarEntry, ...]
    scripts: Mapping[str, str] = {}

    def field(self, name: str) -> str:
        """Return a field of the control file that fits one line, or an empty text."""
        for line in self.control.decode(errors="replace").splitlines():
            key, _, value = line.partition(":")
            if key.lower() == name.lower():
                return value.strip()
        return ""


def read_deb(file: Path, scratch: Path) -> Deb:
    """Unpack a package: the bytes of its files go to ``scratch`` under names of ours, to be read from there.

    Raises:
        BentoMLException: the file is damaged, or holds something that no package holds.
    """
    try:
        members = dict(_members(file.read_bytes()))
        control = _control(members)
        entries = tuple(_entries(_member(members, "data.tar"), scratch))
    except (tarfile.TarError, lzma.LZMAError, OSError, EOFError, ValueError, KeyError) as e:
        raise BentoMLException(f"`{file}` is not a whole Debian package: {e}") from e
    scripts = {name: control[name].decode(errors="replace") for name in _SCRIPTS if name in control}
    return Deb(control["control"], control.get("md5sums", b""), entries, scripts)


def _members(data: bytes) -> Iterator[tuple[str, memoryview]]:
    """Yield the members of an `ar` archive."""
    if not data.startswith(_MAGIC):
        raise ValueError("it is no ar archive")
    view = memoryview(data)
    start = len(_MAGIC)
    while start + _MEMBER <= len(data):
        name = data[start : start + 16].decode("ascii").strip().rstrip("/")
        size = int(data[start + 48 : start + 58])
        start += _MEMBER
        if start + size > len(data):
            raise ValueError("it ends too early")
        yield name, view[start : start + size]
        start += size + size % 2


def _member(members: dict[str, memoryview], stem: str) -> IO[bytes]:
    """Open the tar whose name starts with ``stem``, however it is compressed."""
    for name, data in members.items():
        if name == stem or name.startswith(f"{stem}."):
            match name.removeprefix(stem):
                case ".xz" | ".lzma":
                    return lzma.open(io.BytesIO(data))
                case ".gz":
                    return io.BytesIO(gzip.decompress(data))
                case ".bz2":
                    return bz2.open(io.BytesIO(data))
                case ".zst":
                    return io.BytesIO(b"".join(decompressed([bytes(data)])))
                case "":
                    return io.BytesIO(data)
    raise KeyError(f"no {stem}")


def _control(members: dict[str, memoryview]) -> dict[str, bytes]:
    """Return the files of the package that are about it, by name."""
    found = {}
    with _member(members, "control.tar") as stream, tarfile.open(fileobj=stream, mode="r|") as tar:
        for info in tar:
            if (file := tar.extractfile(info) if info.isreg() else None) is not None:
                found[info.name.removeprefix("./")] = file.read()
    if not found.get("control"):
        raise KeyError("no control file")
    return found


def _entries(stream: IO[bytes], scratch: Path) -> Iterator[TarEntry]:
    with stream, tarfile.open(fileobj=stream, mode="r|") as tar:
        for number, info in enumerate(tar):
            path = info.name.removeprefix("./").strip("/")
            if path in ("", "."):
                continue
            yield _entry(tar, info, path, scratch / str(number))


def _entry(tar: tarfile.TarFile, info: tarfile.TarInfo, path: str, place: Path) -> TarEntry:
    entry = entry_of(info, path, link=info.linkname.removeprefix("./").strip("/"), content=place)
    if entry is None:
        raise ValueError(f"`{path}` is neither file, folder nor link")
    if (file := tar.extractfile(info) if info.isreg() else None) is not None:
        with place.open("xb") as target:
            while data := file.read(1 << 20):
                target.write(data)
    return entry
