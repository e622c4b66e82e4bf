"""Delivery: an image into its sink; what was new there, and why."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from ...store.digest import Digest
from ...tag import Tag
from ..oci.cache import Cache
from ..oci.model import Blob, Image, ImageIndex, Layer, Referrer, Sink
from .reasons import Facts, reason
from .result import ImageLayer

__all__ = ["Delivered", "deliver"]


class Delivered(NamedTuple):
    """Where an image is now, and its layers, those of all platforms one after the other."""

    place: str
    layers: tuple[ImageLayer, ...]


def deliver(
    image: Image | ImageIndex,
    facts: Sequence[Facts],
    sink: Sink,
    names: Sequence[str],
    *,
    bento: Tag,
    cache: Cache,
    chained: bool,
    referrers: Sequence[Referrer] = (),
) -> Delivered:
    """Put an image into a sink. ``facts`` say, for each platform, what it was made of; ``chained`` is for `reason`.

    They are remembered by the name of the bento, for when the next one has to be told from this one.
    """
    watched = [_watched(one) for one in image.images]
    place = sink.write(
        image._replace(images=tuple(watched)) if isinstance(image, ImageIndex) else watched[0],
        names,
        referrers,
    )
    layers: list[ImageLayer] = []
    for one, made_of in zip(watched, facts, strict=True):
        key = Digest.of_json({"last-image": bento.name, "platform": str(one.platform)})
        before = Facts.from_json(cache.recall(key))
        layers += [
            _told(one.layers, number, made_of, before, chained=chained, platform=str(one.platform))
            for number in range(len(one.layers))
        ]
        if made_of != before:
            cache.remember(key, made_of.to_json())
    return Delivered(place, tuple(layers))


@dataclass(slots=True)
class _Watched:
    """A blob that knows whether somebody asked for its bytes: a sink reads what it lacks, and nothing else."""

    blob: Blob
    was_read: bool = False

    def chunks(self) -> Iterator[bytes]:
        self.was_read = True
        yield from self.blob.chunks()


def _watched(image: Image) -> Image:
    return image._replace(layers=tuple(layer._replace(blob=_Watched(layer.blob)) for layer in image.layers))


def _told(
    layers: Sequence[Layer], number: int, now: Facts, before: Facts | None, *, chained: bool, platform: str
) -> ImageLayer:
    layer = layers[number]
    is_new = isinstance(layer.blob, _Watched) and layer.blob.was_read
    why = reason(layers, number, now, before, chained=chained) if is_new else ""
    found, plain = str(layer.descriptor.digest), str(layer.diff_id)
    return ImageLayer(layer.kind, layer.about, layer.descriptor.size, is_new, why, found, plain, platform)
