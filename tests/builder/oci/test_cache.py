"""The cache keeps what it is given, notices damage, and is never half written."""

from __future__ import annotations

import gzip
import json
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.builder.oci.images import Pieces, noise

from bentoml.builder.oci.blobs import CheckedBlob
from bentoml.builder.oci.cache import Cache, kept_layer, recalled_layer, recipe_layer
from bentoml.builder.oci.codec import gzip_codec, stored_codec
from bentoml.exceptions import BentoMLException
from bentoml.store.digest import Digest


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    return Cache(tmp_path / "cache")


def test_what_is_put_is_found(cache: Cache) -> None:
    digest, size = cache.put([b"one ", b"two"])
    assert (digest, size) == (Digest.of(b"one two"), 7)
    blob = cache.find(digest)
    assert blob is not None and b"".join(blob.chunks()) == b"one two"
    assert cache.find(Digest.of(b"other")) is None


@pytest.mark.parametrize(("digest", "size"), [(b"other", 7), (b"one two", 6), (b"one two", 8)])
def test_what_is_not_as_expected_is_not_kept(cache: Cache, digest: bytes, size: int) -> None:
    with pytest.raises(BentoMLException, match="layer x is not what it should be"):
        cache.put([b"one ", b"two"], digest=Digest.of(digest), size=size, what="layer x")
    assert [path for path in cache.root.rglob("*") if path.is_file()] == []


def test_a_failing_source_leaves_nothing(cache: Cache) -> None:
    def broken() -> Iterator[bytes]:
        yield b"some"
        raise BentoMLException("the line broke")

    with pytest.raises(BentoMLException, match="the line broke"):
        cache.put(broken())
    assert [path for path in cache.root.rglob("*") if path.is_file()] == []


def test_a_cache_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(BentoMLException, match=r"cannot write to `.*/file/cache`: Not a directory"):
        Cache(tmp_path / "file/cache").put([b"x"])


def test_a_damaged_blob_is_noticed_and_removed(cache: Cache) -> None:
    digest, _ = cache.put([b"precious"])
    blob = cache.find(digest)
    assert blob is not None
    blob.path.write_bytes(b"poisoned")
    with pytest.raises(BentoMLException, match=r"damaged.*run the command again"):
        b"".join(blob.chunks())
    assert cache.find(digest) is None


def test_records_are_remembered_and_damage_is_forgotten(cache: Cache) -> None:
    key = Digest.of(b"inputs")
    assert cache.recall(key) is None
    cache.remember(key, {"a": 1})
    assert cache.recall(key) == {"a": 1}
    next((cache.root / "records").iterdir()).write_text('{"a": ')
    assert cache.recall(key) is None


def test_a_record_with_a_flipped_bit_or_of_another_key_is_forgotten(cache: Cache) -> None:
    key, other = Digest.of(b"inputs"), Digest.of(b"others")
    cache.remember(key, {"diff_id": str(Digest.of(b"layer")), "size": 7})
    (file,) = (cache.root / "records").iterdir()
    whole = file.read_bytes()
    for place in range(len(whole)):
        bit = 1 << place % 8
        file.write_bytes(bytes([*whole[:place], whole[place] ^ bit, *whole[place + 1 :]]))
        assert cache.recall(key) in (None, json.loads(whole)["record"])
    file.write_bytes(whole)
    file.rename(file.with_name(f"{other.hex}.json"))
    assert cache.recall(other) is None


def test_a_record_that_cannot_be_read_is_forgotten(cache: Cache) -> None:
    key = Digest.of(b"inputs")
    (cache.folder("records") / f"{key.hex}.json").mkdir()
    assert cache.recall(key) is None


class Counted(Pieces):
    reads: list[int] = []  # noqa: RUF012  # emptied by each test

    def chunks(self) -> Iterator[bytes]:
        self.reads.append(1)
        return super().chunks()


def test_a_recipe_is_read_once_for_its_digests(cache: Cache) -> None:
    Counted.reads.clear()
    source = Counted((noise(1000),))
    first = recipe_layer(cache, ["key"], source, stored_codec(), "model", checked=source)
    second = recipe_layer(cache, ["key"], source, stored_codec(), "model", checked=source)
    assert first == second and len(Counted.reads) == 1
    recipe_layer(cache, ["key"], source, gzip_codec(), "model", checked=source)
    assert len(Counted.reads) == 2, "another codec has other digests"
    assert not (cache.root / "blobs").exists(), "nothing is stored twice"


def test_what_a_recipe_reads_has_to_be_what_it_was(cache: Cache) -> None:
    good, bad = Pieces((noise(70_000), b"end")), Pieces((noise(70_000), b"eNd"))
    checked = CheckedBlob(bad, Digest.of(noise(70_000) + b"end"), "words.txt` of `words:1")
    for codec in (stored_codec(), gzip_codec()):
        whole = recipe_layer(cache, ["key"], good, codec, "model", checked=good)
        assert recipe_layer(cache, ["key"], good, codec, "model", checked=good) == whole
        layer = recipe_layer(cache, ["key"], bad, codec, "model", checked=checked)
        assert layer.descriptor == whole.descriptor
        sent: list[bytes] = []
        with pytest.raises(BentoMLException, match=r"`words.txt` of `words:1` is damaged.*`bentoml verify`"):
            sent.extend(layer.blob.chunks())
        assert len(b"".join(sent)) < layer.descriptor.size, "nobody has all of it"
        again = recipe_layer(cache, ["key"], bad, codec, "model", checked=good)
        with pytest.raises(BentoMLException, match="changed while they were read"):
            list(again.blob.chunks())


def test_a_costly_layer_is_made_once_and_made_again_when_it_is_lost(cache: Cache) -> None:
    made: list[Path] = []

    def make(scratch: Path) -> Pieces:
        assert list(scratch.iterdir()) == []
        made.append(scratch)
        return Pieces((b"tar",))

    assert recalled_layer(cache, ["key"], gzip_codec(), "python") is None
    first = kept_layer(cache, ["key"], make, gzip_codec(), "python")
    assert kept_layer(cache, ["key"], make, gzip_codec(), "python") == first
    assert recalled_layer(cache, ["key"], gzip_codec(), "python") == first
    assert gzip.decompress(b"".join(first.blob.chunks())) == b"tar"
    assert len(made) == 1 and not made[0].exists()
    cache.find(first.descriptor.digest).path.unlink()  # type: ignore[union-attr]  # it is there
    assert kept_layer(cache, ["key"], make, gzip_codec(), "python") == first
    assert len(made) == 2


def test_what_a_killed_process_left_is_cleared_away_after_a_day(cache: Cache) -> None:
    for name, days in (("dead", 2), ("alive", 0)):
        folder = cache.folder("drafts") / name
        folder.mkdir()
        (folder / "blob").write_bytes(b"half")
        os.utime(folder, (time.time() - days * 86400,) * 2)
    with cache.scratch() as scratch:
        assert {path.name for path in cache.folder("drafts").iterdir()} == {"alive", scratch.name}
    assert not scratch.exists()


def test_many_may_write_at_once(cache: Cache) -> None:
    content = noise(300_000)

    def write() -> None:
        cache.put([content])
        cache.remember(Digest.of(b"k"), {"n": 1})

    threads = [threading.Thread(target=write) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    blob = cache.find(Digest.of(content))
    assert blob is not None and b"".join(blob.chunks()) == content
    assert list((cache.root / "drafts").iterdir()) == []
