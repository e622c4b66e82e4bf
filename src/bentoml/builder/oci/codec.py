"""Codecs: how a layer's tar travels (stored gzip, gzip), how foreign layers are read, and how a layer is measured.

The digest of a compressed layer depends on the program that compressed it, so each codec has a name that holds its
version; it is part of every cache key. ``stored`` is framing only and gives the same bytes for ever.
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from ...exceptions import BentoMLException, MissingDependencyException
from ...registry.documents import Descriptor, MediaType
from ...store.digest import Digest
from .model import Blob, Layer, LayerKind

try:
    import isal
    from isal import isal_zlib as _fast
except ImportError:
    _fast = None  # type: ignore[assignment,unused-ignore]  # how an optional module is said to be absent

__all__ = [
    "Codec",
    "Compressed",
    "Writer",
    "decompressed",
    "gzip_codec",
    "layer_of",
    "measured",
    "packed",
    "stored_codec",
]

Writer: TypeAlias = Callable[[Iterable[bytes]], tuple[Digest, int]]

_GZIP_HEADER = b"\x1f\x8b\x08\0\0\0\0\0\0\xff"  # deflate, no name, no time, operating system unknown
_GZIP_MAGIC = b"\x1f\x8b"
_ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
_STORED_BLOCK = 0xFFFF
_CHUNK = 1 << 20

_crc32 = zlib.crc32 if _fast is None else _fast.crc32


class Codec(Protocol):
    """Turn a tar into what travels; equal input gives equal output, however it is cut into chunks."""

    @property
    def name(self) -> str:
        """The program and its version: what the digest depends on besides the content."""
        ...

    def compressed(self, chunks: Iterable[bytes]) -> Iterator[bytes]:
        """Yield the gzip stream of the bytes in ``chunks``."""
        ...


@dataclass(frozen=True, slots=True)
class Compressed:
    """A blob that is made from another one by a codec, as it is read."""

    source: Blob
    codec: Codec

    def chunks(self) -> Iterator[bytes]:
        """Yield the compressed bytes."""
        return self.codec.compressed(self.source.chunks())


def stored_codec() -> Codec:
    """Return the codec for what does not shrink, as weights do not: gzip framing around stored blocks."""
    return _Stored()


def gzip_codec() -> Codec:
    """Return the quick gzip codec: isal at level 1 where it is installed, else zlib at level 1."""
    return _Gzip(f"zlib-{zlib.ZLIB_RUNTIME_VERSION}/1" if _fast is None else f"isal-{isal.__version__}/1")


def layer_of(source: Blob, codec: Codec, kind: LayerKind, about: str = "") -> Layer:
    """Return the layer of a tar; its bytes are read once, for the digests, and stored nowhere."""
    diff_id, descriptor = packed(source, codec, measured)
    return Layer(diff_id, descriptor, Compressed(source, codec), kind, about)


def packed(source: Blob, codec: Codec, write: Writer) -> tuple[Digest, Descriptor]:
    """Compress a tar into ``write`` and return its diff_id and its descriptor: one pass over the bytes."""
    plain = hashlib.sha256()

    def tee() -> Iterator[bytes]:
        for chunk in source.chunks():
            plain.update(chunk)
            yield chunk

    digest, size = write(codec.compressed(tee()))
    return Digest(plain.hexdigest()), Descriptor(MediaType.LAYER_GZIP, digest, size)


def measured(chunks: Iterable[bytes]) -> tuple[Digest, int]:
    """Return the digest and the size of bytes that go nowhere."""
    state, size = hashlib.sha256(), 0
    for chunk in chunks:
        state.update(chunk)
        size += len(chunk)
    return Digest(state.hexdigest()), size


def decompressed(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the plain bytes of a layer that is gzip, zstd or not compressed, which its first bytes tell.

    Raises:
        BentoMLException: the stream is damaged or ends too early.
        MissingDependencyException: it is zstd, which this Python cannot read.
    """
    stream = iter(chunks)
    head = b""
    for chunk in stream:
        head += chunk
        if len(head) >= len(_ZSTD_MAGIC):
            break
    if head.startswith(_GZIP_MAGIC):
        return _gunzipped(_chain(head, stream))
    if head.startswith(_ZSTD_MAGIC):
        return _unzstd(_chain(head, stream))
    return _chain(head, stream)


