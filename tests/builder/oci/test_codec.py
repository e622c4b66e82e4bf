"""Codecs against Python's own gzip, and the digests that a layer gets."""

from __future__ import annotations

import gzip
import hashlib
import re
import sys
from pathlib import Path

import pytest
from tests.builder.oci.images import Pieces, noise

from bentoml.builder.oci.cache import Cache, kept_layer, recipe_layer
from bentoml.builder.oci.codec import (
    Codec,
    Compressed,
    decompressed,
    gzip_codec,
    layer_of,
    measured,
    stored_codec,
    zstd_codec,
)
from bentoml.exceptions import BentoMLException, MissingDependencyException

GZIP = [pytest.param(stored_codec(), id="stored"), pytest.param(gzip_codec(), id="gzip")]
CODECS = [*GZIP, pytest.param(zstd_codec(), id="zstd")]
SIZES = [0, 1, 0xFFFF, 0x10000, 16 * 0xFFFF, 16 * 0xFFFF + 1, 3_000_000]


def pieces(data: bytes, size: int) -> list[bytes]:
    return [data[start : start + size] for start in range(0, len(data), size)]


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("size", SIZES)
def test_it_is_read_again(codec: Codec, size: int) -> None:
    data = noise(size // 2) + bytes(size - size // 2)
    packed = b"".join(codec.compressed([data]))
    assert b"".join(decompressed([packed])) == data
    assert b"".join(decompressed(pieces(packed, 65_537))) == data


@pytest.mark.parametrize("codec", GZIP)
def test_python_reads_gzip(codec: Codec) -> None:
    assert gzip.decompress(b"".join(codec.compressed([noise(70_000)]))) == noise(70_000)


@pytest.mark.parametrize("codec", CODECS)
def test_the_output_does_not_depend_on_how_the_input_is_cut(codec: Codec) -> None:
    data = b"weights" * 400_000
    whole = b"".join(codec.compressed([data]))
    for size in (7_777, 1 << 20, (1 << 20) + 1):
        assert b"".join(codec.compressed(pieces(data, size))) == whole


def test_stored_bytes_are_pinned() -> None:
    """They are the identity of model layers in every registry: they must never change."""
    packed = b"".join(stored_codec().compressed([noise(200_000)]))
    assert (
        hashlib.sha256(packed).hexdigest()
        == "f2ed17f7f6d26fbf7b963648dc0c69b1f03fadea85ec69c441d11c45fef77900"
    )
    assert len(packed) == 200_000 + 10 + 4 * 5 + 5 + 8


def test_gzip_makes_text_small_and_says_which_program_it_is() -> None:
    assert sum(map(len, gzip_codec().compressed([b"text" * 100_000]))) < 10_000
    assert gzip_codec().name.startswith(("isal-", "zlib-"))
    assert re.fullmatch(r"zstd-\d+\.\d+\.\d+/3", zstd_codec().name)


@pytest.mark.parametrize(
    ("codec", "suffix"), [(stored_codec(), "gzip"), (gzip_codec(), "gzip"), (zstd_codec(), "zstd")]
)
def test_a_layer_says_how_it_travels(codec: Codec, suffix: str, tmp_path: Path) -> None:
    """Also one that is recalled: what made it is not asked again."""
    for number in range(2):
        made = kept_layer(Cache(tmp_path), "x", lambda _: Pieces((b"tar",)), codec, "model")
        again = recipe_layer(
            Cache(tmp_path),
            "y",
            Pieces((b"tar",)),
            codec,
            "model",
            checked=Pieces((b"tar",) if number == 0 else ()),
        )
        for layer in (made, again, layer_of(Pieces((b"tar",)), codec, "model")):
            assert layer.descriptor.media_type == f"application/vnd.oci.image.layer.v1.tar+{suffix}"
            assert b"".join(decompressed(layer.blob.chunks())) == b"tar"


@pytest.mark.parametrize("codec", CODECS)
def test_a_layer_is_measured_in_one_pass(codec: Codec) -> None:
    reads = []

    class Once(Pieces):
        def chunks(self):  # type: ignore[no-untyped-def]  # as its base
            reads.append(1)
            return super().chunks()

    data = noise(100_000)
    layer = layer_of(Once((data[:10], data[10:])), codec, "model", "weights")
    assert len(reads) == 1
    packed = b"".join(layer.blob.chunks())
    assert layer.diff_id.hex == hashlib.sha256(data).hexdigest()
    assert measured([packed]) == (layer.descriptor.digest, layer.descriptor.size)
    assert isinstance(layer.blob, Compressed) and layer.about == "weights"


def test_plain_and_concatenated_streams_are_read() -> None:
    assert b"".join(decompressed([b"pl", b"ain tar"])) == b"plain tar"
    assert b"".join(decompressed([])) == b""
    two = gzip.compress(b"one ") + gzip.compress(b"two")
    for size in (1, 5, len(two)):
        assert b"".join(decompressed(pieces(two, size))) == b"one two"


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: data[:-9],
        lambda data: data[:-8] + b"\0\0\0\0" + data[-4:],
        lambda data: data[:20] + b"\xff" * 200,
    ],
    ids=["cut", "wrong-crc", "noise"],
)
def test_damage_is_noticed(damage) -> None:  # type: ignore[no-untyped-def]  # a small function of bytes
    with pytest.raises(BentoMLException, match=r"damaged|cut off"):
        b"".join(decompressed([damage(gzip.compress(noise(10_000)))]))


def test_where_zstd_is_missing_there_is_a_way_out(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("compression.zstd", "backports.zstd"):
        monkeypatch.setitem(sys.modules, name, None)  # as if it were not installed
    with pytest.raises(
        MissingDependencyException, match=r"Python 3\.14 .*`pip install 'bentoml\[archives\]'`"
    ):
        b"".join(decompressed([b"\x28\xb5\x2f\xfd" + bytes(20)]))
    with pytest.raises(MissingDependencyException, match=r"Python 3\.14"):
        zstd_codec()


def test_few_bytes_that_stand_for_many_come_in_pieces() -> None:
    packed = [gzip.compress(bytes(5 << 20) + b"end", 9), gzip.compress(b"x" * (3 << 20))]
    for cut in ([b"".join(packed)], packed, pieces(b"".join(packed), 1000)):
        found = list(decompressed(cut))
        assert max(map(len, found)) <= 1 << 20
        assert (
            hashlib.sha256(b"".join(found)).digest()
            == hashlib.sha256(bytes(5 << 20) + b"end" + b"x" * (3 << 20)).digest()
        )
