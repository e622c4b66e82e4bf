"""Digest: the sha256 of content, and what follows from it: canonical JSON and versions."""

from __future__ import annotations

import hashlib
import json
import re
from base64 import b32encode
from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO, NamedTuple

__all__ = ["Digest", "canonical_json"]

_HEX = re.compile(r"[0-9a-f]{64}\Z")
_CHUNK = 1 << 20
_VERSION_LENGTH = 16


class Digest(NamedTuple):
    """Name content by its sha256, as 64 lower-case hexadecimal characters; ``str()`` gives ``sha256:<hex>``."""

    hex: str

    @classmethod
    def parse(cls, text: str) -> Digest:
        """Parse ``sha256:<64 hexadecimal characters>``; anything else is a ``ValueError``."""
        algorithm, _, digits = text.partition(":")
        if algorithm != "sha256" or not _HEX.match(digits):
            raise ValueError(f"`{text}` is not a digest; it looks like sha256:<64 hexadecimal characters>")
        return cls(digits)

    @classmethod
    def of(cls, data: bytes | memoryview) -> Digest:
        """Return the digest of bytes."""
        return cls(hashlib.sha256(data).hexdigest())

    @classmethod
    def of_json(cls, value: object) -> Digest:
        """Return the digest of a value's canonical JSON."""
        return cls.of(canonical_json(value))

    @classmethod
    def of_stream(cls, stream: BinaryIO) -> Digest:
        """Return the digest of all that a stream still gives."""
        state = hashlib.sha256()
        while chunk := stream.read(_CHUNK):
            state.update(chunk)
        return cls(state.hexdigest())

    @classmethod
    def of_file(cls, path: Path) -> Digest:
        """Return the digest of a file's content."""
        with path.open("rb") as file:
            return cls(hashlib.file_digest(file, "sha256").hexdigest())

    def version(self) -> str:
        """Return the version that a tag derives from this digest: 16 characters of lower-case base32."""
        return b32encode(bytes.fromhex(self.hex)).decode().lower()[:_VERSION_LENGTH]

    def __str__(self) -> str:
        return f"sha256:{self.hex}"


def canonical_json(value: object) -> bytes:
    """Return JSON with sorted keys, no spaces and UTF-8: equal values give equal bytes.

    Raises:
        TypeError: the value holds something that JSON does not have.
        ValueError: it holds NaN or an infinite number.
    """
    return json.dumps(
        _plain(value), sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    ).encode()


def _plain(value: object) -> object:
    if isinstance(value, Mapping):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    return value
