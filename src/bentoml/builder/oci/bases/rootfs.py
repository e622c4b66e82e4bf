"""What a base image holds, as far as a bento must know: its users, its Pythons, its C library, and its other ones.

It is read from the layers, once for each base; nothing of the image is run and no file is unpacked.
"""

from __future__ import annotations

import io
import posixpath
import re
import tarfile
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import PurePosixPath
from typing import NamedTuple

from ....exceptions import BentoMLException
from ....store.digest import Digest
from ..blobs import CheckedBlob, PlainBlob
from ..cache import Cache
from ..members import each_member
from ..model import Base, Layer

__all__ = ["LayerStream", "RootFS", "read_rootfs"]

_CHUNK = 1 << 20
_FORMAT = 5  # to be raised when what is read from the layers changes
_MAX_SIZE = 16 << 20
_WHITEOUT = ".wh."
_OPAQUE = ".wh..wh..opq"

_TEXTS = ("etc/passwd", "etc/group")
_FOLDERS = ("app", "home")
_FOLDER, _NO_FILE = "folder", "\0"
_PYTHON = re.compile(r"(?:[^/]+/)*bin/python3\.\d+\Z")
_PYTHON_LINK = re.compile(r"(?:[^/]+/)*bin/python(?:3(?:\.\d+)?)?\Z")
_GLIBC = re.compile(r"(?:usr/)?lib(?:64)?/(?:[^/]+-linux-gnu[^/]*/)?libc(?:\.so\.6|-2\.\d+\.so)\Z")
_GLIBC_BANNER = re.compile(rb"GNU C Library [^\n\0]{0,200}?version (2\.\d+)")
_LIBRARY = re.compile(r"(?:[^/]+/)*lib(?:32|64|x32)?/(?:[^/]+/)?[^/]+\.so(?:\.[\w.]+)?\Z")
_LIBPYTHON = re.compile(r"(?:[^/]+/)*lib(?:64)?/(?:[^/]+/)?libpython3\.\d+\.so\.[\d.]+\Z")
_MINOR = re.compile(r"python(3\.\d+)")
_MUSL = re.compile(r"(?:usr/)?lib/ld-musl-[^/]+\.so\.1\Z")


class RootFS(NamedTuple):
    """Say what is in a base: two files, the paths of its Pythons (as ``/usr/bin/python3.11``), and its C library.

    The texts hold one character for each byte (Latin-1). ``libc`` is a glibc version such as ``2.36``, or ``musl``, or
    empty where none was found; ``folders`` are those of ``app`` and ``home`` that are there. ``libraries`` are the names of
    all shared libraries. ``releases`` are the full versions, such as ``3.11.2``, that Pythons and their libraries name in
    themselves, by path; ``links`` are the Pythons that are links, and what they point to.
    """

    passwd: str = ""
    group: str = ""
    pythons: tuple[str, ...] = ()
    libc: str = ""
    folders: tuple[str, ...] = ()
    libraries: tuple[str, ...] = ()
    releases: Mapping[str, str] = {}
    links: Mapping[str, str] = {}

    def python(self, version: str, search_path: str) -> str | None:
        """Return the path of the Python ``X.Y`` that comes first on a PATH, or None."""
        candidates = (str(PurePosixPath(folder, f"python{version}")) for folder in search_path.split(":"))
        return next((path for path in candidates if path in self.pythons), None)

    def program(self, interpreter: str) -> str:
        """Return the path of the program that an interpreter is, behind its links."""
        for _ in self.links:
            interpreter = self.links.get(interpreter, interpreter)
        return interpreter

    def release(self, interpreter: str) -> str:
        """Return the full version of an interpreter, which its library may say instead; empty where neither does."""
        program = self.program(interpreter)
        prefix, _, name = program.rpartition("/bin/")
        beside = (
            full
            for path, full in self.releases.items()
            if path.startswith(f"{prefix}/lib") and f"python{full}".startswith(f"{name}.")
        )
        return self.releases.get(program) or next(beside, "")

    def versions(self) -> list[str]:
        """Return the versions of the Pythons that are there, oldest first."""
        found = {path.rpartition("/python")[2] for path in self.pythons}
        return sorted(found, key=lambda version: int(version[2:]))


def read_rootfs(base: Base, cache: Cache) -> RootFS:
    """Read the layers of a base, and so make sure that each is what its diff_id says; what was found is remembered.

    Raises:
        BentoMLException: a layer is damaged or cannot be fetched.
    """
    layers = [[str(layer.descriptor.digest), str(layer.diff_id)] for layer in base.layers]
    key = Digest.of_json({"rootfs": _FORMAT, "layers": layers})
    if (known := cache.recall(key)) is not None:
        return _from_record(known)
    found = _summary(_facts(base.layers))
    if _NO_FILE in (found.passwd, found.group):
        raise BentoMLException(
            f"base image `{base.name}` has links or folders where `/etc/passwd` and `/etc/group` should be files, so that no "
            "account can be added; take another base, or one in which they are files"
        )
    cache.remember(key, found._asdict())
    return found


def _from_record(record: Mapping[str, object]) -> RootFS:
    def words(key: str) -> tuple[str, ...]:
        value = record[key]
        assert isinstance(value, list)
        return tuple(map(str, value))

    def pairs(key: str) -> dict[str, str]:
        value = record[key]
        assert isinstance(value, dict)
        return value

    return RootFS(
        str(record["passwd"]),
        str(record["group"]),
        words("pythons"),
        str(record["libc"]),
        words("folders"),
        words("libraries"),
        pairs("releases"),
        pairs("links"),
    )


