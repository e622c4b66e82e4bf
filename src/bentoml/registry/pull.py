"""Pull: an item of a repository into the store: each blob checked while it is written, nothing kept that is not whole."""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import NamedTuple

from ..config import Home
from ..exceptions import BentoMLException, InvalidArgument, NotFound
from ..store.bentos import Bento, BentoStore
from ..store.blobs import Blobs
from ..store.digest import Digest
from ..store.manifest import BentoInfo, Manifest, ModelInfo
from ..store.models import Model, ModelStore
from ..store.receive import Received, check_length, receive, staged
from ..store.trust import Trust
from ..tag import Tag
from .artifact import Artifact, ItemKind, Layer
from .client import Registry
from .documents import Descriptor, checked_document
from .draft import Draft
from .parallel import Flow, in_parallel
from .partials import Partials
from .reference import Reference
from .transport import Transport

__all__ = ["Pulled", "Pulling", "pull"]

THREADS = 10
_LARGEST_MANIFEST = 64 << 20
_TAGS = 1000
_NAMED = 10
_COMMAND = {"model": "`bentoml models pull`", "bento": "`bentoml pull`"}


class Pulled(NamedTuple):
    """The item in the store, what came in with it, and the bytes that were fetched for it."""

    item: Model | Bento
    received: tuple[Received[Model] | Received[Bento], ...]
    fetched_bytes: int

    @property
    def is_new(self) -> bool:
        """Whether anything was not there before."""
        return any(each.is_new for each in self.received)


class Pulling(NamedTuple):
    """How to pull: with whose credentials, how much at a time; ``told`` and ``expected`` are as in `Pushing`."""

    home: Home
    env: Mapping[str, str]
    threads: int = THREADS
    force: bool = False
    trust: bool = False
    with_models: bool = True
    told: Callable[[int], None] | None = None
    expected: Callable[[int], None] | None = None
    transport: Callable[[], Transport] = Transport


class _Wanted(NamedTuple):
    """An item that is not in the store: its artifact, its manifest as it is and as it reads."""

    artifact: Artifact
    config: bytes
    info: ModelInfo | BentoInfo
    layers: tuple[Layer, ...]


def pull(kind: ItemKind, place: Reference, how: Pulling) -> Pulled:
    """Pull a model, or a bento with its models: all of them enter the store together, or none.

    Raises:
        NotFound: the registry has none there.
        ServiceUnavailable: the registry cannot be reached.
        BentoMLException: what is there is no such item or damaged, or the store has another one under its tag and
            ``how.force`` is not set.
    """
    if how.threads < 1:
        raise InvalidArgument(f"`{how.threads}` threads cannot pull anything; give 1 or more")
    with closing(how.transport()) as transport:
        registry = Registry(place, env=how.env, transport=transport)
        return _Puller(registry, place, how).pull(kind)


