"""What a Debian base holds that decides how packages go upon it: what is installed, from where, its folders and links."""

from __future__ import annotations

import posixpath
import re
import tarfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from ....exceptions import BentoMLException
from ..blobs import PlainBlob
from ..model import Layer

__all__ = ["BaseFiles", "read_base_files"]

_WANTED = re.compile(
    r"(etc|usr/lib)/os-release|var/lib/dpkg/status|var/lib/dpkg/status\.d/[^/]+|etc/apt/sources\.list"
    r"|etc/apt/sources\.list\.d/[^/]+\.(list|sources)|etc/apt/trusted\.gpg(\.d/[^/]+)?|etc/apt/keyrings/[^/]+"
    r"|usr/share/keyrings/[^/]+|var/lib/dpkg/info/[^/]+\.list"
)
_MAX_SIZE = 32 << 20
_WHITEOUT = ".wh."
_OPAQUE = ".wh..wh..opq"
_MAX_LINKS = 40
_INSTALLED = "Status: install ok installed"


@dataclass(frozen=True, slots=True)
class BaseFiles:
    """Some files of a base by path, all of its folders, and its symbolic links; paths are relative to its root."""

    texts: dict[str, bytes]
    folders: set[str]
    links: dict[str, str]

    @property
    def status(self) -> str:
        """What dpkg says is installed; empty where a base keeps no such file."""
        return self._text("var/lib/dpkg/status")

    def installed(self) -> str:
        """Return a status file of all that is there, also of a base without dpkg."""
        apart = [
            text.decode(errors="replace").strip()
            for path, text in sorted(self.texts.items())
            if path.startswith("var/lib/dpkg/status.d/") and not path.endswith(".md5sums")
        ]
        stanzas = [
            self.status.strip(),
            *(f"{text}\n{_INSTALLED}" if _INSTALLED not in text else text for text in apart),
        ]
        return "".join(f"{stanza}\n\n" for stanza in stanzas if stanza)

    def distribution(self) -> str:
        """Return what the base calls itself, such as ``debian``; what only is like one of them counts as that."""
        own = self._release("ID")
        for name in (own, *self._release("ID_LIKE").split()):
            if name in ("debian", "ubuntu", "alpine", "amzn", "fedora", "rhel"):
                return name
        return own

    def codename(self) -> str:
        """Return the name of its release, such as ``bookworm``."""
        return self._release("VERSION_CODENAME")

    def place_of(self, path: str) -> str:
        """Return where something lies really: the folders on the way may be links, as ``/lib`` is."""
        for _ in range(_MAX_LINKS):
            link = next((str(p) for p in reversed(PurePosixPath(path).parents) if str(p) in self.links), None)
            if link is None:
                return path
            target = posixpath.join("/", posixpath.dirname(link), self.links[link])
            path = posixpath.normpath(posixpath.join(target, posixpath.relpath(path, link))).lstrip("/")
        raise BentoMLException(f"`/{path}` of the base lies behind links that lead in a circle")

    def _text(self, path: str) -> str:
        return self.texts.get(path, b"").decode(errors="replace")

    def _release(self, key: str) -> str:
        text = self._text("etc/os-release") or self._text("usr/lib/os-release")
        found = re.search(rf"^{key}=[\"']?([^\"'\n]*)", text, re.MULTILINE)
        return found[1].strip().lower() if found else ""


def read_base_files(layers: Iterable[Layer], scratch: Path) -> BaseFiles:
    """Read the layers, from the bottom up.

    Raises:
        BentoMLException: a layer is damaged or cannot be fetched.
    """
    found = BaseFiles({}, set(), {})
    for layer in layers:
        plain = scratch / "plain.tar"
        with plain.open("wb") as target:
            target.writelines(PlainBlob(layer.blob).chunks())
        try:
            _read(plain, found)
        except tarfile.TarError as e:
            raise BentoMLException(f"base layer `{layer.descriptor.digest}` cannot be read: {e}") from e
        plain.unlink()
    return found


def _read(plain: Path, found: BaseFiles) -> None:
    with tarfile.open(plain, "r:") as archive:
        members = [(str(PurePosixPath("/", member.name))[1:], member) for member in archive]
        for path in _gone(path for path, _ in members):
            _forget(found, path)
        for path, member in members:
            if path and _WHITEOUT not in posixpath.basename(path)[: len(_WHITEOUT)]:
                _note(archive, path, member, found)


def _gone(paths: Iterable[str]) -> Iterator[str]:
    """Yield what whiteouts hide; a folder with ``/`` loses all that is in it."""
    for path in paths:
        folder, name = posixpath.split(path)
        if name == _OPAQUE:
            yield f"{folder}/"
        elif name.startswith(_WHITEOUT):
            yield posixpath.join(folder, name.removeprefix(_WHITEOUT))


def _forget(found: BaseFiles, gone: str) -> None:
    below = f"{gone.rstrip('/')}/"
    for known in (found.texts, found.folders, found.links):
        for path in [path for path in known if path == gone or path.startswith(below)]:
            known.discard(path) if isinstance(known, set) else known.pop(path)


def _note(archive: tarfile.TarFile, path: str, member: tarfile.TarInfo, found: BaseFiles) -> None:
    if not member.isdir():
        _forget(found, path) if path in found.folders else None
    found.links.pop(path, None)
    if member.isdir():
        found.folders.add(path)
    elif member.issym():
        found.links[path] = member.linkname
    elif _WANTED.fullmatch(path) and member.isreg() and (file := archive.extractfile(member)):
        found.texts[path] = file.read(_MAX_SIZE)
