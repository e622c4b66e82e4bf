"""OCI image layouts: the folder form of images, written and read; see image-layout.md of the OCI image specification."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from ...exceptions import BentoMLException, NotFound
from ...paths import atomic_write, write_atomic
from ...registry.documents import (
    MAX_DOCUMENT,
    Descriptor,
    MediaType,
    checked_document,
    json_of,
    parsed_descriptor,
)
from ...registry.reference import Reference
from ...store.digest import Digest, canonical_json
from ...store.locks import locked_folder
from .bases.resolve import Source, resolve
from .blobs import CheckedBlob, FileBlob
from .codec import measured
from .model import Base, Blob, BytesBlob, Image, ImageIndex, Platform, Referrer

__all__ = [
    "INDEX_FILE",
    "LAYOUT_FILE",
    "MARKER",
    "LayoutSource",
    "blob_path",
    "image_parts",
    "index_of",
    "open_index",
    "open_layout",
    "write_layout",
]

INDEX_FILE = "index.json"
LAYOUT_FILE = "oci-layout"
MARKER = canonical_json({"imageLayoutVersion": "1.0.0"})
_CUT_SHORT = re.compile(
    r"(blobs|oci-layout|\.(oci-layout|index\.json)\.\w+)\Z"
)  # what an attempt leaves that was ended
_TAG = "org.opencontainers.image.ref.name"
_FULL_NAME = "io.containerd.image.name"


def blob_path(digest: Digest) -> str:
    """Return where a layout keeps a blob, relative to its root."""
    return f"blobs/sha256/{digest.hex}"


def image_parts(
    image: Image | ImageIndex, referrers: Sequence[Referrer] = ()
) -> Iterator[tuple[Descriptor, Blob]]:
    """Yield everything that an image consists of, each content once: layers, configuration, manifest; the index last.

    What refers to it comes after that.
    """
    seen: set[Digest] = set()
    for descriptor, blob in _all_parts(image, referrers):
        if descriptor.digest not in seen:
            seen.add(descriptor.digest)
            yield descriptor, blob


def _all_parts(image: Image | ImageIndex, referrers: Sequence[Referrer]) -> Iterator[tuple[Descriptor, Blob]]:
    for one in image.images:
        for layer in one.layers:
            yield layer.descriptor, layer.blob
        yield one.config_descriptor, BytesBlob(one.config)
        yield one.manifest_descriptor, BytesBlob(one.manifest)
    if isinstance(image, ImageIndex):
        yield image.root, BytesBlob(image.document)
    for referrer in referrers:
        yield from referrer.parts()


def index_of(
    image: Image | ImageIndex,
    names: Sequence[str],
    present: Sequence[Mapping[str, object]] = (),
    referrers: Sequence[Referrer] = (),
) -> bytes:
    """Return an index.json that says ``names`` (or none) for the image, and what refers to it; other entries in ``present`` stay."""
    platform = {"platform": image.platform.to_json()} if isinstance(image, Image) else {}
    plain = image.root.to_json() | platform
    entries = [plain | {"annotations": _annotations(name)} for name in names] or [plain]
    entries += [referrer.entry for referrer in referrers]
    kept = [entry for entry in present if _key(entry) not in map(_key, entries)]
    return canonical_json({"schemaVersion": 2, "mediaType": MediaType.INDEX, "manifests": [*kept, *entries]})


def _key(entry: Mapping[str, object]) -> object:
    """Return what an entry has alone: its names, or as a document about an image its digest."""
    return entry.get("digest") if "artifactType" in entry else entry.get("annotations")


def write_layout(
    folder: Path, image: Image | ImageIndex, names: Sequence[str], referrers: Sequence[Referrer] = ()
) -> None:
    """Write an image into a layout, which is made or added to; a blob that is there already is not read again.

    The index is written last: until then the layout does not have the image.

    Raises:
        BentoMLException: the folder holds something else, or a layer's bytes are not what its descriptor says.
    """
    _present(folder)
    (folder / "blobs" / "sha256").mkdir(parents=True, exist_ok=True)
    for descriptor, blob in image_parts(image, referrers):
        target = folder / blob_path(descriptor.digest)
        if not (target.is_file() and target.stat().st_size == descriptor.size):
            _write_blob(target, descriptor, blob)
    with locked_folder(folder):  # others may add to it at the same time
        write_atomic(folder / LAYOUT_FILE, MARKER)
        write_atomic(folder / INDEX_FILE, index_of(image, names, _present(folder), referrers))


def _present(folder: Path) -> list[Mapping[str, object]]:
    """Return the entries of the index that is there, and refuse a folder that is something else than a layout."""
    index = folder / INDEX_FILE
    # Asked twice: another process may make the layout in between.
    if not index.is_file() and _holds_else(folder) and not index.is_file():
        raise BentoMLException(f"`{folder}` is not an OCI layout; name one, or an empty or new folder")
    return _entries(index.read_bytes(), str(folder)) if index.is_file() else []


def _holds_else(folder: Path) -> bool:
    return folder.exists() and not (
        folder.is_dir() and all(_CUT_SHORT.match(path.name) for path in folder.iterdir())
    )


def _write_blob(target: Path, descriptor: Descriptor, blob: Blob) -> None:
    with atomic_write(target) as file:

        def tee() -> Iterator[bytes]:
            for chunk in blob.chunks():
                file.write(chunk)
                yield chunk

        if measured(tee()) != (descriptor.digest, descriptor.size):
            raise BentoMLException(
                f"a layer's bytes are no longer those of `{descriptor.digest}`: a file of the bento or of a model "
                "changed, or the cache is damaged; run the command again"
            )


class LayoutSource(NamedTuple):
    """A layout as a place that gives content by digest."""

    folder: Path

    def document(self, descriptor: Descriptor) -> bytes:
        """Return a manifest or configuration."""
        with self._file(descriptor).open("rb") as file:
            data = file.read(MAX_DOCUMENT + 1)
        return checked_document(data, descriptor, str(self.folder))

    def blob(self, descriptor: Descriptor) -> Blob:
        """Return a layer's content."""
        path = self._file(descriptor)
        return CheckedBlob(FileBlob(path), descriptor.digest, str(path))

    def _file(self, descriptor: Descriptor) -> Path:
        path = self.folder / blob_path(descriptor.digest)
        if not path.is_file():  # a pipe would be waited for
            raise BentoMLException(f"the layout `{self.folder}` lacks the blob `{descriptor.digest}`")
        return path


