"""Archives made byte by byte: what no honest program writes."""

from __future__ import annotations

import io
import stat
import zipfile
from typing import Any

MANIFEST = b"""name: evil
version: v1
module: ''
labels: {}
options: {}
metadata: {}
context:
  framework_name: ''
  framework_versions: {}
  bentoml_version: 1.4.39
  python_version: 3.11.7
signatures: {}
api_version: v1
creation_time: '2026-01-01T00:00:00+00:00'
"""
END = bytes(1024)


def member(
    name: str | bytes,
    data: bytes = b"",
    kind: bytes = b"0",
    link: str = "",
    *,
    size: bytes | int | None = None,
    mode: int = 0o644,
    prefix: bytes = b"",
    magic: bytes = b"ustar\x0000",
) -> bytes:
    """Return a header and content, as they are told to be."""
    written = size if isinstance(size, bytes) else b"%011o\0" % (len(data) if size is None else size)
    raw = name if isinstance(name, bytes) else name.encode()
    block = b"%s%07o\0%07o\0%07o\0%s%011o\0        %s%s%s" % (
        raw.ljust(100, b"\0"), mode, 0, 0, written, 0, kind, link.encode().ljust(100, b"\0"), magic,
    )  # fmt: skip
    block = block.ljust(345, b"\0") + prefix
    block = block.ljust(512, b"\0")
    checked = block[:148] + b"%06o\0 " % sum(block) + block[156:]
    return checked + data + bytes(-len(data) % 512)


def pax(kind: bytes = b"x", **records: str) -> bytes:
    """Return a pax header with these records."""
    return member("PaxHeader", b"".join(record(k.encode(), v.encode()) for k, v in records.items()), kind)


def record(key: bytes, value: bytes) -> bytes:
    """Return one record of a pax header, with its length."""
    rest = len(key) + len(value) + 3
    length = rest + len(str(rest))
    length = rest + len(str(length))
    return b"%d %s=%s\n" % (length, key, value)


def tar(*parts: bytes, manifest: bytes | None = MANIFEST, end: bytes = END) -> bytes:
    """Return a tar of these members, behind a manifest."""
    first = b"" if manifest is None else member("model.yaml", manifest)
    return first + b"".join(parts) + end


def zipped(
    *members: tuple[str, bytes] | zipfile.ZipInfo, manifest: bytes | None = MANIFEST, **options: Any
) -> bytes:
    """Return a zip of these members, behind a manifest; a `ZipInfo` has the content `x`."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", **options) as archive:
        if manifest is not None:
            archive.writestr("model.yaml", manifest)
        for one in members:
            if isinstance(one, zipfile.ZipInfo):
                archive.writestr(one, one.comment or b"x")
            else:
                archive.writestr(*one)
    return buffer.getvalue()


def special(name: str, kind: int, content: bytes = b"x") -> zipfile.ZipInfo:
    """Return a member of a zip that says to be a link, a device, ...; ``content`` travels as its comment until it is written."""
    info = zipfile.ZipInfo(name)
    info.create_system = 3
    info.external_attr = (kind | 0o777) << 16
    info.comment = content
    return info


LINK, PIPE, DEVICE, REGULAR = stat.S_IFLNK, stat.S_IFIFO, stat.S_IFBLK, stat.S_IFREG
