"""Images in one tar file: OCI archives (a layout in a tar) and those of `docker save`, written and read."""

from __future__ import annotations

import tarfile
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from ...exceptions import BentoMLException, NotFound
from ...registry.documents import MAX_DOCUMENT, Descriptor, MediaType, checked_document, json_of
from ...registry.reference import Reference
from ...store.archives.tar import Tar, TarEntry
from ...store.digest import Digest, canonical_json
from .bases.resolve import checked_config, diff_ids_of
from .blobs import CheckedBlob, FileBlob, PlainBlob
from .cache import Cache, kept_layer
from .codec import gzip_codec, measured
from .layout import INDEX_FILE, LAYOUT_FILE, MARKER, blob_path, image_parts, index_of, open_index
from .model import Base, Blob, Image, ImageIndex, Layer, Platform, Referrer

__all__ = [
    "docker_archive",
    "docker_layers",
    "has_zstd",
    "oci_archive",
    "open_docker_archive",
    "open_oci_archive",
    "short_name",
    "without_zstd",
]

_DOCKER_FILE = "manifest.json"


def oci_archive(image: Image | ImageIndex, names: Sequence[str], referrers: Sequence[Referrer] = ()) -> Tar:
    """Return the archive of an image, as a recipe: its layers are read when its bytes are."""
    return Tar.of(_layout_entries(image, names, frozenset(), referrers))


def docker_archive(image: Image, names: Sequence[str], *, without: Collection[Digest] = frozenset()) -> Tar:
    """Return what `docker load` takes, which is an OCI archive with Docker's own index beside.

    The layers whose diff_id is in ``without`` are left out, for an engine that has them.
    """
    document = {
        "Config": blob_path(image.config_descriptor.digest),
        "RepoTags": [short_name(name) for name in names],
        "Layers": [blob_path(layer.descriptor.digest) for layer in image.layers],
    }
    entry = TarEntry.file(_DOCKER_FILE, canonical_json([document]))
    return Tar.of([entry, *_layout_entries(image, names, without)])


def short_name(name: str) -> str:
    """Return a name with its tag, as Docker writes it: without the host that it takes for granted."""
    return _unqualified(str(Reference.parse(name)))


def without_zstd(image: Image, known: Collection[Digest] = ()) -> Image:
    """Return an image for those who may not read zstd, as engines before Docker 23: such layers of its base are plain.

    The id stays, the digest of the manifest does not. Layers whose diff_id is in ``known`` need nobody to read them.
    """
    layers = (
        _plain(layer) if _is_zstd(layer) and layer.diff_id not in known else layer for layer in image.layers
    )
    return image._replace(layers=tuple(layers))


def has_zstd(image: Image) -> bool:
    """Say whether a layer of an image is compressed with zstd."""
    return any(map(_is_zstd, image.layers))


def _is_zstd(layer: Layer) -> bool:
    return layer.descriptor.media_type == MediaType.LAYER_ZSTD


def _plain(layer: Layer) -> Layer:
    blob = PlainBlob(layer.blob)
    digest, size = measured(blob.chunks())
    return layer._replace(descriptor=Descriptor(MediaType.LAYER, digest, size), blob=blob)


def _unqualified(name: str) -> str:
    """Return a full name without the host; some tools write it into an archive, Docker does not."""
    return name.removeprefix("docker.io/").removeprefix("library/")


def _tags(entry: Mapping[str, object]) -> list[str]:
    tags = entry.get("RepoTags")
    return list(map(str, tags)) if isinstance(tags, list) else []


def _layout_entries(
    image: Image | ImageIndex,
    names: Sequence[str],
    without: Collection[Digest],
    referrers: Sequence[Referrer] = (),
) -> Iterator[TarEntry]:
    layers = (layer for one in image.images for layer in one.layers)
    omitted = {layer.descriptor.digest for layer in layers if layer.diff_id in without}
    for folder in ("blobs", "blobs/sha256"):
        yield TarEntry.folder(folder)
    yield TarEntry.file(LAYOUT_FILE, MARKER)
    yield TarEntry.file(INDEX_FILE, index_of(image, names, (), referrers))
    for descriptor, blob in image_parts(image, referrers):
        if descriptor.digest not in omitted:
            path = blob_path(descriptor.digest)
            checked = CheckedBlob(blob, descriptor.digest, f"layer {descriptor.digest}")
            yield TarEntry(path, size=descriptor.size, source=checked)


