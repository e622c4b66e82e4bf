"""Debian packages made by hand."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

from bentoml.builder.oci.debian.deb import Deb, read_deb

Compression = Literal["", "gz", "xz", "bz2"]
FIELDS = {"Package": "demo", "Version": "1:2.0-1", "Architecture": "amd64"}


def member(
    path: str, data: bytes = b"", *, mode: int = 0o644, kind: bytes = tarfile.REGTYPE, link: str = ""
) -> tuple[tarfile.TarInfo, bytes]:
    """Return one entry of a data.tar."""
    info = tarfile.TarInfo(f"./{path}")
    info.type, info.mode, info.linkname, info.size = kind, mode, link, len(data)
    return info, data


def folder(path: str, mode: int = 0o755) -> tuple[tarfile.TarInfo, bytes]:
    return member(path, kind=tarfile.DIRTYPE, mode=mode)


def symlink(path: str, target: str) -> tuple[tarfile.TarInfo, bytes]:
    return member(path, kind=tarfile.SYMTYPE, link=target)


def hardlink(path: str, target: str) -> tuple[tarfile.TarInfo, bytes]:
    return member(path, kind=tarfile.LNKTYPE, link=f"./{target}")


def write_deb(
    file: Path,
    members: Sequence[tuple[tarfile.TarInfo, bytes]],
    fields: Mapping[str, str],
    compression: Compression = "xz",
    scripts: Mapping[str, str] | None = None,
) -> Path:
    """Write a package that holds these members, and scripts that would run."""
    control = "".join(f"{key}: {value}\n" for key, value in fields.items()).encode()
    suffix = f".{compression}" if compression else ""
    parts = {
        "debian-binary": b"2.0\n",
        f"control.tar{suffix}": _tar(
            [
                member("control", control),
                member("md5sums", b"00  x\n"),
                *(member(name, text.encode(), mode=0o755) for name, text in (scripts or {}).items()),
            ],
            compression,
        ),
        f"data.tar{suffix}": _tar([folder(""), *members], compression),
    }
    with file.open("wb") as target:
        target.write(b"!<arch>\n")
        for name, data in parts.items():
            target.write(f"{name:<16}{0:<12}{0:<6}{0:<6}{100644:<8}{len(data):<10}`\n".encode() + data)
            target.write(b"\n" * (len(data) % 2))
    return file


def _tar(members: Sequence[tuple[tarfile.TarInfo, bytes]], compression: Compression) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=f"w:{compression}") as archive:  # type: ignore[call-overload]  # checked above
        for info, data in members:
            archive.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


def unpacked(
    tmp_path: Path, name: str, *members: tuple[tarfile.TarInfo, bytes], compression: Compression = "xz"
) -> Deb:
    """Write a package and read it."""
    file = write_deb(tmp_path / f"{name}.deb", members, FIELDS | {"Package": name}, compression)
    (tmp_path / name).mkdir()
    return read_deb(file, tmp_path / name)
