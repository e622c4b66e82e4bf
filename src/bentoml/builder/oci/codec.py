"""Codecs: how a layer's tar travels (stored gzip, gzip, zstd), how foreign layers are read, and how a layer is measured.

The digest of a compressed layer depends on the program that compressed it, so each codec has a name that holds its
version; it is part of every cache key. ``stored`` is framing only and gives the same bytes for ever.
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Callable, Iterable, Iterator
from typing import Literal, NamedTuple, Protocol, TypeAlias

from ...exceptions import BentoMLException, InvalidArgument
from ...registry.documents import Descriptor, MediaType
from ...store.archives.blocks import blocks
from ...store.archives.gz import HEADER, LAST, STORED, stored, trailer
from ...store.archives.zstandard import decompressor, library_name, zst
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
    "Compression",
    "Writer",
    "codec_of",
    "crc32",
    "decompressed",
    "gzip_codec",
    "layer_of",
    "measured",
    "packed",
    "stored_codec",
    "zstd_codec",
]

Compression = Literal["none", "gzip", "zstd"]  # of weights, as people say it
Writer: TypeAlias = Callable[[Iterable[bytes]], tuple[Digest, int]]

_GZIP_MAGIC = b"\x1f\x8b"
_ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
_CHUNK = 1 << 20

crc32 = zlib.crc32 if _fast is None else _fast.crc32


class Codec(Protocol):
    """Turn a tar into what travels; equal input gives equal output, however it is cut into chunks."""

    @property
    def name(self) -> str:
        """The program and its version: what the digest depends on besides the content."""
        ...

    @property
    def media_type(self) -> str:
        """The media type of a layer that travels so."""
        ...

    def compressed(self, chunks: Iterable[bytes]) -> Iterator[bytes]:
        """Yield the compressed stream of the bytes in ``chunks``."""
        ...


class Compressed(NamedTuple):
    """A blob that is made from another one by a codec, as it is read."""

    source: Blob
    codec: Codec

    def chunks(self) -> Iterator[bytes]:
        """Yield the compressed bytes."""
        return self.codec.compressed(self.source.chunks())


def codec_of(compression: Compression) -> Codec:
    """Return the codec that does what is asked of it.

    Raises:
        InvalidArgument: nobody does that.
        MissingDependencyException: this Python has no zstd.
    """
    codecs = {"none": stored_codec, "gzip": gzip_codec, "zstd": zstd_codec}
    if compression not in codecs:
        raise InvalidArgument(
            f"compression `{compression}` is not known; it is one of {', '.join(f'`{c}`' for c in codecs)}"
        )
    return codecs[compression]()


def stored_codec() -> Codec:
    """Return the codec for what does not shrink, as weights do not: gzip framing around stored blocks."""
    return _Stored()


def gzip_codec() -> Codec:
    """Return the quick gzip codec: isal at level 1 where it is installed, else zlib at level 1."""
    return _Gzip(f"zlib-{zlib.ZLIB_RUNTIME_VERSION}/1" if _fast is None else f"isal-{isal.__version__}/1")


def zstd_codec() -> Codec:
    """Return the codec that makes layers smallest, for those whose readers all know zstd.

    Raises:
        MissingDependencyException: this Python has no zstd.
    """
    return _Zstd(library_name())


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
    return Digest(plain.hexdigest()), Descriptor(codec.media_type, digest, size)


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


class _Stored(NamedTuple):
    name: str = "stored"
    media_type: str = MediaType.LAYER_GZIP

    def compressed(self, chunks: Iterable[bytes]) -> Iterator[bytes]:
        yield HEADER
        crc = length = 0
        for block in blocks(chunks, 16 * STORED):
            crc = crc32(block, crc)
            length += len(block)
            yield b"".join(stored(block))
        yield LAST + trailer(crc, length)


class _Gzip(NamedTuple):
    name: str
    media_type: str = MediaType.LAYER_GZIP

    def compressed(self, chunks: Iterable[bytes]) -> Iterator[bytes]:
        deflate = (zlib if _fast is None else _fast).compressobj(1, zlib.DEFLATED, -15)
        yield HEADER
        crc = length = 0
        for block in blocks(chunks, _CHUNK):
            crc = crc32(block, crc)
            length += len(block)
            yield deflate.compress(block)
        yield deflate.flush()
        yield trailer(crc, length)


class _Zstd(NamedTuple):
    name: str
    media_type: str = MediaType.LAYER_ZSTD

    def compressed(self, chunks: Iterable[bytes]) -> Iterator[bytes]:
        return zst(blocks(chunks, _CHUNK))


def _chain(head: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    if head:
        yield head
    yield from rest


def _gunzipped(chunks: Iterator[bytes]) -> Iterator[bytes]:
    library = zlib if _fast is None else _fast
    return _inflated(chunks, lambda: library.decompressobj(31), library.error, "gzip")


def _unzstd(chunks: Iterator[bytes]) -> Iterator[bytes]:
    make, error = decompressor()
    return _inflated(chunks, make, error, "zstd")


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