class _Members(NamedTuple):
    """The files of a tar by name: where their bytes lie in it."""

    file: Path
    places: Mapping[str, FileBlob]

    @classmethod
    def of(cls, file: Path) -> _Members:
        places, links = {}, {}
        try:
            with tarfile.open(file, "r:") as tar:
                for info in tar:
                    name = str(PurePosixPath(info.name))
                    if info.isreg():
                        places[name] = FileBlob(file, info.offset_data, info.size)
                    elif info.issym():
                        links[name] = _beside(name, info.linkname)
        except OSError as e:
            raise NotFound(f"the image archive `{file}` cannot be read: {e.strerror or e}") from e
        except tarfile.TarError as e:
            raise BentoMLException(f"`{file}` is not an image archive: {e}") from e
        places |= {name: places[target] for name, target in links.items() if target in places}
        return cls(file, places)

    def find(self, name: str) -> FileBlob:
        """Return the place of a file."""
        place = self.places.get(str(PurePosixPath(name)))
        if place is None:
            raise BentoMLException(f"the archive `{self.file}` lacks `{name}`")
        return place

    def read(self, name: str) -> bytes:
        """Return a small file."""
        place = self.find(name)
        if place.size is None or place.size > MAX_DOCUMENT:
            raise BentoMLException(f"`{name}` in the archive `{self.file}` is too large for a document")
        return b"".join(place.chunks())

    def document(self, descriptor: Descriptor) -> bytes:
        """Return a manifest or configuration of a layout."""
        data = self.read(blob_path(descriptor.digest))
        return checked_document(data, descriptor, str(self.file))

    def blob(self, descriptor: Descriptor) -> Blob:
        """Return a layer's content."""
        place = self.find(blob_path(descriptor.digest))
        return CheckedBlob(place, descriptor.digest, f"{self.file}: {descriptor.digest}")


def _beside(name: str, link: str) -> str:
    """Return which member a symbolic link means; old Docker links equal layers as `../ID/layer.tar`."""
    parts = list(PurePosixPath(name).parent.parts)
    for part in PurePosixPath(link).parts:
        if part != "..":
            parts.append(part)
        elif parts:
            parts.pop()
    return "/".join(parts)


def open_oci_archive(file: Path, tag: str | None, *, platform: Platform) -> Base:
    """Return the image in an OCI archive: the only one, or the one with this tag or full name.

    Raises:
        NotFound: there is no such image.
        BentoMLException: the file is not an OCI archive, or is damaged.
    """
    members = _Members.of(file)
    name = f"oci-archive:{file}" + (f":{tag}" if tag else "")
    return open_index(members.read(INDEX_FILE), members, tag, name=name, platform=platform)


def open_docker_archive(
    file: Path, tag: str | None, *, name: str, platform: Platform, cache: Cache
) -> tuple[Base, bytes]:
    """Return the image in an archive of `docker save`, and its configuration as it stands there.

    Its layers, which lie there uncompressed, are kept in the cache as they will travel; the file is not needed again.

    Raises:
        NotFound: there is no image with this name.
        BentoMLException: the file is not such an archive, or is damaged.
    """
    members = _Members.of(file)
    chosen = _chosen(members.read(_DOCKER_FILE), tag, name)
    data = members.read(str(chosen.get("Config")))
    config = checked_config(data, name, platform)
    diff_ids, paths = diff_ids_of(config, name), chosen.get("Layers")
    if not isinstance(paths, list) or len(paths) != len(diff_ids):
        raise BentoMLException(f"the archive `{file}` does not have the layers that its configuration lists")
    layers = (
        _kept(cache, diff_id, members.find(str(path))) for diff_id, path in zip(diff_ids, paths, strict=True)
    )
    return Base(name, None, config, tuple(layers), platform), data


def docker_layers(file: Path) -> tuple[Blob, ...]:
    """Return the plain layers of the only image in an archive of `docker save`, from the bottom up.

    Raises:
        BentoMLException: the file is not such an archive.
    """
    members = _Members.of(file)
    paths = _chosen(members.read(_DOCKER_FILE), None, str(file)).get("Layers")
    return tuple(PlainBlob(members.find(str(path))) for path in (paths if isinstance(paths, list) else ()))


def _kept(cache: Cache, diff_id: Digest, place: FileBlob) -> Layer:
    checked = CheckedBlob(PlainBlob(place), diff_id, f"{place.path}: {diff_id}")
    return kept_layer(cache, {"diff_id": str(diff_id)}, lambda _: checked, gzip_codec(), "base")


def _chosen(index: bytes, tag: str | None, name: str) -> Mapping[str, object]:
    """Return the entry of a manifest.json that is the only one, or has the name."""
    try:
        found = json_of(index)
        entries = [entry for entry in found if isinstance(entry, dict)] if isinstance(found, list) else []
    except ValueError as e:
        raise BentoMLException(f"the `{_DOCKER_FILE}` of `{name}` is damaged: {e}") from e
    wanted = [entry for entry in entries if tag is None or short_name(tag) in map(_unqualified, _tags(entry))]
    if len(wanted) != 1:
        known = sorted(tag for entry in entries for tag in _tags(entry))
        raise NotFound(
            f"`{name}` does not say which image; it has {', '.join(known) or 'one without a name'}"
        )
    return wanted[0]