@dataclass(frozen=True, slots=True)
class _Stored:
    name: str = "stored"

    def compressed(self, chunks: Iterable[bytes]) -> Iterator[bytes]:
        yield _GZIP_HEADER
        crc = length = 0
        for block in _blocks(chunks, 16 * _STORED_BLOCK):
            crc = _crc32(block, crc)
            length += len(block)
            yield b"".join(_stored_blocks(block))
        yield b"\x01\0\0\xff\xff"  # an empty last block
        yield _trailer(crc, length)


@dataclass(frozen=True, slots=True)
class _Gzip:
    name: str

    def compressed(self, chunks: Iterable[bytes]) -> Iterator[bytes]:
        deflate = (zlib if _fast is None else _fast).compressobj(1, zlib.DEFLATED, -15)
        yield _GZIP_HEADER
        crc = length = 0
        for block in _blocks(chunks, _CHUNK):
            crc = _crc32(block, crc)
            length += len(block)
            yield deflate.compress(block)
        yield deflate.flush()
        yield _trailer(crc, length)


def _stored_blocks(data: bytes) -> Iterator[bytes | memoryview]:
    view = memoryview(data)
    for start in range(0, len(data), _STORED_BLOCK):
        block = view[start : start + _STORED_BLOCK]
        yield b"\0" + len(block).to_bytes(2, "little") + (len(block) ^ 0xFFFF).to_bytes(2, "little")
        yield block


def _trailer(crc: int, length: int) -> bytes:
    return crc.to_bytes(4, "little") + (length & 0xFFFFFFFF).to_bytes(4, "little")


def _blocks(chunks: Iterable[bytes], size: int) -> Iterator[bytes]:
    """Cut a stream into blocks of exactly ``size`` bytes (the last may be shorter): output follows from content alone."""
    waiting = bytearray()
    for chunk in chunks:
        waiting += chunk
        start = 0
        while len(waiting) - start >= size:
            yield bytes(waiting[start : start + size])
            start += size
        del waiting[:start]
    if waiting:
        yield bytes(waiting)


def _chain(head: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    if head:
        yield head
    yield from rest


def _gunzipped(chunks: Iterator[bytes]) -> Iterator[bytes]:
    library = zlib if _fast is None else _fast
    return _inflated(chunks, lambda: library.decompressobj(31), library.error, "gzip")


def _unzstd(chunks: Iterator[bytes]) -> Iterator[bytes]:
    try:
        from compression import zstd  # type: ignore[import-not-found,unused-ignore]  # since Python 3.14
    except ImportError as e:
        raise MissingDependencyException(
            "the layer is compressed with zstd, which needs Python 3.14 or later; "
            "use a base image with gzip layers, or run with a newer Python"
        ) from e
    return _inflated(chunks, zstd.ZstdDecompressor, zstd.ZstdError, "zstd")


class _Inflater(Protocol):
    @property
    def eof(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int, /) -> bytes: ...


def _inflated(
    chunks: Iterator[bytes], make: Callable[[], _Inflater], error: type[Exception], name: str
) -> Iterator[bytes]:
    """Yield the content of one or more compressed members."""
    inflater = make()
    try:
        for chunk in chunks:
            data, has_more = chunk, True
            while has_more:
                if inflater.eof:
                    inflater = make()
                plain = inflater.decompress(data, _CHUNK)  # a few bytes may stand for gigabytes
                yield plain
                data = inflater.unused_data if inflater.eof else getattr(inflater, "unconsumed_tail", b"")
                has_more = bool(data) or (len(plain) == _CHUNK and not inflater.eof)
    except error as e:
        for _ in chunks:
            pass  # to the end, where whoever checks a digest says which file it is
        raise BentoMLException(f"a {name} layer is damaged: {e}") from e
    if not inflater.eof:
        raise BentoMLException(f"a {name} layer ends before its end: it was cut off")
