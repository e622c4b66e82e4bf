"""What goes into the layers of a bento: its models, its user, its files.

Nothing here depends on the clock or on this machine: where a manifest says when it was made, the image says the
image's own time.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from ....store.archives.contents import StoredFile
from ....store.archives.tar import Tar, TarEntry
from ....store.bentos import Bento
from ....store.digest import Digest
from ....store.manifest import BentoInfo
from ....store.models import Model
from ....store.tree import Entry, Tree
from ..bases.rootfs import RootFS
from ..cache import Cache, recipe_layer
from ..codec import Codec, gzip_codec, layer_of, stored_codec
from ..model import Layer, LayerKind
from .place import APP, BENTO, HEALTH, HOME, MODELS, UID, USER, folders

__all__ = ["bento_layers", "model_layers", "user_layer"]

Stored = Mapping[Path, tuple[Bento | Model, Entry]]  # files of the store: whose they are, and what they hold

_TEMPLATES = Path(__file__).parents[3] / "templates"
_WHEELS = f"{BENTO}/env/python/wheels/"
_MAX_MODEL_LAYERS = 40
_LARGE_FILE = 512 << 20  # bytes that make a file worth a layer of its own: it travels beside others


def model_layers(
    models: Iterable[Model],
    cache: Cache,
    *,
    epoch: int,
    codec: Codec | None = None,
    at_most: int = _MAX_MODEL_LAYERS,
    large: int = _LARGE_FILE,
) -> tuple[Layer, ...]:
    """Return a layer for each model, by tag, and one for each file of more than ``large`` bytes.

    Beyond ``at_most`` layers, the smallest share the last one. The weights are framed, not compressed unless ``codec``
    does, and read only if the cache does not know the layer. They belong to root: what is served is what was saved.
    """
    by_tag = sorted(models, key=lambda model: model.tag)
    parts = [part for model in by_tag for part in _parts(model, epoch, large)]
    largest = sorted(parts, key=lambda part: -part.size)
    shared = largest[at_most - 1 :]
    alone = [part for part in parts if part not in shared]
    groups = [*([part] for part in alone), *([shared] if shared else [])]
    return tuple(_model_layer(group, cache, epoch, codec or stored_codec()) for group in groups)


def user_layer(rootfs: RootFS, *, epoch: int) -> Layer:
    """Return the layer that adds the user to the accounts of the base, its home, and the health check."""
    passwd = _with_account(rootfs.passwd, f"{USER}:x:{UID}:{UID}::/{HOME}:/bin/sh")
    group = _with_account(rootfs.group, f"{USER}:x:{UID}:")
    entries = [
        TarEntry.file("etc/passwd", passwd.encode("latin-1")),
        TarEntry.file("etc/group", group.encode("latin-1")),
        *(
            TarEntry.folder(path)
            for path in (APP, str(PurePosixPath(HOME).parent))
            if path not in rootfs.folders
        ),
        *(TarEntry.folder(path, uid=UID, gid=UID) for path in (HOME, MODELS)),
        TarEntry.file(HEALTH, (_TEMPLATES / "health.py").read_bytes()),
    ]
    return layer_of(Tar.of(entries, mtime=epoch), gzip_codec(), "user", f"user {USER} ({UID}:{UID})")


def bento_layers(bento: Bento, models: Iterable[Model], cache: Cache, *, epoch: int) -> list[Layer]:
    """Return the layers of the bento's own files and of the pointers that say which model is the latest.

    All belong to the service's user: code that was written for BentoML may write beside itself. The wheels of a bento are
    a layer of their own below the rest, as they are the largest part of most bentos, and stay when a line of code changes.
    """
    manifest = _timeless_bento(bento.info, epoch).to_yaml().encode()
    files = _tree_entries(BENTO, Path(bento.path), bento.tree, owner=UID)
    wheels = [entry for entry in files if entry.path.startswith(_WHEELS)]
    others = [
        *(entry for entry in files if not entry.path.startswith(_WHEELS)),
        TarEntry.file(f"{BENTO}/bento.yaml", manifest, uid=UID, gid=UID),
        *_latest_pointers(models),
    ]
    return [
        *([_bento_layer("wheels of the bento", bento, wheels, cache, epoch)] if wheels else []),
        _bento_layer(f"bento {bento.tag}", bento, others, cache, epoch),
    ]


def _bento_layer(about: str, bento: Bento, entries: Sequence[TarEntry], cache: Cache, epoch: int) -> Layer:
    parents = folders((entry.path for entry in entries), HOME, owner=UID)
    tar = Tar.of([*parents, *entries], mtime=epoch)
    return _remembered(cache, [bento], tar, gzip_codec(), "source", about)


class _Part(NamedTuple):
    """What one layer holds of a model: a large file, or all the others."""

    about: str
    model: Model
    entries: tuple[TarEntry, ...]

    @property
    def size(self) -> int:
        return sum(entry.size for entry in self.entries)


def _parts(model: Model, epoch: int, large: int) -> list[_Part]:
    place = f"{MODELS}/{model.tag.path()}"
    files = _tree_entries(place, Path(model.path), model.tree)
    apart = [entry for entry in files if entry.size > large]
    manifest = TarEntry.file(f"{place}/model.yaml", model.info.timeless(epoch).to_yaml().encode())
    rest = [*(entry for entry in files if entry.size <= large), manifest]
    about = f"model {model.tag}"
    return [
        *(_part(f"{about}: {entry.path.removeprefix(place)[1:]}", model, place, [entry]) for entry in apart),
        _part(about, model, place, rest),
    ]


def _part(about: str, model: Model, place: str, files: Sequence[TarEntry]) -> _Part:
    own = folders((entry.path for entry in files), place)
    return _Part(about, model, (*folders([place], HOME, owner=UID), *own, *files))


def _model_layer(parts: Sequence[_Part], cache: Cache, epoch: int, codec: Codec) -> Layer:
    entries = {entry.path: entry for part in parts for entry in part.entries}
    tar = Tar.of(entries.values(), mtime=epoch)
    about = parts[0].about if len(parts) == 1 else f"{len(parts)} small models"
    return _remembered(cache, [part.model for part in parts], tar, codec, "model", about)


def _tree_entries(place: str, root: Path, tree: Tree, *, owner: int = 0) -> list[TarEntry]:
    return [
        TarEntry.symlink(f"{place}/{e.path}", e.link, uid=owner, gid=owner)
        if e.link is not None
        else TarEntry(
            f"{place}/{e.path}",
            "file",
            0o755 if e.executable else 0o644,
            e.size,
            root / e.path,
            uid=owner,
            gid=owner,
        )
        for e in tree.entries
    ]


def _remembered(
    cache: Cache,
    items: Sequence[Bento] | Sequence[Model],
    tar: Tar,
    codec: Codec,
    kind: LayerKind,
    about: str,
) -> Layer:
    """Return the layer of stored items, whose manifests say what their files hold; those are not read if it is known.

    Part of what it is known by is what changes when somebody writes to a stored file: its size and its time. What is
    read must be what was stored.
    """
    stored = {Path(item.path, entry.path): (item, entry) for item in items for entry in item.tree.entries}
    key = [tar.mtime, *(_identity(entry, stored) for entry in tar.entries)]
    return recipe_layer(cache, key, tar, codec, kind, about, checked=_checked(tar, stored))


def _checked(tar: Tar, stored: Stored) -> Tar:
    """Return a tar that refuses files whose content is not the one that their item was stored with."""
    entries = (
        entry._replace(source=StoredFile(*stored[entry.source])) if isinstance(entry.source, Path) else entry
        for entry in tar.entries
    )
    return tar._replace(entries=tuple(entries))


def _identity(entry: TarEntry, stored: Stored) -> list[object]:
    if isinstance(entry.source, Path):
        stat, digest = entry.source.stat(), str(stored[entry.source][1].digest)
        return [entry.path, entry.size, entry.mode, entry.uid, digest, stat.st_size, stat.st_mtime_ns]
    content = str(Digest.of(entry.source)) if isinstance(entry.source, bytes) else entry.link
    return [entry.path, entry.kind, entry.mode, entry.uid, content]


def _latest_pointers(models: Iterable[Model]) -> list[TarEntry]:
    oldest_first = sorted(models, key=lambda model: (model.creation_time, model.tag))
    latest = {model.tag.name: model.tag for model in oldest_first}
    return [
        TarEntry.file(f"{MODELS}/{tag.latest_path()}", (tag.version or "").encode(), uid=UID, gid=UID)
        for tag in latest.values()
    ]


def _timeless_bento(info: BentoInfo, epoch: int) -> BentoInfo:
    """Return the manifest as it travels, and without the values that were meant for the build alone.

    Its digest is that of what is left, so that it is whole where it will be loaded.
    """
    envs = tuple({**env, "value": ""} if env.get("stage") == "build" else env for env in info.envs)
    timeless = replace(info.timeless(epoch), envs=envs)
    return replace(timeless, digest=timeless.digest and timeless.identity(timeless.files))


def _with_account(text: str, line: str) -> str:
    """Return an account file with a line more, unless it has that name already; `User` names the number anyway."""
    if any(known.split(":")[0] == USER for known in text.splitlines()):
        return text
    return f"{text.rstrip(chr(10))}\n{line}\n".lstrip("\n")
