"""Documents of registries: descriptors, media types, and JSON that is what its digest says."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import NamedTuple

from ..exceptions import BentoMLException
from ..store.digest import Digest

__all__ = [
    "MAX_DOCUMENT",
    "Descriptor",
    "MediaType",
    "checked_document",
    "json_of",
    "parsed_annotations",
    "parsed_descriptor",
    "parsed_document",
]

MAX_DOCUMENT = 4 << 20  # bytes of a manifest or configuration: what registries allow


class MediaType:
    """Name the media types that are written; those of Docker are read too."""

    INDEX = "application/vnd.oci.image.index.v1+json"
    MANIFEST = "application/vnd.oci.image.manifest.v1+json"
    CONFIG = "application/vnd.oci.image.config.v1+json"
    EMPTY = "application/vnd.oci.empty.v1+json"
    LAYER = "application/vnd.oci.image.layer.v1.tar"
    LAYER_GZIP = "application/vnd.oci.image.layer.v1.tar+gzip"
    LAYER_ZSTD = "application/vnd.oci.image.layer.v1.tar+zstd"
    DOCKER_INDEX = "application/vnd.docker.distribution.manifest.list.v2+json"
    DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
    DOCKER_CONFIG = "application/vnd.docker.container.image.v1+json"
    DOCKER_LAYER = "application/vnd.docker.image.rootfs.diff.tar.gzip"


class Descriptor(NamedTuple):
    """Point to content: what it is, its digest, its size in bytes."""

    media_type: str
    digest: Digest
    size: int
    annotations: Mapping[str, str] = {}

    def to_json(self) -> dict[str, object]:
        """Return the descriptor as the specification writes it."""
        value: dict[str, object] = {
            "mediaType": self.media_type,
            "digest": str(self.digest),
            "size": self.size,
        }
        return value | ({"annotations": dict(self.annotations)} if self.annotations else {})


def checked_document(data: bytes, descriptor: Descriptor, name: str) -> bytes:
    """Return ``data``, which is what the descriptor says.

    Raises:
        BentoMLException: it is not.
    """
    if Digest.of(data) != descriptor.digest:
        raise BentoMLException(
            f"`{name}`: a document has the digest `{Digest.of(data)}`, not `{descriptor.digest}`"
        )
    return data


def json_of(data: bytes | str) -> object:
    """Return what JSON says that others wrote.

    Raises:
        ValueError: it is no JSON, is nested without end, or holds text that is none: nobody could write it down again.
    """
    try:
        value: object = json.loads(data)
        json.dumps(value, ensure_ascii=False).encode()
    except RecursionError as e:
        raise ValueError("it is nested too deep") from e
    return value


def parsed_document(data: bytes, name: str) -> Mapping[str, object]:
    """Return the JSON object that a manifest or configuration is."""
    try:
        value = json_of(data)
    except ValueError as e:
        raise BentoMLException(f"`{name}`: a document is not JSON: {e}") from e
    if not isinstance(value, dict):
        raise BentoMLException(f"`{name}`: a document is not a JSON object")
    return value


def parsed_descriptor(value: object, name: str) -> Descriptor:
    """Return the descriptor that a document holds."""
    try:
        if isinstance(value, dict) and type(value["size"]) is int and value["size"] >= 0:
            digest, noted = Digest.parse(str(value["digest"])), parsed_annotations(value)
            return Descriptor(str(value["mediaType"]), digest, value["size"], noted)
    except (KeyError, ValueError):
        pass
    raise BentoMLException(f"`{name}`: `{value}` is not a descriptor")


def parsed_annotations(document: Mapping[str, object]) -> Mapping[str, str]:
    """Return the annotations of a manifest or a descriptor; what is no text is left out."""
    found = document.get("annotations")
    if not isinstance(found, dict):
        return {}
    return {key: value for key, value in found.items() if isinstance(value, str)}
