"""Which shared libraries packages need of a base: what their extension modules name, and no package brings.

A wheel may rely on the system for a few libraries (`manylinux` lists them), and some do for more: `libGL.so.1`, `libgomp.so.1`.
An image without them starts, and fails at an import.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import BinaryIO, NamedTuple

__all__ = ["Needs", "debian_package", "external_needs", "missing"]

Needs = Mapping[str, Collection[str]]  # the name of a library -> the packages that need it

_LIBRARY = re.compile(r"\.so(?:\.[\w.]+)?\Z")
_OF_THE_HOST = re.compile(
    r"\A(?:ld-|linux-vdso|libcuda\.so|libnv\w*\.so|libnvidia-)"
)  # drivers, brought by their runtime
_DYNAMIC, _LOAD = 2, 1  # types of segments
_NEEDED, _STRINGS = 1, 5  # tags of the dynamic section
_PROGRAM_HEADER = struct.Struct("<IIQQQQQQ")
_MOST_BYTES = 1 << 20  # of a dynamic section, or of its strings
_PACKAGES = {  # of Debian, where its policy does not give the name
    "libGL.so.1": "libgl1",
    "libGLU.so.1": "libglu1-mesa",
    "libEGL.so.1": "libegl1",
    "libgcc_s.so.1": "libgcc-s1",
    "libglib-2.0.so.0": "libglib2.0-0",
    "libgthread-2.0.so.0": "libglib2.0-0",
    "libgobject-2.0.so.0": "libglib2.0-0",
    "libgio-2.0.so.0": "libglib2.0-0",
    "libz.so.1": "zlib1g",
    "libcrypto.so.3": "libssl3",
    "libjpeg.so.62": "libjpeg62-turbo",
    "libodbc.so.2": "libodbc2",
    "libicudata.so.72": "libicu72",
    "libicuuc.so.72": "libicu72",
    "libxslt.so.1": "libxslt1.1",
    "libldap-2.5.so.0": "libldap-2.5-0",
}


class _Segment(NamedTuple):
    kind: int
    offset: int
    address: int
    size: int


def external_needs(files: Mapping[str, Path], owners: Mapping[str, str]) -> dict[str, list[str]]:
    """Return the libraries that files of an environment need and do not bring, each with the packages that need it.

    ``files`` are by their paths in the environment, ``owners`` name the package of each. What lies in the environment counts
    as found, wherever: packages load one another's libraries by hand before they are needed.
    """
    found = {path: file for path, file in files.items() if _LIBRARY.search(path)}
    brought = {path.rpartition("/")[2] for path in found}
    needs: dict[str, set[str]] = {}
    for path, file in found.items():
        for name in needed(file):
            if name not in brought and not _OF_THE_HOST.match(name):
                needs.setdefault(name, set()).add(owners.get(path, path))
    return {name: sorted(packages) for name, packages in sorted(needs.items())}


def missing(needs: Needs, libraries: Collection[str], base: str) -> Iterator[str]:
    """Yield a line for each package that needs libraries which a base has not, with what to do about it."""
    lacking: dict[str, list[str]] = {}
    for name, packages in sorted(needs.items()):
        if name not in libraries:
            lacking.setdefault(_words(packages), []).append(name)
    for package, names in sorted(lacking.items()):
        debian = dict.fromkeys(map(debian_package, names))
        yield (
            f"{package} may not work: the base image `{base}` has no {_words(names)}; name what has them in "
            f"`docker.system_packages`, on Debian {_words(debian)}"
        )


def _words(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def debian_package(library: str) -> str:
    """Return the Debian package that a library is in: by policy its name and version, with a dash between two digits.

    https://www.debian.org/doc/debian-policy/ch-sharedlibs.html
    """
    stem, _, version = library.partition(".so")
    dash = "-" if stem[-1:].isdigit() and version else ""
    return _PACKAGES.get(library) or f"{stem}{dash}{version.removeprefix('.')}".lower().replace("_", "-")


def needed(file: Path) -> list[str]:
    """Return the libraries that an ELF file of 64 bits names as needed; none for any other file.

    https://refspecs.linuxfoundation.org/elf/gabi4+/ch5.dynamic.html
    """
    with file.open("rb") as elf:
        try:
            return _needed(elf)
        except (struct.error, ValueError):  # cut short: it says nothing
            return []


def _needed(elf: BinaryIO) -> list[str]:
    if elf.read(6) != b"\x7fELF\x02\x01":
        return []
    segments = _segments(elf)
    dynamic = next((segment for segment in segments if segment.kind == _DYNAMIC), None)
    if dynamic is None:
        return []
    data = _read(elf, dynamic.offset, dynamic.size - dynamic.size % 16)
    tags = list(struct.iter_unpack("<QQ", data))
    address = next((value for tag, value in tags if tag == _STRINGS), 0)
    strings = next(
        (s for s in segments if s.kind == _LOAD and s.address <= address < s.address + s.size), None
    )
    if strings is None:
        return []
    start = strings.offset + address - strings.address
    return [_string(elf, start + value) for tag, value in tags if tag == _NEEDED]


def _segments(elf: BinaryIO) -> list[_Segment]:
    (offset,) = struct.unpack("<Q", _read(elf, 32, 8))
    size, count = struct.unpack("<HH", _read(elf, 54, 4))
    if size != _PROGRAM_HEADER.size:
        return []
    headers = _PROGRAM_HEADER.iter_unpack(_read(elf, offset, size * count))
    return [_Segment(kind, start, address, length) for kind, _, start, address, _, length, _, _ in headers]


def _string(elf: BinaryIO, offset: int) -> str:
    elf.seek(offset)
    return elf.read(256).partition(b"\0")[0].decode("utf-8", "replace")


def _read(elf: BinaryIO, offset: int, size: int) -> bytes:
    if size > _MOST_BYTES:
        raise ValueError(f"{size} bytes are too many for headers")
    elf.seek(offset)
    return elf.read(size)
