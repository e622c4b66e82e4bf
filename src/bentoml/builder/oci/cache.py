"""The image cache: blobs by their digest, and small records by the digest of the inputs that they follow from.

Everything in it can be made again. Files appear by rename, so that several processes may share one cache.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from ...exceptions import BentoMLException
from ...paths import write_atomic
from ...registry.documents import Descriptor
from ...store.digest import Digest, canonical_json
from .blobs import CheckedBlob, FileBlob, writing
from .codec import Codec, Compressed, layer_of, packed
from .model import Blob, Layer, LayerKind
from .remade import Remade, Summed

__all__ = ["Cache", "CachedBlob", "DamagedCache", "kept_layer", "recalled_layer", "recipe_layer"]

_ABANDONED_SECONDS = 24 * 3600.0


class DamagedCache(BentoMLException):
    """A blob of the cache had another content than its name says: ``damage`` says which.

    It has been removed, so that the next attempt makes it anew.
    """

    def __init__(self, damage: str) -> None:
        super().__init__(f"{damage}; it has been removed from the cache: run the command again")
        self.damage = damage


class CachedBlob(NamedTuple):
    """A blob that lies in the cache; it is checked while it is read, and leaves the cache when it is damaged."""

    path: Path
    digest: Digest

    def chunks(self) -> Iterator[bytes]:
        """Yield the bytes.

        Raises:
            DamagedCache: the file is damaged; it is removed, so that the next attempt makes it again.
        """
        try:
            yield from CheckedBlob(FileBlob(self.path), self.digest, str(self.path)).chunks()
        except BentoMLException as e:
            self.path.unlink(missing_ok=True)
            raise DamagedCache(str(e)) from e


class Cache(NamedTuple):
    """A folder of blobs and records; ``root`` is made when something is put there."""

    root: Path

    def find(self, digest: Digest) -> CachedBlob | None:
        """Return the blob with this digest, or ``None``."""
        path = self._blob_path(digest)
        return CachedBlob(path, digest) if path.is_file() else None

    def put(
        self,
        chunks: Iterable[bytes],
        *,
        digest: Digest | None = None,
        size: int | None = None,
        what: str = "content",
    ) -> tuple[Digest, int]:
        """Keep the bytes in ``chunks`` and return their digest and size; nothing is kept when they are not as expected.

        Raises:
            BentoMLException: the bytes have not the ``digest`` or the ``size`` that was given.
        """
        folder = self._made("blobs/sha256")
        state, length = hashlib.sha256(), 0
        with writing(self.root), self.scratch() as scratch:
            draft = scratch / "blob"
            with draft.open("wb", buffering=0) as file:  # not synced: whoever reads it checks the digest
                for chunk in chunks:
                    state.update(chunk)
                    length += len(chunk)
                    if size is not None and length > size:
                        break
                    file.write(chunk)
            got = Digest(state.hexdigest())
            if (digest or got, size if size is not None else length) != (got, length):
                raise BentoMLException(
                    f"{what} is not what it should be: expected `{digest}` of {size} bytes, got `{got}` of {length}"
                )
            draft.replace(folder / got.hex)
        return got, length

    def recall(self, key: Digest) -> Mapping[str, object] | None:
        """Return what was remembered under a key; what cannot be read, or is damaged, counts as forgotten.

        A record decides what an image says of its layers, and nobody else would notice a wrong digit of a digest.
        """
        with suppress(OSError, ValueError, KeyError, TypeError):
            found = json.loads(self._record_path(key).read_bytes())
            value = found["record"]
            if isinstance(value, dict) and found["digest"] == str(Digest.of_json([str(key), value])):
                return value
        return None

    def remember(self, key: Digest, value: Mapping[str, object]) -> None:
        """Write a record that follows from the inputs that ``key`` is the digest of."""
        self._made("records")
        record = {"record": value, "digest": str(Digest.of_json([str(key), value]))}
        with writing(self.root):
            write_atomic(self._record_path(key), canonical_json(record), durable=False)  # `recall` checks it

    @contextmanager
    def scratch(self) -> Iterator[Path]:
        """Give an empty folder that goes away with the block; what killed processes left there goes away, too."""
        drafts = self._made("drafts")
        for left in drafts.iterdir():
            with suppress(FileNotFoundError):
                if time.time() - left.stat().st_mtime > _ABANDONED_SECONDS:
                    shutil.rmtree(left, ignore_errors=True)
        with tempfile.TemporaryDirectory(dir=drafts) as folder:
            yield Path(folder)

    def folder(self, name: str) -> Path:
        """Return a folder of its own for something that keeps more than blobs; it is made if it is not there."""
        return self._made(name)

    def _blob_path(self, digest: Digest) -> Path:
        return self.root / "blobs" / "sha256" / digest.hex

    def _record_path(self, key: Digest) -> Path:
        return self.root / "records" / f"{key.hex}.json"

    def _made(self, name: str) -> Path:
        folder = self.root / name
        with writing(self.root):
            folder.mkdir(parents=True, exist_ok=True)
        return folder


def recipe_layer(
    cache: Cache, key: object, source: Blob, codec: Codec, kind: LayerKind, about: str = "", *, checked: Blob
) -> Layer:
    """Return the layer of a tar whose bytes are made anew each time; only its digests are kept, and a checksum, under ``key``.

    ``key`` is any JSON value from which the tar's bytes follow. With the digests at hand, nothing is read here;
    without them ``checked`` is read, which is ``source`` with whatever makes sure that its files are what they were.
    """
    record_key = _layer_key(key, codec)
    record = cache.recall(record_key) or {}
    known, checksum = _known(record, codec), record.get("checksum")
    if known is not None and isinstance(checksum, int):
        diff_id, descriptor = known
        return Layer(diff_id, descriptor, Compressed(Remade(source, checked, checksum), codec), kind, about)
    summed = Summed(checked)
    layer = layer_of(summed, codec, kind, about)
    cache.remember(record_key, {**_record(layer), "checksum": summed.checksum})
    return layer._replace(blob=Compressed(Remade(source, checked, summed.checksum), codec))


def kept_layer(
    cache: Cache, key: object, make: Callable[[Path], Blob], codec: Codec, kind: LayerKind, about: str = ""
) -> Layer:
    """Return a layer that is costly to make: its compressed bytes are kept in the cache.

    ``make`` is called only when they are not there yet. It gets an empty folder that goes away afterwards, and returns
    the tar.
    """
    if (layer := recalled_layer(cache, key, codec, kind, about)) is not None:
        return layer
    with cache.scratch() as scratch:
        layer = _kept(cache, make(scratch), codec, kind, about)
    cache.remember(_layer_key(key, codec), _record(layer))
    return layer


def recalled_layer(cache: Cache, key: object, codec: Codec, kind: LayerKind, about: str = "") -> Layer | None:
    """Return the layer that `kept_layer` keeps under ``key``, or ``None`` when it is not there."""
    known = _known(cache.recall(_layer_key(key, codec)) or {}, codec)
    if known is None:
        return None
    diff_id, descriptor = known
    blob = cache.find(descriptor.digest)
    return Layer(diff_id, descriptor, blob, kind, about) if blob else None


def _kept(cache: Cache, source: Blob, codec: Codec, kind: LayerKind, about: str) -> Layer:
    diff_id, descriptor = packed(source, codec, cache.put)
    blob = cache.find(descriptor.digest)
    assert blob is not None  # it was put there just now
    return Layer(diff_id, descriptor, blob, kind, about)


def _layer_key(key: object, codec: Codec) -> Digest:
    return Digest.of_json({"layer": key, "codec": codec.name})


def _record(layer: Layer) -> Mapping[str, object]:
    return {
        "diff_id": str(layer.diff_id),
        "digest": str(layer.descriptor.digest),
        "size": layer.descriptor.size,
    }


def _known(record: Mapping[str, object], codec: Codec) -> tuple[Digest, Descriptor] | None:
    try:
        digest, size = Digest.parse(str(record["digest"])), int(str(record["size"]))
        return Digest.parse(str(record["diff_id"])), Descriptor(codec.media_type, digest, size)
    except (KeyError, ValueError):
        return None
