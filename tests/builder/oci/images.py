"""Small real images for tests, and a fake registry's view of them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

from bentoml.builder.oci.blobs import PlainBlob
from bentoml.builder.oci.codec import gzip_codec, layer_of, stored_codec, zstd_codec
from bentoml.builder.oci.model import Base, Image, Layer, Platform
from bentoml.store.archives.tar import Tar, TarEntry
from bentoml.store.digest import canonical_json


@dataclass(frozen=True)
class Pieces:
    """A blob cut as the test likes."""

    parts: tuple[bytes, ...]

    def chunks(self) -> Iterator[bytes]:
        yield from self.parts


def noise(size: int, seed: str = "") -> bytes:
    """Return bytes that do not compress and are the same in every run."""
    return hashlib.shake_256(seed.encode()).digest(size)


def small_layer(text: str) -> Layer:
    """Return a layer of one file that says ``text``."""
    return layer_of(Tar.of([TarEntry.file("hello", text.encode())]), gzip_codec(), "source", text)


def small_image(*texts: str, architecture: str = "amd64") -> Image:
    """Return an image of one layer for each text, upon one of weights."""
    weights = layer_of(Tar.of([TarEntry.file("weights", noise(70_000))]), stored_codec(), "model", "weights")
    layers = (weights, *map(small_layer, texts or ("hello",)))
    config = {
        "os": "linux",
        "architecture": architecture,
        "config": {"Env": ["A=b"]},
        "rootfs": {"type": "layers", "diff_ids": [str(layer.diff_id) for layer in layers]},
        "history": [{"created": "1970-01-01T00:00:00Z", "created_by": layer.about} for layer in layers],
    }
    return Image(canonical_json(config), layers, Platform("linux", architecture))


APP = small_image("one", "two")  # which the registry of the fixtures has


def zstd_image() -> Image:
    """Return an image whose lower layer is compressed with zstd, as some bases are."""
    image = small_image("above")
    weights = layer_of(PlainBlob(image.layers[0].blob), zstd_codec(), "base", "weights")
    return image._replace(layers=(weights, *image.layers[1:]))


def content(image: Image | Base) -> list[bytes]:
    """Return the bytes of each layer, from the bottom up."""
    return [b"".join(layer.blob.chunks()) for layer in image.layers]