def _facts(layers: Iterable[Layer]) -> dict[str, str]:
    """Return what each file of interest says, by path: the text of an account file, the version of a libc."""
    facts: dict[str, str] = {}
    for layer in layers:
        found: dict[str, str] = {}
        gone: set[str] = set()
        name = f"{layer.descriptor.digest}` of the base, said to be `{layer.diff_id}"
        stream = LayerStream(CheckedBlob(PlainBlob(layer.blob), layer.diff_id, name).chunks())
        try:
            with tarfile.open(fileobj=stream, mode="r|", bufsize=_CHUNK) as archive:
                for member in each_member(archive):
                    _note(archive, member, found, gone)
            stream.drain()
        except tarfile.TarError as e:
            stream.drain()
            raise BentoMLException(f"base layer `{layer.descriptor.digest}` cannot be read: {e}") from e
        facts = {path: fact for path, fact in facts.items() if not _is_gone(path, gone)} | found
    return facts


def _note(archive: tarfile.TarFile, member: tarfile.TarInfo, found: dict[str, str], gone: set[str]) -> None:
    path = str(PurePosixPath("/", member.name))[1:]
    folder, _, name = path.rpartition("/")
    if name == _OPAQUE:
        gone.add(f"{folder}/")
    elif name.startswith(_WHITEOUT):
        gone.add(str(PurePosixPath(folder, name.removeprefix(_WHITEOUT))))
    elif path in _TEXTS:
        found[path] = _read(archive, member).decode("latin-1") if member.isreg() else _NO_FILE
    elif path in _FOLDERS:
        found[path] = "file" if member.isreg() else _FOLDER  # or a link to one
    elif path == "etc" and not member.isdir():
        found.update(dict.fromkeys(_TEXTS, _NO_FILE))
    elif _PYTHON_LINK.match(path) and member.issym():
        found[path] = posixpath.normpath(posixpath.join("/", folder, member.linkname))
    elif (_PYTHON.match(path) or _LIBPYTHON.match(path)) and not member.isdir():
        found[path] = _release(path, _read(archive, member)) or "python"
    elif _MUSL.match(path):
        found[path] = "musl"
    elif _GLIBC.match(path) and member.isfile():
        banner = _GLIBC_BANNER.search(_read(archive, member))
        found[path] = banner[1].decode() if banner else ""
    elif _LIBRARY.match(path):
        found[path] = "library"


def _release(path: str, program: bytes) -> str:
    """Return the full version that a Python, or its library, names in itself."""
    minor = _MINOR.search(path)
    assert minor is not None
    found = re.search(rb"(?<![\d.])(%s\.\d+(?:(?:a|b|rc)\d+)?)\0" % re.escape(minor[1]).encode(), program)
    return found[1].decode() if found else ""


def _is_gone(path: str, gone: Collection[str]) -> bool:
    """Say whether a whiteout of an upper layer (``folder/`` for an opaque folder) hides a file of a lower one."""
    parents = [str(parent) for parent in PurePosixPath(path).parents if parent.name]
    return any(name in gone for name in (path, "/", *parents, *(f"{parent}/" for parent in parents)))


def _read(archive: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    file = archive.extractfile(member) if member.isfile() else None
    return file.read(_MAX_SIZE) if file else b""


def _summary(facts: Mapping[str, str]) -> RootFS:
    libcs = [facts[path] for path in facts if (_GLIBC.match(path) or _MUSL.match(path)) and facts[path]]
    return RootFS(
        passwd=facts.get("etc/passwd", ""),
        group=facts.get("etc/group", ""),
        pythons=tuple(sorted(f"/{path}" for path in facts if _PYTHON.match(path))),
        libc=libcs[-1] if libcs else "",
        folders=tuple(path for path in _FOLDERS if facts.get(path) == _FOLDER),
        libraries=tuple(sorted({path.rpartition("/")[2] for path in facts if _is_library(path)})),
        releases={
            f"/{path}": fact
            for path, fact in sorted(facts.items())
            if _MINOR.search(path) and fact[:1].isdigit()
        },
        links={
            f"/{path}": fact
            for path, fact in sorted(facts.items())
            if fact.startswith("/") and _PYTHON_LINK.match(path)
        },
    )


def _is_library(path: str) -> bool:
    return any(kind.match(path) for kind in (_LIBRARY, _GLIBC, _MUSL))


class LayerStream(io.RawIOBase):
    """The read-only file that `tarfile` wants, over chunks."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._rest = memoryview(b"")

    def readable(self) -> bool:
        return True

    def drain(self) -> None:
        """Read to the end, where the digest is checked."""
        while self.read(_CHUNK):
            pass

    def read(self, size: int = -1) -> bytes:
        """Return up to ``size`` bytes, fewer only at the end."""
        parts: list[memoryview] = []
        wanted = size
        while wanted > 0:
            if not self._rest:
                chunk = next(self._chunks, None)
                if chunk is None:
                    break
                self._rest = memoryview(chunk)
                continue
            parts.append(self._rest[:wanted])
            self._rest = self._rest[wanted:]
            wanted -= len(parts[-1])
        return b"".join(parts)