class _Puller:
    """Pull what is missing of one repository."""

    def __init__(self, registry: Registry, place: Reference, how: Pulling) -> None:
        self._registry = registry
        self._place = place
        self._how = how
        self._flow = Flow(how.told)
        self._partials = Partials(how.home.downloads)
        self._fetched = 0

    def pull(self, kind: ItemKind) -> Pulled:
        """Pull the item that the place names; it comes last, so that it is never there without its models."""
        root = self._read(self._place.digest or self._place.tag or "latest", kind)
        wanted = [*(self._models(root) if self._how.with_models else ()), root]
        missing = [each for each in wanted if self._stored(each.info) is None]
        received = self._received(missing) if missing else ()
        if self._how.trust:
            self._trust(root.info)
        item = self._stored(root.info)
        assert item is not None  # it was there, or has just come in
        return Pulled(item, received, self._fetched)

    def _trust(self, info: ModelInfo | BentoInfo) -> None:
        """Trust also what came in before, without being trusted."""
        digests = [ref.digest for ref in info.all_models] if isinstance(info, BentoInfo) else [info.digest]
        for digest in digests:
            if digest is not None:
                Trust(self._how.home).trust(digest)

    def _read(self, name: str | Digest, kind: ItemKind) -> _Wanted:
        """Read the artifact and the manifest of an item, and make sure that they fit one another."""
        artifact = Artifact.parse(self._manifest(name), str(self._place))
        if artifact.kind != kind:
            raise BentoMLException(
                f"`{self._place}` is the {artifact.kind} `{artifact.tag}`; {_COMMAND[artifact.kind]} gets it"
            )
        config = self._document(artifact.config)
        try:
            check_length(config.decode())
            info = (ModelInfo if kind == "model" else BentoInfo).from_yaml(config.decode())
            info.check_written()
            if info.digest is None or info.identity(info.files) != info.digest:
                raise BentoMLException("what it describes has not its digest")
        except (BentoMLException, ValueError, RecursionError) as e:
            raise BentoMLException(f"`{self._place}`: its `{kind}.yaml` is damaged: {e}") from e
        return _Wanted(artifact, config, info, artifact.layers_of(info.files, str(self._place)))

    def _manifest(self, name: str | Digest) -> bytes:
        try:
            return self._registry.manifest(name)[1]
        except NotFound as e:
            raise NotFound(f"{e}{self._there()}") from e

    def _there(self) -> str:
        """Say which tags the repository has, as far as it tells."""
        try:
            tags = [tag for tag in self._registry.tags(_TAGS) if not tag.startswith("_")]
        except BentoMLException:
            return ""
        return f"; it has {', '.join(f'`{tag}`' for tag in tags[:_NAMED])}" if tags else ""

    def _document(self, descriptor: Descriptor) -> bytes:
        if descriptor.size > _LARGEST_MANIFEST:
            raise BentoMLException(f"`{self._place}`: a manifest of {descriptor.size} bytes is too large")
        return checked_document(b"".join(self._registry.blob(descriptor)), descriptor, str(self._place))

    def _models(self, root: _Wanted) -> Iterator[_Wanted]:
        """Yield the models of a bento that are not in the store as the bento knows them."""
        refs = root.info.all_models if isinstance(root.info, BentoInfo) else ()
        listed = {model.tag: model.manifest for model in root.artifact.models}
        models = ModelStore(self._how.home)
        for tag, ref in {ref.tag: ref for ref in refs}.items():
            there = _digest_of(models, tag)
            if there is not None and ref.digest in (None, there):
                continue
            if tag not in listed:
                raise NotFound(
                    f"bento `{root.info.tag}` needs model `{tag}`, which is not listed in `{self._place}`; pull it from "
                    "elsewhere, or give `--without-models`"
                )
            model = self._read(listed[tag].digest, "model")
            if model.info.tag != tag or ref.digest not in (None, model.info.digest):
                raise BentoMLException(
                    f"`{self._place}` needs model `{tag}` ({ref.digest}), and the repository has `{model.info.tag}` "
                    f"({model.info.digest}) for it"
                )
            yield model

    def _stored(self, info: ModelInfo | BentoInfo) -> Model | Bento | None:
        """Return the item of the store that is the same and whole.

        Raises:
            BentoMLException: there is another one under its tag, and no leave to replace it.
        """
        store = self._store(info)
        found = _digest_of(store, info.tag)
        if found == info.digest:
            return store.get(info.tag)
        if found is not None and not self._how.force:
            raise BentoMLException(
                f"{info.KIND} `{info.tag}` is in the store with other content: there it is {found}, in the registry "
                f"{info.digest}; give `--force` to replace it"
            )
        return None

    def _store(self, info: Manifest) -> ModelStore | BentoStore:
        return (ModelStore if isinstance(info, ModelInfo) else BentoStore)(self._how.home)

    def _received(self, missing: Sequence[_Wanted]) -> tuple[Received[Model] | Received[Bento], ...]:
        blobs = Blobs(self._how.home.blobs)
        with staged(self._how.home) as folder:
            drafts: list[Draft] = []
            for number, each in enumerate(missing):
                place = folder / str(number)
                place.mkdir()
                drafts.append(Draft(place, each.info, each.layers, blobs))
            self._fill(drafts)
            for draft, each in zip(drafts, missing, strict=True):
                draft.finish(each.config)
            self._partials.drop(layer.descriptor for draft in drafts for layer in draft.wanted)
            known = {draft.folder: draft.checked for draft in drafts}
            how, origin = self._how, str(self._place)
            try:
                received = receive(
                    [*known], home=how.home, origin=origin, trust=how.trust, known=known, replaces=how.force
                )
                return tuple(received)
            except InvalidArgument as e:  # of the registry's making, not of the caller's
                raise BentoMLException(f"`{origin}`: {e}") from e

    def _fill(self, drafts: Sequence[Draft]) -> None:
        """Fetch all that is wanted, the largest first, so that no large one is left to the end."""
        wanted = [(draft, number) for draft in drafts for number in range(len(draft.wanted))]
        wanted.sort(key=lambda place: -place[0].wanted[place[1]].descriptor.size)
        if self._how.expected is not None:
            self._how.expected(sum(draft.wanted[number].descriptor.size for draft, number in wanted))
        tasks = [partial(draft.place, number, self._fetch) for draft, number in wanted]
        try:
            in_parallel(tasks, threads=self._how.threads, flow=self._flow)
        except OSError as e:
            if e.errno in (errno.ENOSPC, errno.EDQUOT):  # what has arrived is what fills the disk
                self._partials.drop(draft.wanted[number].descriptor for draft, number in wanted)
            raise

    def _fetch(self, descriptor: Descriptor, target: Path) -> None:
        fetched = self._partials.fetch(self._registry, descriptor, target, self._flow.moved)
        with self._flow.lock:
            self._fetched += fetched


def _digest_of(store: ModelStore | BentoStore, tag: Tag) -> Digest | None:
    """Return the digest of an item that is there and whole."""
    try:
        return store.get(tag).digest
    except BentoMLException:
        return None
