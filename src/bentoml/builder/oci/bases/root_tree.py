"""A root file system as a base of one layer: a folder (`debootstrap` makes one) or a tar, packed or not.

Owners and modes stay, times do not: the same files give the same layer. Nothing is unpacked on this machine.
"""

from __future__ import annotations

import errno
import lzma
import os
import re
import stat
import tarfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from ....exceptions import BentoMLException, NotFound
from ....store.archives.members import checked_path
from ....store.archives.tar import Tar, TarEntry
from ....store.digest import Digest
from ..blobs import FileBlob
from ..cache import Cache, kept_layer
from ..codec import decompressed, gzip_codec
from ..members import entry_of, linked_forward
from ..model import Base, Layer, Platform

__all__ = ["open_root_tree"]

_FORMAT = 2  # to be raised when the same files give another layer
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_ROOT = {"bin", "etc", "lib", "usr"}  # one of which every root has
_XZ = b"\xfd7zXZ\0"
_RATIO = 200  # is how often a packed tar may hold its own size
_ALWAYS = 1 << 30
_PROGRAM = re.compile(r"(?:usr/)?(?:s?bin|lib|lib64)/")
_MACHINES = {62: "amd64", 183: "arm64", 3: "386", 40: "arm", 243: "riscv64", 22: "s390x", 21: "ppc64le"}


def open_root_tree(place: Path, *, platform: Platform, cache: Cache, always: int = _ALWAYS) -> Base:
    """Return the base that a folder or a tar with a root file system makes; it is read once.

    ``always`` is the number of bytes that a packed tar may hold, however small it is.

    Raises:
        NotFound: there is no such file system, or it is one for another machine.
        BentoMLException: it cannot be read, or the tar holds what no root file system holds.
    """
    name = f"rootfs:{place}"
    key = ["rootfs", _FORMAT, platform.architecture]
    if place.is_dir():
        found = _of_folder(place)
        seen = [
            [e.path, e.kind, e.mode, e.size, ascii(e.link), e.uid, e.gid, _stamp(place / e.path)]
            for e in found
        ]
        digest = Digest.of_json(seen)
        layer = kept_layer(
            cache,
            [*key, str(digest)],
            lambda _: _checked(found, name, platform),
            gzip_codec(),
            "base",
            "rootfs",
        )
    elif place.is_file():
        layer = _of_tar(place, [*key, str(Digest.of_file(place))], name, platform, cache, always)
    else:
        raise NotFound(f"`{name}`: there is no such folder or tar")
    return Base(name, None, _config(layer, platform), (layer,), platform)


def _config(layer: Layer, platform: Platform) -> Mapping[str, object]:
    return {
        **platform.to_json(),
        "config": {"Env": [f"PATH={_PATH}", "LANG=C.UTF-8"], "Cmd": ["/bin/sh"]},
        "rootfs": {"type": "layers", "diff_ids": [str(layer.diff_id)]},
        "history": [{"created": "1970-01-01T00:00:00Z", "created_by": layer.about}],
    }


def _checked(entries: list[TarEntry], name: str, platform: Platform) -> Tar:
    """Return the layer of a root file system for this platform; anything else is refused."""
    if not _ROOT & {entry.path.partition("/")[0] for entry in entries}:
        raise NotFound(f"`{name}` is no root file system: it has no `/usr`, `/bin`, `/lib` or `/etc`")
    machine = next(filter(None, map(_machine, entries)), platform.architecture)
    if machine != platform.architecture:
        raise NotFound(
            f"`{name}` is for `linux/{machine}`, not for `{platform}`; give `--platform linux/{machine}` or another base"
        )
    try:
        return Tar.of(entries)
    except ValueError as e:
        raise BentoMLException(f"`{name}` is refused: {e}") from e


def _machine(entry: TarEntry) -> str | None:
    """Return for which machine a program is: the field `e_machine` of its ELF header."""
    if entry.kind != "file" or entry.size < 20 or not _PROGRAM.match(entry.path):
        return None
    head = next(entry.chunks())[:20]
    if not head.startswith(b"\x7fELF"):
        return None
    return _MACHINES.get(int.from_bytes(head[18:20], "big" if head[5] == 2 else "little"))


# -- a folder