def open_layout(folder: Path, tag: str | None, *, platform: Platform) -> Base:
    """Return the image in a layout: the only one, or the one with this tag or full name.

    Raises:
        NotFound: there is no such image.
        BentoMLException: the folder is not a layout, or a blob of it is damaged.
    """
    name = f"oci:{folder}" + (f":{tag}" if tag else "")
    try:
        index = (folder / INDEX_FILE).read_bytes()
    except OSError as e:
        raise NotFound(f"`{folder}` is not an OCI layout: it has no `{INDEX_FILE}`") from e
    return open_index(index, LayoutSource(folder), tag, name=name, platform=platform)


def open_index(index: bytes, source: Source, tag: str | None, *, name: str, platform: Platform) -> Base:
    """Return the image that an index.json says, with its content in ``source``."""
    entries = [entry for entry in _entries(index, name) if "artifactType" not in entry]
    wanted = [entry for entry in entries if tag is None or tag in _names(entry)]
    if len({str(entry.get("digest")) for entry in wanted}) != 1:
        known = sorted({tag for entry in entries for tag in _names(entry)})
        problem = "no image" if not wanted else "more than one image"
        raise NotFound(f"`{name}` says {problem}; name one of its tags: {', '.join(known) or 'it has none'}")
    return resolve(source, parsed_descriptor(wanted[0], name), name=name, platform=platform)


def _entries(index: bytes, name: str) -> list[Mapping[str, object]]:
    try:
        found = json_of(index)
        entries = found.get("manifests") if isinstance(found, dict) else None
        if isinstance(entries, list) and all(isinstance(entry, dict) for entry in entries):
            return entries
    except ValueError:
        pass
    raise BentoMLException(f"the `{INDEX_FILE}` of `{name}` is damaged")


def _names(entry: Mapping[str, object]) -> list[str]:
    annotations = entry.get("annotations")
    if not isinstance(annotations, dict):
        return []
    return [str(annotations[key]) for key in (_TAG, _FULL_NAME) if key in annotations]


def _annotations(name: str) -> Mapping[str, str]:
    """Return what tools look for: skopeo and podman take the tag, containerd and docker the full name."""
    reference = Reference.parse(name)
    return {_TAG: reference.tag or "latest", _FULL_NAME: str(reference)}
