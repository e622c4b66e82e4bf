"""The virtual environment of an image: what uv unpacked on this machine, told as files of the target.

uv writes this machine into a few files: the interpreter into scripts, where a wheel came from, locks. Scripts are
written anew from their entry points, the rest is left out, and each RECORD says what is really there.
"""

from __future__ import annotations

import csv
import io
import os
import posixpath
import re
from base64 import urlsafe_b64encode
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import PathDistribution
from pathlib import Path

from ....store.archives.tar import TarEntry
from ....store.digest import Digest
from .libraries import external_needs
from .place import VENV, folders

__all__ = ["Group", "read_groups", "read_needs"]

_LARGE = 50_000_000  # bytes that make a package worth a layer of its own
_MAX_LARGE = 12
_PYTHON_FOLDER = re.compile(r"\A(lib64|lib|include/site)/python3\.\d+/")
_RECORD = re.compile(
    r"\Alib(?:64)?/python3\.\d+/site-packages/(?P<name>[^/-]+)-(?P<version>[^/]+)\.dist-info/RECORD\Z"
)
_OF_THIS_MACHINE = re.compile(r"\A\.lock\Z|(?:\A|/)__pycache__/|\.dist-info/(?:direct_url|uv_cache)\.json\Z")
_HOST_PYTHON = re.compile(
    rb"\A(?:#!/(?!usr/bin/env)[^\n]*python[^\n]*\n|#!/bin/sh\n'''exec' [^\n]*\n' '''\n)"
)
_SHEBANG = f"#!/{VENV}/bin/python\n"


@dataclass(frozen=True, slots=True)
class Group:
    """The entries of one layer; ``content`` is the digest of all of them, with the files' bytes."""

    about: str
    entries: tuple[TarEntry, ...]
    content: Digest


@dataclass(frozen=True, slots=True)
class _File:
    path: str  # in the environment
    source: bytes | Path
    size: int
    mode: int
    digest: Digest


@dataclass(frozen=True, slots=True)
class _Package:
    name: str
    version: str
    record: str  # where its RECORD is, in the environment
    owns: tuple[str, ...]  # the files that RECORD names, in the environment
    scripts: Mapping[str, bytes]  # those that follow from its entry points

    def __str__(self) -> str:
        return f"{self.name} {self.version}"


def read_groups(
    prefix: Path, version: str, interpreter: str, *, apart: Collection[str] = (), large: int = _LARGE
) -> list[Group]:
    """Return the layers of what is installed under ``prefix``: each large package, all others, and those set ``apart``.

    ``version`` is the Python ``X.Y`` of the target and ``interpreter`` its path there; ``apart`` names packages that
    change more often than the rest; ``large`` is a number of bytes.
    """
    found = dict(sorted(_walk(prefix, version)))
    packages = [_package(path, source, version) for path, source in found.items() if _RECORD.match(path)]
    files = _files(found, packages)
    last = [package for package in packages if package.name in apart]
    first = _largest([package for package in packages if package.name not in apart], files, large)
    below = [_group(str(package), _taken(package, files)) for package in first]
    above = [_group(str(package), _taken(package, files)) for package in last]
    rest = [*files.values(), _file("pyvenv.cfg", _configuration(version, interpreter))]
    count = len(packages) - len(first) - len(last)
    return [*below, _group(f"{count} packages", rest, _links(version, interpreter)), *above]


def read_needs(prefix: Path, version: str) -> dict[str, list[str]]:
    """Return the libraries that what is installed under ``prefix`` needs of a base, each with the packages that need it."""
    found = dict(_walk(prefix, version))
    packages = (_package(path, source, version) for path, source in found.items() if _RECORD.match(path))
    owners = {path: package.name for package in packages for path in package.owns}
    return external_needs(found, owners)


def _taken(package: _Package, files: dict[str, _File]) -> list[_File]:
    """Take the files of a package out of all files."""
    return [files.pop(path) for path in package.owns if path in files]


def _walk(prefix: Path, version: str) -> Iterator[tuple[str, Path]]:
    """Yield each regular file: its path in the environment, and where it is here."""
    for folder, _, names in os.walk(prefix):
        for name in names:
            source = Path(folder, name)
            path = source.relative_to(prefix).as_posix()
            if not _OF_THIS_MACHINE.search(path) and not source.is_symlink():
                yield _target_path(path, version), source


def _target_path(path: str, version: str) -> str:
    """Return a path with the target's Python in it, where uv wrote that of this machine."""
    return _PYTHON_FOLDER.sub(rf"\1/python{version}/", path)


