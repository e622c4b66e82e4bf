"""The layer that Debian packages make upon a base: their files where the base's links lead, and what dpkg knows of them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import PurePosixPath

from ....store.archives.tar import Tar, TarEntry
from ..members import linked_forward
from .base_files import BaseFiles
from .deb import Deb
from .debroot import add_certificates, is_left_out
from .scripts import alternatives, made_folders

__all__ = ["upon_base"]

_STATUS = "var/lib/dpkg/status"
_INSTALLED = b"Status: install ok installed\n"


def upon_base(debs: Sequence[Deb], base: BaseFiles) -> Tar:
    """Return the layer of the packages; a folder that the base has stays as it is."""
    files: dict[str, TarEntry] = {}
    for deb in sorted(debs, key=lambda deb: deb.field("Package")):
        for entry in deb.entries:
            if not is_left_out(entry.path):
                _add(files, entry, base)
        for path in made_folders(deb.scripts):
            _add(files, TarEntry.folder(path), base)
    _add_alternatives(files, debs, base)
    if any(deb.field("Package") == "ca-certificates" for deb in debs):
        add_certificates(files)
    for entry in _registered(debs, base):
        files[entry.path] = entry
    _add_parents(files, base)
    return Tar.of(linked_forward(files))


def _add(files: dict[str, TarEntry], entry: TarEntry, base: BaseFiles) -> None:
    path = base.place_of(entry.path)
    if entry.kind == "dir" and (path in base.folders or path in base.links):
        return
    link = base.place_of(entry.link) if entry.kind == "hardlink" else entry.link
    files.setdefault(path, entry._replace(path=path, link=link))


def _add_alternatives(files: dict[str, TarEntry], debs: Iterable[Deb], base: BaseFiles) -> None:
    """Add the links of alternatives that nobody provides yet."""
    for deb in sorted(debs, key=lambda deb: deb.field("Package")):
        for one in alternatives(deb.scripts):
            way = f"etc/alternatives/{one.name}"
            if (
                way not in base.links
                and "$" not in f"{one.link}{one.path}"
                and not is_left_out(one.path.lstrip("/"))
            ):
                _add(files, TarEntry.symlink(way, one.path), base)
                _add(files, TarEntry.symlink(one.link.lstrip("/"), f"/{way}"), base)


def _registered(debs: Sequence[Deb], base: BaseFiles) -> Iterator[TarEntry]:
    """Yield the files in which dpkg, and scanners of images, find what is installed."""
    if not base.status:
        for deb in debs:
            place = f"var/lib/dpkg/status.d/{deb.field('Package')}"
            yield TarEntry.file(place, deb.control.strip() + b"\n")
            if deb.md5sums:
                yield TarEntry.file(f"{place}.md5sums", deb.md5sums)
        return
    yield TarEntry.file(_STATUS, _status(debs, base.status).encode())
    for deb in debs:
        place = f"var/lib/dpkg/info/{_info_name(deb)}"
        paths = sorted({"/.", *(f"/{entry.path}" for entry in deb.entries)})
        yield TarEntry.file(f"{place}.list", "".join(f"{path}\n" for path in paths).encode())
        if deb.md5sums:
            yield TarEntry.file(f"{place}.md5sums", deb.md5sums)


def _status(debs: Sequence[Deb], present: str) -> str:
    """Return dpkg's status with the packages in the place of what was there of them."""
    new = {(deb.field("Package"), deb.field("Architecture")) for deb in debs}
    kept = [stanza.strip("\n") for stanza in re.split(r"\n{2,}", present) if stanza.strip()]
    kept = [stanza for stanza in kept if (_of(stanza, "Package"), _of(stanza, "Architecture")) not in new]
    added = [
        deb.control.strip().replace(b"\n", b"\n" + _INSTALLED, 1).decode(errors="replace") for deb in debs
    ]
    return "".join(f"{stanza}\n\n" for stanza in [*kept, *added])


def _of(stanza: str, field: str) -> str:
    found = re.search(rf"^{field}: *(.*)$", stanza, re.MULTILINE)
    return found[1].strip() if found else ""


def _info_name(deb: Deb) -> str:
    """Return how dpkg calls the files of a package: those that may be there for several architectures say for which."""
    name = deb.field("Package")
    return f"{name}:{deb.field('Architecture')}" if deb.field("Multi-Arch") == "same" else name


def _add_parents(files: dict[str, TarEntry], base: BaseFiles) -> None:
    """Add the folders that are in nobody's list: an engine would make them unreadable."""
    for path in list(files):
        for parent in map(str, PurePosixPath(path).parents[:-1]):
            if parent not in base.folders:
                files.setdefault(parent, TarEntry.folder(parent))
