"""Bundles: small files in one tar that depends on nothing but their paths and contents; read without believing it."""

from __future__ import annotations

import hashlib
import io
import tarfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from ..exceptions import BentoMLException
from ..store.tree import Entry

__all__ = ["pack", "unpack"]


def pack(folder: Path, entries: Sequence[Entry]) -> bytes:
    """Return the tar of these files of a folder.

    Raises:
        BentoMLException: one cannot be read, or is damaged.
    """
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for entry in entries:
            member = tarfile.TarInfo(entry.path)
            member.size, member.mode = entry.size, 0o755 if entry.executable else 0o644
            tar.addfile(member, io.BytesIO(_read(folder / entry.path, entry)))
    return out.getvalue()


def unpack(tar: Path, entries: Sequence[Entry]) -> Iterator[tuple[Entry, bytes]]:
    """Yield the content of these files, which must be all that a tar holds, in this order.

    Raises:
        BentoMLException: it holds something else.
    """
    try:
        with tarfile.open(tar, mode="r:") as opened:
            for entry in entries:
                member = opened.next()
                if member is None or (member.name, member.size) != (entry.path, entry.size):
                    raise BentoMLException(f"a bundle does not hold `{entry.path}` where it should")
                file = opened.extractfile(member) if member.isreg() and not member.issparse() else None
                data = file.read() if file else b""
                if hashlib.sha256(data).hexdigest() != entry.digest.hex:
                    raise BentoMLException(f"`{entry.path}` has not the content that its item says")
                yield entry, data
            if opened.next() is not None:
                raise BentoMLException("a bundle holds more files than it should")
    except (tarfile.TarError, ValueError, EOFError) as e:
        raise BentoMLException(f"a bundle of small files cannot be read: {e}") from e


def _read(file: Path, entry: Entry) -> bytes:
    try:
        data = file.read_bytes()
    except OSError as e:
        raise BentoMLException(f"cannot read `{file}`: {e.strerror}") from e
    if hashlib.sha256(data).hexdigest() != entry.digest.hex:
        raise BentoMLException(f"`{file}` is damaged: it has other content than what was stored")
    return data
