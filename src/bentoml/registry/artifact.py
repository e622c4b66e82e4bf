"""Artifacts: what an item is in a registry, as pure data: its manifest as the configuration, its files as layers.

A file is a layer, so that its digest there is the one that it has in the store. One that is larger than registries take is
cut into shards; where there are many small files, neighbours travel together in a tar. The list of files in the
configuration says what there is; what the layers are called is for people, and is never believed.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal, NamedTuple

from ..exceptions import BentoMLException
from ..store.digest import Digest, canonical_json
from ..store.tree import Entry, Tree
from ..tag import Tag
from .documents import Descriptor, MediaType, parsed_annotations, parsed_descriptor, parsed_document

__all__ = ["EMPTY", "SHARD", "Artifact", "ItemKind", "Layer", "ModelAt", "Piece", "pieces"]

ItemKind = Literal["model", "bento"]

SHARD = 4 << 30  # bytes of the largest layer
_SMALL = 64 << 10  # bytes of a file that may travel with others
_FEW = 16  # small files that travel alone: three requests each, which are made in parallel
_BUNDLE = 4 << 20  # bytes of the largest bundle: what a changed file costs
_FILE_TYPE = "application/vnd.bentoml.file.v1"
_SHARD_TYPE = "application/vnd.bentoml.shard.v1"
_BUNDLE_TYPE = "application/vnd.bentoml.files.v1.tar"
_TITLE = "org.opencontainers.image.title"
_OF = "vnd.bentoml.file"  # of a shard: the digest of the whole file
_COUNT = "vnd.bentoml.count"  # of a bundle: the number of its files
_MODELS = "vnd.bentoml.models"
EMPTY = Descriptor(  # what a manifest without layers has for one
    MediaType.EMPTY, Digest.of(b"{}"), 2
)


class Piece(NamedTuple):
    """What one layer holds: ``size`` bytes from ``start`` on of all files ``entries``, which are equal; or, in a
    bundle, small files one after the other."""

    entries: tuple[Entry, ...]
    start: int
    size: int
    is_bundle: bool = False

    @property
    def is_shard(self) -> bool:
        """Whether it is a part of a file."""
        return not self.is_bundle and self.size < self.entries[0].size

    def descriptor(self, digest: Digest, size: int) -> Descriptor:
        """Return the descriptor of the layer that holds it."""
        path = self.entries[0].path
        if self.is_bundle:
            notes = {_TITLE: f"{digest.hex[:16]}.tar", _COUNT: str(len(self.entries))}
            return Descriptor(_BUNDLE_TYPE, digest, size, notes)
        if self.is_shard:
            notes = {_TITLE: f"{path}.from-{self.start}", _OF: str(self.entries[0].digest)}
            return Descriptor(_SHARD_TYPE, digest, size, notes)
        notes = {_TITLE: path} | ({"vnd.bentoml.executable": "true"} if self.entries[0].executable else {})
        return Descriptor(_FILE_TYPE, digest, size, notes)


class Layer(NamedTuple):
    """A layer, and what it holds."""

    descriptor: Descriptor
    piece: Piece


class ModelAt(NamedTuple):
    """A model that a bento needs, which lies as an artifact of its own in the same repository."""

    tag: Tag
    manifest: Descriptor


class Artifact(NamedTuple):
    """The manifest of an item in a registry."""

    kind: ItemKind
    tag: str
    config: Descriptor
    layers: tuple[Descriptor, ...]
    models: tuple[ModelAt, ...] = ()

    @staticmethod
    def config_of(kind: ItemKind, config: bytes) -> Descriptor:
        """Return the descriptor of a configuration."""
        media_type = f"application/vnd.bentoml.{kind}.manifest.v1+yaml"
        return Descriptor(media_type, Digest.of(config), len(config))

    def to_bytes(self) -> bytes:
        """Return the manifest as it is stored: the same item gives the same bytes."""
        models = [
            {"tag": str(m.tag), "digest": str(m.manifest.digest), "size": m.manifest.size}
            for m in self.models
        ]
        noted = {_TITLE: self.tag} | ({_MODELS: canonical_json(models).decode()} if models else {})
        return canonical_json(
            {
                "schemaVersion": 2,
                "mediaType": MediaType.MANIFEST,
                "artifactType": f"application/vnd.bentoml.{self.kind}.v1",
                "config": self.config.to_json(),
                "layers": [layer.to_json() for layer in self.layers or (EMPTY,)],
                "annotations": noted,
            }
        )

    @classmethod
    def parse(cls, data: bytes, name: str) -> Artifact:
        """Read the manifest of an item.

        Raises:
            BentoMLException: it is the manifest of something else, or of nothing.
        """
        document = parsed_document(data, name)
        kind = _kind(document, name)
        layers, notes = document.get("layers"), parsed_annotations(document)
        if not isinstance(layers, list):
            raise BentoMLException(f"`{name}`: its manifest has no list `layers`")
        descriptors = [parsed_descriptor(layer, name) for layer in layers]
        return cls(
            kind,
            notes.get(_TITLE, ""),
            parsed_descriptor(document.get("config"), name),
            tuple(d for d in descriptors if d.media_type != MediaType.EMPTY),
            tuple(_models(notes.get(_MODELS, "[]"), name)),
        )

    def layers_of(self, tree: Tree, name: str) -> tuple[Layer, ...]:
        """Return what each layer holds of these files.

        Raises:
            BentoMLException: the layers do not make up exactly these files.
        """
        return tuple(_Assignment(tree, name).layers(self.layers))


def pieces(tree: Tree, *, shard: int = SHARD) -> tuple[Piece, ...]:
    """Return what goes into the layers of these files: equal files once, links and empty files not at all."""
    files = [entry for entry in tree.entries if entry.link is None and entry.size]
    small = [entry for entry in files if entry.size <= min(_SMALL, shard)]
    if len({entry.digest for entry in small}) <= _FEW:
        small = []
    bundled = {entry.digest for entry in small}
    alone = _by_content(entry for entry in files if entry.digest not in bundled)
    whole = [piece for same in alone.values() for piece in _cut(same, shard)]
    return (*whole, *_bundles(small))


def _by_content(entries: Iterable[Entry]) -> dict[Digest, tuple[Entry, ...]]:
    found: dict[Digest, tuple[Entry, ...]] = {}
    for entry in entries:
        found[entry.digest] = (*found.get(entry.digest, ()), entry)
    return found


def _cut(same: tuple[Entry, ...], shard: int) -> list[Piece]:
    size = same[0].size
    return [Piece(same, start, min(shard, size - start)) for start in range(0, size, shard)]


def _bundles(small: Sequence[Entry]) -> list[Piece]:
    """Return the small files in groups of neighbours. Where a group ends depends on names: a changed file changes one."""
    groups: list[list[Entry]] = []
    ended = True
    for entry in small:
        if ended or sum(e.size for e in groups[-1]) + entry.size > _BUNDLE:
            groups.append([])
        groups[-1].append(entry)
        ended = Digest.of(entry.path.encode()).hex.startswith("00")
    return [Piece(tuple(group), 0, sum(entry.size for entry in group), True) for group in groups]


class _Assignment:
    """Find out what each layer of a manifest holds; whatever does not fit is refused."""

    def __init__(self, tree: Tree, name: str) -> None:
        files = [entry for entry in tree.entries if entry.link is None and entry.size]
        self._left = _by_content(files)
        self._files = files
        self._name = name

    def layers(self, descriptors: Sequence[Descriptor]) -> list[Layer]:
        bundles = [d for d in descriptors if d.media_type == _BUNDLE_TYPE]
        others = [self._whole_or_shards(d, rest) for d, rest in _in_runs(descriptors)]
        found = [layer for layers in others for layer in layers]
        small = [entry for entry in self._files if entry.digest in self._left]
        return [*found, *self._bundles(bundles, small)]

    def _whole_or_shards(self, first: Descriptor, run: Sequence[Descriptor]) -> list[Layer]:
        """Return the layers of one file: a whole one, or all its shards."""
        is_whole = first.media_type == _FILE_TYPE
        digest = str(first.digest) if is_whole else first.annotations.get(_OF, "")
        same = self._left.pop(Digest(digest.removeprefix("sha256:")), None)
        if same is None or sum(d.size for d in run) != same[0].size or not all(d.size for d in run):
            raise self._refused(f"layer `{first.digest}` is none of its files")
        layers, start = [], 0
        for descriptor in run:
            layers.append(Layer(descriptor, Piece(same, start, descriptor.size)))
            start += descriptor.size
        return layers

    def _bundles(self, descriptors: Sequence[Descriptor], small: Sequence[Entry]) -> list[Layer]:
        layers = []
        for descriptor in descriptors:
            count = _number(descriptor.annotations.get(_COUNT, ""))
            group, small = tuple(small[:count]), small[count:]
            size = sum(entry.size for entry in group)
            if not count or len(group) != count or not _may_hold(descriptor.size, group):
                raise self._refused(f"layer `{descriptor.digest}` does not hold {count} of its files")
            layers.append(Layer(descriptor, Piece(group, 0, size, True)))
        if small:
            raise self._refused(f"no layer holds `{small[0].path}`")
        return layers

    def _refused(self, why: str) -> BentoMLException:
        return BentoMLException(f"`{self._name}`: its manifest does not fit its list of files: {why}")


def _in_runs(descriptors: Iterable[Descriptor]) -> list[tuple[Descriptor, list[Descriptor]]]:
    """Return whole files one by one, and the shards of a file, which follow one another, together."""
    runs: list[tuple[Descriptor, list[Descriptor]]] = []
    for descriptor in descriptors:
        if descriptor.media_type == _BUNDLE_TYPE:
            continue
        first = runs[-1][0] if runs else None
        if (
            first
            and descriptor.media_type == _SHARD_TYPE == first.media_type
            and _of(first) == _of(descriptor)
        ):
            runs[-1][1].append(descriptor)
        else:
            runs.append((descriptor, [descriptor]))
    return runs


def _of(shard: Descriptor) -> str | None:
    return shard.annotations.get(_OF)


def _may_hold(size: int, entries: Sequence[Entry]) -> bool:
    """Say whether a tar of these files may have a size: framing takes some blocks for each name."""
    content = sum(entry.size for entry in entries)
    return content <= size <= content + 10_240 + sum(4096 + 4 * len(entry.path.encode()) for entry in entries)


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else 0


def _kind(document: Mapping[str, object], name: str) -> ItemKind:
    config = document.get("config")
    media_type = str(config.get("mediaType")) if isinstance(config, dict) else ""
    match str(document.get("artifactType") or media_type):
        case "application/vnd.bentoml.model.v1":
            return "model"
        case "application/vnd.bentoml.bento.v1":
            return "bento"
        case MediaType.CONFIG | MediaType.DOCKER_CONFIG:
            what = "a container image"
        case other:
            unnamed = "an index of several things" if "manifests" in document else "something else"
            what = f"`{other}`" if other else unnamed
    raise BentoMLException(f"`{name}` is no bento and no model but {what}; check the repository and the tag")


def _models(text: str, name: str) -> Iterable[ModelAt]:
    try:
        for entry in json.loads(text):
            manifest = {**entry, "mediaType": MediaType.MANIFEST}
            yield ModelAt(Tag.from_str(entry["tag"]), parsed_descriptor(manifest, name))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as e:
        raise BentoMLException(f"`{name}`: its list of models cannot be read: {e}") from e