def _of_folder(root: Path) -> list[TarEntry]:
    """Return what lies in a folder, in its own file system; devices and sockets, which the engine makes, are left out.

    What belongs to a user who is not root belongs to root in the image.
    """
    first: dict[tuple[int, int], str] = {}
    me, device = os.getuid(), root.stat().st_dev

    def walk(folder: Path) -> Iterator[TarEntry]:
        for path in sorted(folder.iterdir()):
            info = path.lstat()
            name, mode = path.relative_to(root).as_posix(), stat.S_IMODE(info.st_mode)
            owner, group = (0, 0) if me and info.st_uid == me else (info.st_uid, info.st_gid)
            _check_name(checked_path(name))
            if stat.S_ISLNK(info.st_mode):
                yield TarEntry.symlink(name, os.readlink(path), uid=owner, gid=group)
            elif stat.S_ISDIR(info.st_mode):
                yield TarEntry.folder(name, mode=mode, uid=owner, gid=group)
                if info.st_dev == device:
                    yield from walk(path)
            elif stat.S_ISREG(info.st_mode):
                origin = first.setdefault((info.st_dev, info.st_ino), name)
                if origin != name:
                    yield TarEntry(name, "hardlink", mode, link=origin, uid=owner, gid=group)
                else:
                    yield TarEntry(
                        name,
                        "file",
                        mode,
                        info.st_size,
                        path,
                        uid=owner,
                        gid=group,
                        capability=_capability(path),
                    )

    try:
        return linked_forward({entry.path: entry for entry in walk(root)})
    except OSError as e:
        raise BentoMLException(
            f"`{e.filename}` of `rootfs:{root}` cannot be read: {e.strerror}; pack it as a tar with the rights to read it"
        ) from e
    except BentoMLException as e:
        raise BentoMLException(f"`rootfs:{root}` is refused: {e}") from e


def _capability(file: Path) -> bytes:
    """Return what `setcap` gave a program; nothing where it, the file system or this machine's system has no such thing."""
    if not hasattr(os, "getxattr"):
        return b""
    try:
        return os.getxattr(file, "security.capability", follow_symlinks=False)
    except OSError as e:
        if e.errno in (errno.ENODATA, errno.ENOTSUP):
            return b""
        raise


def _stamp(path: Path) -> list[int]:
    info = path.lstat()
    return [info.st_ino, info.st_mtime_ns, info.st_ctime_ns]


# -- a tar


def _of_tar(file: Path, key: object, name: str, platform: Platform, cache: Cache, always: int) -> Layer:
    def make(scratch: Path) -> Tar:
        try:
            entries = _entries(_plain(file, scratch / "plain.tar", always))
        except (tarfile.TarError, lzma.LZMAError, EOFError, OSError) as e:
            raise BentoMLException(f"`{name}` is not a whole tar: {e}") from e
        except BentoMLException as e:
            raise BentoMLException(f"`{name}` is refused: {e}") from e
        return _checked(entries, name, platform)

    return kept_layer(cache, key, make, gzip_codec(), "base", "rootfs")


def _plain(file: Path, target: Path, always: int) -> Path:
    """Return the tar without its compression; one that would fill a disk is refused."""
    with file.open("rb") as stream:
        head = stream.read(len(_XZ))
    if not head.startswith((_XZ, b"\x1f\x8b", b"\x28\xb5\x2f\xfd")):
        return file
    most, written = max(always, _RATIO * file.stat().st_size), 0
    with target.open("wb", buffering=0) as out:
        for chunk in _unpacked(file) if head == _XZ else decompressed(FileBlob(file).chunks()):
            written += len(chunk)
            if written > most:
                raise BentoMLException(
                    f"it holds more than {_RATIO} times its own size, as archives do that fill a disk"
                )
            out.write(chunk)
    return target


def _unpacked(file: Path) -> Iterator[bytes]:
    with lzma.open(file) as stream:
        while chunk := stream.read(1 << 20):
            yield chunk


def _entries(file: Path) -> list[TarEntry]:
    entries: dict[str, TarEntry] = {}
    with tarfile.open(file, "r:") as tar:
        for info in tar:
            if path := checked_path(info.name):
                _check_name(path)
                _add(entries, _entry(info, path, file))
    for entry in entries.values():
        if entry.kind == "hardlink" and getattr(entries.get(entry.link), "kind", "") != "file":
            raise BentoMLException(
                f"`{entry.path}` is a hard link to `{entry.link}`, which is no file before it"
            )
    return linked_forward(entries)


def _check_name(path: str) -> None:
    if path.rpartition("/")[2].startswith(".wh."):
        raise BentoMLException(
            f"`{path}` would hide another file: names that begin with `.wh.` do so in a layer"
        )


def _add(entries: dict[str, TarEntry], entry: TarEntry) -> None:
    known = entries.get(entry.path)
    if known is not None and not known.kind == entry.kind == "dir":
        raise BentoMLException(f"`{entry.path}` is there twice")
    entries[entry.path] = entry
    parent = entry.path
    while parent := parent.rpartition("/")[0]:
        above = entries.setdefault(parent, TarEntry.folder(parent))
        if above.kind != "dir":
            raise BentoMLException(f"`{entry.path}` lies in `{parent}`, which is no folder")


def _entry(info: tarfile.TarInfo, path: str, file: Path) -> TarEntry:
    link = checked_path(info.linkname) if info.islnk() else ""
    entry = entry_of(info, path, link=link, content=FileBlob(file, info.offset_data, info.size))
    if entry is None:
        raise BentoMLException(
            f"`{path}` is neither a file, a folder nor a link; leave devices out, as in `tar --exclude=./dev/*`"
        )
    return entry