def _package(record: str, source: Path, version: str) -> _Package:
    match = _RECORD.match(record)
    assert match is not None
    site = posixpath.dirname(posixpath.dirname(record))
    with source.open(encoding="utf-8", newline="") as file:
        rows = [posixpath.normpath(posixpath.join(site, row[0])) for row in csv.reader(file) if row]
    owns = tuple(sorted({_target_path(path, version) for path in rows}))
    return _Package(match["name"], match["version"], record, owns, _scripts(source.parent))


def _scripts(dist_info: Path) -> dict[str, bytes]:
    """Return the programs that a package's entry points declare, for the interpreter of the environment."""
    return {
        f"bin/{point.name}": (
            f"{_SHEBANG}import sys\n\nfrom {point.module} import {point.attr.partition('.')[0]}\n\n"
            f'if __name__ == "__main__":\n    sys.exit({point.attr}())\n'
        ).encode()
        for point in PathDistribution(dist_info).entry_points
        if point.group in ("console_scripts", "gui_scripts") and point.attr
    }


def _files(found: Mapping[str, Path], packages: Sequence[_Package]) -> dict[str, _File]:
    scripts = {path: text for package in packages for path, text in package.scripts.items()}
    files = {}
    for path, source in found.items():
        if path in scripts:
            files[path] = _file(path, scripts[path], executable=True)
        else:
            files[path] = _file(path, _without_host(path, source), executable=_is_executable(source))
    for package in packages:
        files[package.record] = _file(package.record, _record(package, files))
    return files


def _file(path: str, source: bytes | Path, *, executable: bool = False) -> _File:
    mode = 0o755 if executable else 0o644
    if isinstance(source, bytes):
        return _File(path, source, len(source), mode, Digest.of(source))
    return _File(path, source, source.stat().st_size, mode, Digest.of_file(source))


def _is_executable(source: Path) -> bool:
    return bool(source.stat().st_mode & 0o100)


def _without_host(path: str, source: Path) -> bytes | Path:
    """Return a file as it is, or a script of a wheel with the environment's interpreter instead of this machine's."""
    if not path.startswith("bin/"):
        return source
    with source.open("rb") as file:
        head = _HOST_PYTHON.match(file.read(4096))
    return _SHEBANG.encode() + source.read_bytes()[head.end() :] if head else source


def _record(package: _Package, files: Mapping[str, _File]) -> bytes:
    """Return the RECORD of what the environment holds of a package (PEP 376, PEP 427)."""
    site = posixpath.dirname(posixpath.dirname(package.record))
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    for path in package.owns:
        if path == package.record:
            writer.writerow([posixpath.relpath(path, site), "", ""])
        elif path in files:
            digest = urlsafe_b64encode(bytes.fromhex(files[path].digest.hex)).rstrip(b"=").decode()
            writer.writerow([posixpath.relpath(path, site), f"sha256={digest}", files[path].size])
    return text.getvalue().encode()


def _largest(packages: Iterable[_Package], files: Mapping[str, _File], large: int) -> list[_Package]:
    """Return the packages that are large enough for a layer of their own, by name; at most twelve."""

    def size(package: _Package) -> int:
        return sum(files[path].size for path in package.owns if path in files)

    largest = sorted(packages, key=size, reverse=True)[:_MAX_LARGE]
    return sorted((package for package in largest if size(package) >= large), key=str)


def _configuration(version: str, interpreter: str) -> bytes:
    home = posixpath.dirname(interpreter)
    return f"home = {home}\ninclude-system-site-packages = false\nversion = {version}\n".encode()


def _links(version: str, interpreter: str) -> list[TarEntry]:
    return [
        TarEntry.symlink(f"{VENV}/bin/python", interpreter),
        TarEntry.symlink(f"{VENV}/bin/python3", "python"),
        TarEntry.symlink(f"{VENV}/bin/python{version}", "python"),
    ]


def _group(about: str, files: Sequence[_File], links: Sequence[TarEntry] = ()) -> Group:
    entries = [TarEntry(f"{VENV}/{f.path}", "file", f.mode, f.size, f.source) for f in files]
    parents = folders((entry.path for entry in [*entries, *links]), VENV)
    content = Digest.of_json(
        [[f.path, f.mode, f.digest.hex] for f in sorted(files, key=lambda f: f.path)]
        + [[link.path, link.link] for link in links]
    )
    return Group(about, (*parents, *entries, *links), content)
