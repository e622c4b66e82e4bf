"""What an image is, as pure data: descriptors, layers, images, and the two seams (blob, sink) that move them.

The vocabulary is that of the OCI image specification, version 1.1.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Literal, NamedTuple, Protocol

from ...registry.documents import Descriptor, MediaType
from ...store.digest import Digest, canonical_json

__all__ = [
    "Base",
    "Blob",
    "BytesBlob",
    "Image",
    "ImageIndex",
    "Layer",
    "LayerKind",
    "Platform",
    "Referrer",
    "Sink",
]

LayerKind = Literal["base", "model", "user", "system", "python", "source"]


class Platform(NamedTuple):
    """Say for which machine an image is; ``str()`` gives ``linux/amd64`` or ``linux/arm64/v8``."""

    os: str = "linux"
    architecture: str = "amd64"
    variant: str | None = None

    @classmethod
    def parse(cls, text: str) -> Platform:
        """Parse ``os/architecture[/variant]``; anything else is a ``ValueError``."""
        parts = text.split("/")
        if len(parts) not in (2, 3) or not all(p.isalnum() for p in parts):
            raise ValueError(f"`{text}` is not a platform; it looks like linux/amd64 or linux/arm64/v8")
        return cls(*parts)

    def to_json(self) -> dict[str, str]:
        """Return the platform as an index has it."""
        variant = {"variant": self.variant} if self.variant else {}
        return {"os": self.os, "architecture": self.architecture, **variant}

    def __str__(self) -> str:
        return "/".join(p for p in (self.os, self.architecture, self.variant) if p)


class Blob(Protocol):
    """Give content piece by piece, so that no layer is ever held in memory or stored twice."""

    def chunks(self) -> Iterator[bytes]:
        """Yield the bytes that the descriptor names, in order; may be called again."""
        ...


class BytesBlob(NamedTuple):
    """Content that is held in memory: configurations and manifests."""

    data: bytes

    def chunks(self) -> Iterator[bytes]:
        """Yield the bytes at once."""
        yield self.data


class Layer(NamedTuple):
    """One file system change: ``diff_id`` is the digest of the tar, ``descriptor`` that of the tar as it travels.

    ``kind`` and ``about`` are for people: ``about`` becomes the ``created_by`` of the history.
    """

    diff_id: Digest
    descriptor: Descriptor
    blob: Blob
    kind: LayerKind
    about: str = ""


class Base(NamedTuple):
    """An image to build upon: its name as the user wrote it, its own configuration, its layers from the bottom up.

    ``digest`` is what to pin: that of its manifest, or of its list of Debian packages; ``None`` where the source has
    neither (an engine, an archive of `docker save`).
    """

    name: str
    digest: Digest | None
    config: Mapping[str, object]
    layers: tuple[Layer, ...]
    platform: Platform

    @property
    def title(self) -> str:
        """The name for others: without its digest, and without the folders of this machine."""
        scheme, colon, place = self.name.partition(":")
        if scheme in ("oci", "oci-archive", "docker-archive", "rootfs"):
            return f"{scheme}{colon}{place.rstrip('/').rpartition('/')[2]}"
        return self.name.partition("@")[0]


class Image(NamedTuple):
    """A whole image: the canonical bytes of its configuration and manifest, and its layers from the bottom up.

    The image id, as engines show it, is ``config_descriptor.digest``.
    """

    config: bytes
    layers: tuple[Layer, ...]
    platform: Platform
    annotations: Mapping[str, str] = {}

    @property
    def config_descriptor(self) -> Descriptor:
        """The descriptor of the configuration."""
        return Descriptor(MediaType.CONFIG, Digest.of(self.config), len(self.config))

    @property
    def manifest(self) -> bytes:
        """The canonical manifest."""
        return canonical_json(
            {
                "schemaVersion": 2,
                "mediaType": MediaType.MANIFEST,
                "config": self.config_descriptor.to_json(),
                "layers": [layer.descriptor.to_json() for layer in self.layers],
            }
            | ({"annotations": dict(self.annotations)} if self.annotations else {})
        )

    @property
    def manifest_descriptor(self) -> Descriptor:
        """The descriptor of the manifest: what a registry calls the digest of the image."""
        data = self.manifest
        return Descriptor(MediaType.MANIFEST, Digest.of(data), len(data))

    @property
    def images(self) -> tuple[Image, ...]:
        """The image itself, as `ImageIndex.images` are those of several platforms."""
        return (self,)

    @property
    def root(self) -> Descriptor:
        """The descriptor of what a name of the image points to: its manifest."""
        return self.manifest_descriptor


class ImageIndex(NamedTuple):
    """One image for several platforms: whoever pulls it gets that of their own."""

    images: tuple[Image, ...]

    @property
    def document(self) -> bytes:
        """The canonical image index."""
        entries = [
            image.manifest_descriptor.to_json() | {"platform": image.platform.to_json()}
            for image in self.images
        ]
        return canonical_json({"schemaVersion": 2, "mediaType": MediaType.INDEX, "manifests": entries})

    @property
    def root(self) -> Descriptor:
        """The descriptor of what a name of the image points to: the index."""
        data = self.document
        return Descriptor(MediaType.INDEX, Digest.of(data), len(data))


class Referrer(NamedTuple):
    """A document about an image: an artifact that names the manifest of the image as its ``subject``.

    ``media_type`` says what kind of document it is. See "Pushing Manifests with Subject" of the OCI distribution
    specification, version 1.1.
    """

    subject: Descriptor
    media_type: str
    data: bytes

    @property
    def document(self) -> Descriptor:
        """The descriptor of the document, its only layer."""
        return Descriptor(self.media_type, Digest.of(self.data), len(self.data))

    @property
    def manifest(self) -> bytes:
        """The canonical manifest of the artifact."""
        return canonical_json(
            {
                "schemaVersion": 2,
                "mediaType": MediaType.MANIFEST,
                "artifactType": self.media_type,
                "config": _NOTHING.to_json(),
                "layers": [self.document.to_json()],
                "subject": self.subject.to_json(),
            }
        )

    @property
    def root(self) -> Descriptor:
        """The descriptor of the manifest: what is to be signed."""
        data = self.manifest
        return Descriptor(MediaType.MANIFEST, Digest.of(data), len(data))

    @property
    def entry(self) -> dict[str, object]:
        """The entry of the artifact in an index."""
        return self.root.to_json() | {"artifactType": self.media_type}

    def parts(self) -> Iterator[tuple[Descriptor, Blob]]:
        """Yield what the artifact consists of: its configuration, its document, its manifest."""
        yield _NOTHING, BytesBlob(b"{}")
        yield self.document, BytesBlob(self.data)
        yield self.root, BytesBlob(self.manifest)


_NOTHING = Descriptor(MediaType.EMPTY, Digest.of(b"{}"), 2)  # what has no configuration has this for one


class Sink(Protocol):
    """A place that takes images: a layout folder, an archive, an engine, a registry."""

    def write(
        self, image: Image | ImageIndex, names: Sequence[str], referrers: Sequence[Referrer] = ()
    ) -> str:
        """Put the image there under each of ``names`` (``repository:tag``) and return one line that says where it is.

        Only what the place lacks is read and sent. A failure leaves nothing half written under a name. ``referrers`` go
        beside it where the place keeps such things; an engine and an archive for one do not.

        Raises:
            InvalidArgument: the place takes no images of several platforms.
        """
        ...
