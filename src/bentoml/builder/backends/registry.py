"""The sink that is a registry: it is sent only the blobs that it lacks, and a name comes last, when all of the image is there."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

from ...exceptions import BentoMLException, InvalidArgument, NotFound
from ...registry.client import Registry
from ...registry.documents import Descriptor, MediaType, json_of
from ...registry.memory import Memory
from ...registry.parallel import Flow, in_parallel
from ...registry.reference import DEFAULT_HOST, Reference
from ...registry.transport import Transport
from ...registry.upload import Upload
from ...store.archives.watch import Unwatched, Watch
from ...store.digest import Digest, canonical_json
from ..oci.bases.pull import origin_of
from ..oci.layout import image_parts
from ..oci.model import Blob, Image, ImageIndex, Layer, Referrer

__all__ = ["RegistrySink", "check_place"]

logger = logging.getLogger(__name__)

_THREADS = 4
_DOCUMENTS = (MediaType.MANIFEST, MediaType.INDEX)


def check_place(name: str) -> Reference:
    """Return the place in a registry that a name of an image means.

    Raises:
        InvalidArgument: it is none, or one that nobody but Docker may write to, which is never what was meant.
    """
    place = Reference.parse(name)
    if place.host == DEFAULT_HOST and place.repository.startswith("library/"):
        raise InvalidArgument(
            f"`{name}` does not say which registry to push to; name the image `-t HOST/REPOSITORY:TAG`, as in "
            f"`-t localhost:5000/{name}`, or `-t ACCOUNT/{name}` for Docker Hub"
        )
    return place


class RegistrySink(NamedTuple):
    """Push images to where their names lead, with the logins of `docker login`.

    ``memory`` knows which repository of a registry has a blob, from where it is mounted instead of being sent.
    """

    env: Mapping[str, str]
    memory: Memory
    watch: Watch = Unwatched()
    transport: Callable[[], Transport] = Transport

    def note_origins(self, layers: Iterable[Layer]) -> None:
        """Remember of layers that come from a registry in which repository they are."""
        for layer in layers:
            if (place := origin_of(layer)) is not None:
                self._note(place, [layer.descriptor.digest])

    def write(
        self, image: Image | ImageIndex, names: Sequence[str], referrers: Sequence[Referrer] = ()
    ) -> str:
        """Push the image under each of its names, with what is said about it, and return where it is.

        Raises:
            InvalidArgument: a name does not say which registry.
            ServiceUnavailable: the registry cannot be reached, or breaks off again and again.
            BentoMLException: the registry refuses the image.
        """
        places = _by_repository(map(check_place, names))
        with closing(self.transport()) as transport:
            pushes = [self._sent(image, referrers, place, transport) for place in places]
            for push, tags in zip(pushes, places.values(), strict=True):
                push.name(image, tags)
        said = ", ".join(f"{place.host}/{place.repository}" for place in places)
        return f"pushed to {said} as {image.root.digest}"

    def _sent(
        self, image: Image | ImageIndex, referrers: Sequence[Referrer], place: Reference, transport: Transport
    ) -> _Push:
        """Send an image to a repository, where it has no name yet; remember that its blobs are there."""
        digests = [layer.descriptor.digest for one in image.images for layer in one.layers]
        known = {digest: self.memory.recall(_key(place, digest)) for digest in digests}
        sources = {digest: name for digest, name in known.items() if name and name != place.repository}
        registry = Registry(place, env=self.env, transport=transport, reads=sorted({*sources.values()}))
        push = _Push(place, registry, self.memory, sources, self.watch)
        push.send(image, referrers)
        self._note(place, digests)
        return push

    def _note(self, place: Reference, digests: Iterable[Digest]) -> None:
        for digest in digests:
            if self.memory.recall(_key(place, digest)) != place.repository:
                self.memory.remember(_key(place, digest), place.repository)


def _by_repository(places: Iterable[Reference]) -> dict[Reference, list[str]]:
    """Return the tags of each repository."""
    found: dict[Reference, list[str]] = {}
    for place in places:
        found.setdefault(place._replace(tag=None), []).append(place.tag or "latest")
    return found


def _key(place: Reference, digest: Digest) -> list[object]:
    return ["blob", place.host, str(digest)]


@dataclass
class _Push:
    """One image on its way into one repository; ``sources`` are others of that registry, which have some of its blobs."""

    place: Reference
    registry: Registry
    memory: Memory
    sources: Mapping[Digest, str]
    watch: Watch

    def send(self, image: Image | ImageIndex, referrers: Sequence[Referrer]) -> None:
        """Send what is not there, so that nothing is missing but the name."""
        if not self._is_there(image.root.digest):
            self._send_parts(image_parts(image))
        for referrer in referrers:
            if not self._is_there(referrer.root.digest):
                self._send_parts(referrer.parts())
                self._list(referrer)

    def name(self, image: Image | ImageIndex, tags: Sequence[str]) -> None:
        """Let tags mean the image."""
        data = image.document if isinstance(image, ImageIndex) else image.manifest
        for tag in dict.fromkeys(tags):
            self.registry.put_manifest(tag, data, image.root.media_type)

    def _is_there(self, digest: Digest) -> bool:
        """Say whether the repository has a manifest, and so all that belongs to it."""
        try:
            return self.registry.manifest(digest)[0].digest == digest
        except NotFound:
            return False

    def _send_parts(self, parts: Iterable[tuple[Descriptor, Blob]]) -> None:
        """Send blobs, several at a time, and then the manifests of the images in an index."""
        found = list(parts)
        blobs = [(what, blob) for what, blob in found if what.media_type not in _DOCUMENTS]
        self.watch.expect(sum(what.size for what, _ in blobs))
        flow = Flow(self.watch.add)
        largest_first = sorted(blobs, key=lambda part: -part[0].size)
        in_parallel((partial(self._send, *part, flow) for part in largest_first), threads=_THREADS, flow=flow)
        for what, blob in found[:-1]:
            if what.media_type in _DOCUMENTS:
                self.registry.put_manifest(str(what.digest), b"".join(blob.chunks()), what.media_type)

    def _send(self, what: Descriptor, blob: Blob, flow: Flow) -> None:
        with suppress(NotFound):  # not shown to us, which does not yet mean that it is not taken from us
            if self.registry.has_blob(what):
                return flow.moved(what.size)
        upload = Upload(self.registry, what, _Content(blob, what), self.memory, flow.moved)
        upload.run(self.sources.get(what.digest))
        if upload.mounted:
            flow.moved(what.size)

    def _list(self, referrer: Referrer) -> None:
        """Store the manifest of a referrer; a registry that lists none itself is given a list (the referrers tag schema)."""
        what = referrer.root
        if self.registry.put_manifest(str(what.digest), referrer.manifest):
            return
        tag = str(referrer.subject.digest).replace(":", "-")
        if (listed := self._listed(tag)) is None:
            logger.warning(
                "`%s:%s` is no list of referrers; `%s` is there, but not on a list",
                self.place.repository, tag, what.digest,
            )  # fmt: skip
        elif all(entry.get("digest") != str(what.digest) for entry in listed):
            index = {"schemaVersion": 2, "mediaType": MediaType.INDEX, "manifests": [*listed, referrer.entry]}
            self.registry.put_manifest(tag, canonical_json(index), MediaType.INDEX)

    def _listed(self, tag: str) -> list[dict[str, object]] | None:
        """Return the list of referrers under a tag; nothing if something else is there."""
        try:
            found = json_of(self.registry.manifest(tag)[1])
        except NotFound:
            return []
        except ValueError:
            return None
        entries = found.get("manifests") if isinstance(found, dict) else None
        good = isinstance(entries, list) and all(isinstance(entry, dict) for entry in entries)
        return entries if good else None


@dataclass(frozen=True, slots=True)
class _Content:
    """A blob as an upload reads it: from any byte on, and exactly as long as its descriptor says."""

    blob: Blob
    what: Descriptor

    def chunks(self, start: int, size: int) -> Iterator[bytes]:
        skip, left = start, size
        for chunk in self.blob.chunks():
            part = chunk[skip : skip + left]
            skip = max(0, skip - len(chunk))
            left -= len(part)
            if part:
                yield part
        if left:
            raise BentoMLException(
                f"a layer is no longer `{self.what.digest}`: it has become shorter; run the command again"
            )
