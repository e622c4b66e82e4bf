"""Formats: what an archive is, by its name and by its first bytes."""

from __future__ import annotations

import os
from typing import Literal, cast, get_args

from ..manifest import Manifest

__all__ = ["NATIVE", "Format", "by_content", "by_name", "by_suffix", "is_tar_header"]

Format = Literal["xz", "gz", "bz2", "zst", "tar", "zip", "folder"]

NATIVE = {"model": "bentomodel", "bento": "bento"}  # a tar compressed by xz, under a name of its own
_SUFFIXES: dict[str, Format] = {
    "xz": "xz", "txz": "xz", "gz": "gz", "tgz": "gz", "bz2": "bz2", "tbz2": "bz2", "tbz": "bz2", "zst": "zst",
    "tzst": "zst", "tar": "tar", "zip": "zip",
}  # fmt: skip
_MAGIC: dict[bytes, Format] = {
    b"\xfd7zXZ\0": "xz", b"\x1f\x8b": "gz", b"BZh": "bz2", b"\x28\xb5\x2f\xfd": "zst", b"PK\x03\x04": "zip",
    b"PK\x05\x06": "zip",
}  # fmt: skip
_BLOCK = 512


def by_name(name: str, kind: type[Manifest] | None = None) -> Format:
    """Return the format that a person calls so; each kind of item has a name for its native one.

    Raises:
        ValueError: nothing is called so.
    """
    native = NATIVE.values() if kind is None else (NATIVE[kind.KIND],)
    if name in native:
        return "xz"
    if name not in get_args(Format):
        known = ", ".join([*native, *get_args(Format)])
        raise ValueError(f"Unsupported format `{name}`; give one of {known}")
    return cast(Format, name)


def by_suffix(path: str, kind: type[Manifest] | None = None) -> Format | None:
    """Return the format that the end of a path names, or None; without ``kind``, both native names are known."""
    suffix = os.path.splitext(path)[1][1:].lower()
    native = NATIVE.values() if kind is None else (NATIVE[kind.KIND],)
    return "xz" if suffix in native else _SUFFIXES.get(suffix)


def by_content(head: bytes) -> Format | None:
    """Return the format that begins with these bytes (of which 512 suffice), or None."""
    for magic, format in _MAGIC.items():
        if head.startswith(magic):
            return format
    return "tar" if is_tar_header(head[:_BLOCK]) else None


def is_tar_header(block: bytes) -> bool:
    """Say whether a block is the header of a tar's member, of any age, which its checksum tells."""
    if len(block) < _BLOCK:
        return False
    try:
        said = int(block[148:156].strip(b"\0 ") or b"x", 8)
    except ValueError:
        return False
    return said == sum(block) - sum(block[148:156]) + 8 * 32
