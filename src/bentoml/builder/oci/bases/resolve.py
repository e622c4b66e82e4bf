"""From a manifest or an index to a base: the steps that registries, layouts and archives share, every digest checked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from ....exceptions import BentoMLException, NotFound
from ....registry.documents import Descriptor, MediaType, parsed_descriptor, parsed_document
from ....store.digest import Digest
from ..model import Base, Blob, Layer, Platform

__all__ = [
    "Source",
    "check_platform",
    "checked_config",
    "diff_ids_of",
    "resolve",
]

_INDEXES = (MediaType.INDEX, MediaType.DOCKER_INDEX)
_MANIFESTS = (MediaType.MANIFEST, MediaType.DOCKER_MANIFEST)
_LAYERS = {
    MediaType.LAYER: MediaType.LAYER,
    MediaType.LAYER_GZIP: MediaType.LAYER_GZIP,
    MediaType.LAYER_ZSTD: MediaType.LAYER_ZSTD,
    MediaType.DOCKER_LAYER: MediaType.LAYER_GZIP,
}
_SETTINGS = ("Env", "Labels", "ExposedPorts", "Volumes")  # what an image takes over from its base
_OF_THE_SYSTEM: Mapping[str, type] = {"os.version": str, "os.features": list}  # the same


class Source(Protocol):
    """A place that gives content by digest."""

    def document(self, descriptor: Descriptor) -> bytes:
        """Return a manifest or configuration, whose digest has been checked."""
        ...

    def blob(self, descriptor: Descriptor) -> Blob:
        """Return a layer's content, which is read and checked when somebody asks for it."""
        ...


def resolve(source: Source, root: Descriptor, *, name: str, platform: Platform) -> Base:
    """Return the image that ``root`` (a manifest, or an index that has one for the platform) describes.

    Raises:
        NotFound: there is no image for the platform.
        BentoMLException: a document is not what it should be.
    """
    manifest_at = root
    manifest = parsed_document(source.document(root), name)
    if _type_of(manifest, root) in _INDEXES:
        manifest_at = _chosen(manifest, name, platform)
        manifest = parsed_document(source.document(manifest_at), name)
    if _type_of(manifest, manifest_at) not in _MANIFESTS:
        raise BentoMLException(f"`{name}` is no image: its media type is `{_type_of(manifest, manifest_at)}`")
    config = checked_config(source.document(parsed_descriptor(manifest.get("config"), name)), name, platform)
    layers = _layers(source, manifest, config, name)
    return Base(name, manifest_at.digest, config, layers, platform)


def _type_of(document: Mapping[str, object], descriptor: Descriptor) -> str:
    return str(document.get("mediaType") or descriptor.media_type)


def diff_ids_of(config: Mapping[str, object], name: str) -> list[Digest]:
    """Return the digests of the plain layers that a configuration lists, from the bottom up."""
    rootfs = config.get("rootfs")
    return [
        _digest(value, name) for value in _list(rootfs if isinstance(rootfs, dict) else {}, "diff_ids", name)
    ]


def _list(document: Mapping[str, object], key: str, name: str) -> Sequence[object]:
    value = document.get(key)
    if not isinstance(value, list):
        raise BentoMLException(f"`{name}`: a document has no list `{key}`")
    return value


def _chosen(index: Mapping[str, object], name: str, platform: Platform) -> Descriptor:
    """Return the first manifest of an index that is for the platform."""
    offered = []
    for entry in _list(index, "manifests", name):
        described = entry.get("platform") if isinstance(entry, dict) else None
        if described is None and len(_list(index, "manifests", name)) == 1:
            return parsed_descriptor(entry, name)
        if isinstance(described, dict) and described.get("os") != "unknown":  # an attestation
            if _fits(described, platform):
                return parsed_descriptor(entry, name)
            offered.append(
                "/".join(str(described[key]) for key in ("os", "architecture", "variant") if key in described)
            )
    raise NotFound(f"`{name}` has no image for `{platform}`; it has {', '.join(offered) or 'none'}")


def _fits(described: Mapping[str, object], platform: Platform) -> bool:
    variant = described.get("variant")
    return (described.get("os"), described.get("architecture")) == (platform.os, platform.architecture) and (
        variant in (None, platform.variant) or platform.variant is None
    )


def checked_config(data: bytes, name: str, platform: Platform) -> Mapping[str, object]:
    """Return the configuration of an image for a platform, which says how a container runs as engines understand it.

    Raises:
        NotFound: it is for another platform.
        BentoMLException: it is damaged.
    """
    config = parsed_document(data, name)
    check_platform(config, name, platform)
    run = config.get("config") or {}
    wrong = [key for key, kind in _OF_THE_SYSTEM.items() if not isinstance(config.get(key, kind()), kind)]
    wrong += [key for key in _SETTINGS if not _is_good(key, run)] if isinstance(run, dict) else ["config"]
    if wrong:
        raise BentoMLException(
            f"`{name}`: its configuration has another `{wrong[0]}` than engines understand"
        )
    return config


def _is_good(key: str, run: Mapping[str, object]) -> bool:
    value = run.get(key)
    if value is None:
        return True
    match key:
        case "Env":
            return isinstance(value, list) and all(isinstance(v, str) and "\0" not in v for v in value)
        case "Labels":
            return isinstance(value, dict) and all(isinstance(text, str) for text in value.values())
    return isinstance(value, dict) and all(isinstance(nothing, dict) for nothing in value.values())


def check_platform(config: Mapping[str, object], name: str, platform: Platform) -> None:
    """Refuse an image that is for another platform, with `NotFound`."""
    if not _fits(config, platform):
        has = f"{config.get('os')}/{config.get('architecture')}"
        raise NotFound(
            f"`{name}` is for `{has}`, not for `{platform}`; give `--platform {has}` or another base"
        )


def _layers(
    source: Source, manifest: Mapping[str, object], config: Mapping[str, object], name: str
) -> tuple[Layer, ...]:
    diff_ids = diff_ids_of(config, name)
    descriptors = [parsed_descriptor(value, name) for value in _list(manifest, "layers", name)]
    if len(descriptors) != len(diff_ids):
        raise BentoMLException(f"`{name}`: {len(descriptors)} layers, but {len(diff_ids)} diff_ids")
    layers = []
    for diff_id, found in zip(diff_ids, descriptors, strict=True):
        media_type = _LAYERS.get(found.media_type)
        if media_type is None:
            raise BentoMLException(f"`{name}`: layers of type `{found.media_type}` are not supported")
        descriptor = Descriptor(media_type, found.digest, found.size)
        layers.append(Layer(diff_id, descriptor, source.blob(descriptor), "base"))
    return tuple(layers)


def _digest(value: object, name: str) -> Digest:
    try:
        return Digest.parse(str(value))
    except ValueError as e:
        raise BentoMLException(f"`{name}`: {e}") from e
