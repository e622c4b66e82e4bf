"""Push: an item of the store into a repository, which is sent only what it lacks; its tag appears last, with all there."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import NamedTuple

from ..config import Home
from ..exceptions import BentoMLException, InvalidArgument, NotFound
from ..store.bentos import Bento
from ..store.digest import Digest
from ..store.items import reading
from ..store.manifest import Manifest
from ..store.models import Model, ModelStore
from .artifact import EMPTY, SHARD, Artifact, ItemKind, ModelAt, pieces
from .client import Registry
from .contents import Bytes, Content, content_of, described
from .documents import Descriptor, MediaType
from .memory import Memory
from .parallel import Flow, in_parallel
from .places import checked_tag
from .reference import Reference
from .transport import Transport
from .upload import OtherContent, Upload

__all__ = ["Pushed", "Pushing", "push"]

THREADS = 10


class Pushed(NamedTuple):
    """Where an item is, under which digest, and what had to be sent for it."""

    item: Model | Bento
    place: Reference
    digest: Digest
    sent_bytes: int
    sent_blobs: int
    tags: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.place}@{self.digest}"


class Pushing(NamedTuple):
    """How to push: with whose credentials, how much at a time; ``told`` is called with the bytes that were moved, and
    ``expected`` with those that will be."""

    home: Home
    env: Mapping[str, str]
    threads: int = THREADS
    force: bool = False
    tags: tuple[str, ...] = ()
    told: Callable[[int], None] | None = None
    expected: Callable[[int], None] | None = None
    shard: int = SHARD
    transport: Callable[[], Transport] = Transport


def push(item: Model | Bento, place: Reference, how: Pushing) -> Pushed:
    """Push an item, a bento with its models, and let its tag and ``how.tags`` mean it.

    Raises:
        InvalidArgument: one of the tags is none.
        NotFound: a model that the bento needs is not in the store, something is deleted meanwhile, or the registry does not
            know the repository.
        ServiceUnavailable: the registry cannot be reached.
        BentoMLException: the item is damaged, or the registry has another one under its tag and ``how.force`` is not set.
    """
    if how.threads < 1:
        raise InvalidArgument(f"`{how.threads}` threads cannot push anything; give 1 or more")
    tags = tuple(dict.fromkeys(checked_tag(tag) for tag in (place.tag or "latest", *how.tags)))
    models = [] if isinstance(item, Model) else ModelStore(how.home).needed_by(item.info)
    with reading(item, *models), _pusher(place, how, (item, *models)) as pusher:
        for each in (item, *models):
            each.check()
        try:
            found = pusher.push(item, tags, models)
        except OtherContent:  # what no time of change has told
            for each in (item, *models):
                each.check(thoroughly=True)
            raise
    return Pushed(item, place, found.digest, pusher.sent_bytes, pusher.sent_blobs, tags[1:])


@contextmanager
def _pusher(place: Reference, how: Pushing, items: Sequence[Model | Bento]) -> Iterator[_Pusher]:
    memory = Memory(how.home.cache / "registry" / "memory")
    known = {item.digest: memory.recall(_where(place.host, item.digest)) for item in items}
    elsewhere = {digest: name for digest, name in known.items() if name and name != place.repository}
    with closing(how.transport()) as transport:
        reads = sorted(set(elsewhere.values()))
        registry = Registry(place, env=how.env, transport=transport, reads=reads)
        yield _Pusher(registry, how, memory, elsewhere)


def _where(host: str, digest: Digest) -> list[object]:
    return ["item", host, str(digest)]


class _Pusher:
    """Push items into one repository; ``elsewhere`` are repositories of the registry that blobs can be mounted from."""

    def __init__(
        self, registry: Registry, how: Pushing, memory: Memory, elsewhere: Mapping[Digest, str]
    ) -> None:
        self._registry = registry
        self._how = how
        self._memory = memory
        self._elsewhere = elsewhere
        self._flow = Flow(how.told)
        self.sent_bytes = 0
        self.sent_blobs = 0

    def push(self, item: Model | Bento, tags: Sequence[str], models: Sequence[Model] = ()) -> Descriptor:
        """Push an item and its models; return the descriptor of its manifest, which is written last."""
        at = tuple(ModelAt(model.tag, self.push(model, [_model_tag(model)])) for model in models)
        config = _config(item)
        artifact = Artifact(_kind(item), str(item.tag), Artifact.config_of(_kind(item), config), (), at)
        found = self._found(tags[0])
        if found is not None and self._is_same(artifact, found):
            data, missing = found, tags[1:]
        else:
            data, missing = self._sent(item, artifact, config), tags
        digest = Digest.of(data)
        for tag in missing:
            if tag == tags[0] or self._found(tag) != data:
                self._registry.put_manifest(tag, data)
        key, repository = _where(self._registry.host, item.digest), self._registry.repository
        if self._memory.recall(key) != repository:
            self._memory.remember(key, repository)
        return Descriptor(MediaType.MANIFEST, digest, len(data))

    def _found(self, tag: str) -> bytes | None:
        try:
            return self._registry.manifest(tag)[1]
        except NotFound:
            return None

    def _is_same(self, artifact: Artifact, found: bytes) -> bool:
        """Say whether a manifest in the registry is that of the same item; another one is left alone without force."""
        name = f"{self._registry.host}/{self._registry.repository}:{artifact.tag.partition(':')[2]}"
        try:
            there = Artifact.parse(found, name)
        except BentoMLException:
            there = None
        if there is not None and (there.config, there.models) == (artifact.config, artifact.models):
            return not self._how.force
        if self._how.force:
            return False
        what = (
            f"{there.kind} `{there.tag}` with other content"
            if there
            else "something that is no bento and no model"
        )
        raise BentoMLException(
            f"registry `{self._registry.host}` has {what} under the tag that {artifact.kind} `{artifact.tag}` would get in "
            f"`{self._registry.repository}`; push it elsewhere, or give `--force` to take the tag away from it"
        )

    def _sent(self, item: Model | Bento, artifact: Artifact, config: bytes) -> bytes:
        """Send all blobs that are not there, and return the manifest that lists them."""
        folder = Path(item.path)
        layers = described(folder, pieces(item.tree, shard=self._how.shard), self._memory)
        blobs: dict[Digest, tuple[Descriptor, Content]] = {
            layer.descriptor.digest: (layer.descriptor, content_of(folder, layer.piece)) for layer in layers
        }
        blobs[artifact.config.digest] = (artifact.config, Bytes(config))
        artifact = artifact._replace(layers=tuple(layer.descriptor for layer in layers))
        if not layers:
            blobs[EMPTY.digest] = (EMPTY, Bytes(b"{}"))
        if self._how.expected is not None:
            self._how.expected(sum(descriptor.size for descriptor, _ in blobs.values()))
        source = self._elsewhere.get(item.digest)
        largest_first = sorted(blobs.values(), key=lambda blob: -blob[0].size)
        tasks = [partial(self._send, *blob, source) for blob in largest_first]
        in_parallel(tasks, threads=self._how.threads, flow=self._flow)
        return artifact.to_bytes()

    def _send(self, descriptor: Descriptor, content: Content, source: str | None) -> None:
        if self._registry.has_blob(descriptor):
            return self._flow.moved(descriptor.size)
        upload = Upload(self._registry, descriptor, content, self._memory, self._flow.moved)
        upload.run(source)
        if upload.mounted:
            self._flow.moved(descriptor.size)
        with self._flow.lock:
            self.sent_bytes += upload.sent
            self.sent_blobs += not upload.mounted


def _kind(item: Model | Bento) -> ItemKind:
    return "model" if isinstance(item, Model) else "bento"


def _config(item: Model | Bento) -> bytes:
    """Return the manifest of an item as it travels: timeless, and with its digest, which BentoML 1.x does not write."""
    info: Manifest = item.info
    return replace(info, digest=item.digest, listing=item.tree.lines()).timeless().to_yaml().encode()


def _model_tag(model: Model) -> str:
    """Return the tag under which a model lies in the repository of a bento: it can be no version, and never moves."""
    return f"_{model.tag.name}-{model.digest.hex[:16]}"
