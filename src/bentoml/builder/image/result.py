"""What came of making an image: for people, and as JSON for programs."""

from __future__ import annotations

from typing import NamedTuple

from ...store.digest import Digest
from ...tag import Tag
from ..oci.model import Referrer

__all__ = ["ImageLayer", "ImageResult"]


class ImageLayer(NamedTuple):
    """A layer of a finished image, for people; ``is_new`` means that the sink did not have it, ``why`` says for what reason."""

    kind: str
    about: str
    size: int
    is_new: bool
    why: str = ""
    digest: str = ""
    diff_id: str = ""
    platform: str = ""


class ImageResult(NamedTuple):
    """What was made: of which bento, on which base, under which names, with which id, where, and of which layers.

    ``digest`` is that of the manifest, by which registries know the image; of several platforms, that of the index, which
    is the ``id`` then, too. ``referrers`` are the documents about it, one for each platform.
    """

    tag: Tag
    base: str
    names: tuple[str, ...]
    id: Digest
    place: str
    layers: tuple[ImageLayer, ...]
    uses_gpu: bool = False
    digest: Digest | None = None
    platforms: tuple[str, ...] = ()
    referrers: tuple[Referrer, ...] = ()

    @property
    def size(self) -> int:
        """The bytes of all layers as they travel."""
        return sum(layer.size for layer in self.layers)

    def to_json(self) -> dict[str, object]:
        """Return the result for programs."""
        return {
            "tag": str(self.tag),
            "names": list(self.names),
            "id": str(self.id),
            "digest": str(self.digest),
            "platforms": list(self.platforms),
            "base": self.base,
            "place": self.place,
            "size": self.size,
            "sbom": [str(referrer.root.digest) for referrer in self.referrers],
            "layers": [layer._asdict() for layer in self.layers],
        }
