"""The file system that Debian packages make together.

Maintainer scripts are not run: what they would do that matters is done here as data.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path, PurePosixPath

from ....exceptions import BentoMLException
from ....store.archives.tar import TarEntry
from ..members import linked_forward
from .deb import Deb

__all__ = ["add_certificates", "is_left_out", "root_entries"]

_LEFT_OUT = (
    "usr/share/bug/",
    "usr/share/doc-base/",
    "usr/share/info/",
    "usr/share/lintian/",
    "usr/share/locale/",
    "usr/share/man/",
)
# Links into usr/, as every Debian since 12 has them.
_MERGED = ("bin", "lib", "lib32", "lib64", "libx32", "sbin")
# What the scripts of `base-files` make.
_FOLDERS = (
    "media", "mnt", "opt", "srv",
    *(f"usr/local/{name}" for name in ("bin", "etc", "include", "lib", "sbin", "share", "src")),
)  # fmt: skip
# Commands of which Debian has several; one of them is chosen by a script.
_CHOSEN = {"usr/bin/awk": "mawk", "usr/bin/sh": "dash", "usr/bin/which": "which.debianutils"}
_COPIES = {
    "etc/passwd": "usr/share/base-passwd/passwd.master",
    "etc/group": "usr/share/base-passwd/group.master",
    "etc/nsswitch.conf": "usr/share/libc-bin/nsswitch.conf",
}
_CERTIFICATES = "usr/share/ca-certificates/"
_BUNDLE = "etc/ssl/certs/ca-certificates.crt"


def root_entries(debs: Iterable[Deb]) -> list[TarEntry]:
    """Return the file system that these packages make.

    Raises:
        BentoMLException: two packages hold the same file.
    """
    files: dict[str, TarEntry] = {}
    for deb in sorted(debs, key=lambda deb: (deb.field("Package") != "base-files", deb.field("Package"))):
        for entry in map(_merged, deb.entries):
            if entry is not None and not is_left_out(entry.path):
                _add(files, entry, deb.field("Package"))
        _register(files, deb)
    _add_links(files)
    add_certificates(files)
    for target, source in _COPIES.items():
        if source in files:
            files.setdefault(target, files[source]._replace(path=target))
    _add_folders(files)
    return linked_forward(files)


def _add(files: dict[str, TarEntry], entry: TarEntry, package: str) -> None:
    present = files.setdefault(entry.path, entry)
    if present is not entry and not present.kind == entry.kind == "dir":
        raise BentoMLException(f"package `{package}` holds `/{entry.path}`, which another package holds too")


def _merged(entry: TarEntry) -> TarEntry | None:
    """Move what lies in /bin, /lib and so on to where the merged /usr has it; those folders become links."""
    if entry.path in _MERGED:
        return None
    link = _in_usr(entry.link) if entry.kind == "hardlink" else entry.link
    return entry._replace(path=_in_usr(entry.path), link=link)


def _in_usr(path: str) -> str:
    return f"usr/{path}" if path.partition("/")[0] in _MERGED else path


def is_left_out(path: str) -> bool:
    """Say whether a file of a package is only for people who sit before the machine."""
    if path.startswith("usr/share/doc/"):
        return not path.endswith("/copyright")
    return f"{path}/".startswith(_LEFT_OUT)


def _register(files: dict[str, TarEntry], deb: Deb) -> None:
    """Say that the package is there, where scanners of images without dpkg look for it."""
    place = f"var/lib/dpkg/status.d/{deb.field('Package')}"
    files[place] = TarEntry.file(place, deb.control.strip() + b"\n")
    if deb.md5sums:
        files[f"{place}.md5sums"] = TarEntry.file(f"{place}.md5sums", deb.md5sums)


def _add_links(files: dict[str, TarEntry]) -> None:
    for name in _MERGED:
        if any(path.startswith(f"usr/{name}/") for path in files):
            files[name] = TarEntry.symlink(name, f"usr/{name}")
    for path, program in _CHOSEN.items():
        if f"usr/bin/{program}" in files:
            files.setdefault(path, TarEntry.symlink(path, program))


def add_certificates(files: dict[str, TarEntry]) -> None:
    """Write the bundle of all certificate authorities and put it where OpenSSL looks."""
    bundle = b"".join(
        entry.source.read_bytes().strip() + b"\n"
        for path, entry in sorted(files.items())
        if path.startswith(_CERTIFICATES) and path.endswith(".crt") and isinstance(entry.source, Path)
    )
    files[_BUNDLE] = TarEntry.file(_BUNDLE, bundle)
    links = {"usr/lib/ssl/cert.pem": f"/{_BUNDLE}", "usr/lib/ssl/certs": "/etc/ssl/certs"}
    for path, link in links.items():
        files.setdefault(path, TarEntry.symlink(path, link))


def _add_folders(files: dict[str, TarEntry]) -> None:
    if "var/lib/dpkg/status.d/base-files" in files:
        for path in _FOLDERS:
            files.setdefault(path, TarEntry.folder(path))
    for path in list(files):
        for parent in PurePosixPath(path).parents[:-1]:
            files.setdefault(str(parent), TarEntry.folder(str(parent)))
