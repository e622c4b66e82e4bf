"""Bases from a registry: documents at once, layers when their bytes are needed; all of it through the cache."""

from __future__ import annotations

import logging
import socket
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from functools import cache as once
from typing import TYPE_CHECKING, NamedTuple

from ....exceptions import BentoMLException, NotFound, ServiceUnavailable
from ....registry.documents import MAX_DOCUMENT, Descriptor, MediaType
from ....registry.reference import Reference
from ....store.archives.watch import Unwatched, Watch, counted
from ....store.digest import Digest
from ..cache import Cache
from ..model import Base, Blob, Layer, Platform
from .resolve import resolve

if TYPE_CHECKING:
    from ....registry.client import Registry

__all__ = ["check_reachable", "open_registry_image", "origin_of", "registry_digest"]

logger = logging.getLogger(__name__)

_BY_MANIFEST = (MediaType.INDEX, MediaType.MANIFEST, MediaType.DOCKER_INDEX, MediaType.DOCKER_MANIFEST)
_REACH_SECONDS = 2.0
_PROXIES = ("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy")
_OTHERWISE = "another base needs no registry: `--base-image debs:bookworm`, `oci:FOLDER` or `docker://NAME`"


def open_registry_image(
    reference: str,
    *,
    platform: Platform,
    cache: Cache,
    env: Mapping[str, str],
    offline: bool = False,
    watch: Watch | None = None,
) -> Base:
    """Return an image of a registry; with a digest that is in the cache, nobody is asked.

    ``watch`` is told of the bytes of its layers, when these are fetched.

    Raises:
        NotFound: the registry has no such image, or (offline) the cache has not.
        BentoMLException: the registry cannot be reached, or gives something else than was asked for.
    """
    place = _Place(Reference.parse(reference), cache, env, offline, watch or Unwatched())
    try:
        with ExitStack() as stack:
            source = _RegistrySource(
                place, once(lambda: stack.enter_context(_registry(place.reference, env)))
            )
            return resolve(source, source.root(), name=reference, platform=platform)
    except ServiceUnavailable as e:
        raise BentoMLException(f"base image `{reference}`: {e}; {_OTHERWISE}") from e


def origin_of(layer: Layer) -> Reference | None:
    """Return the image in a registry that a layer comes from, if it comes from one."""
    return layer.blob.place.reference if isinstance(layer.blob, _RegistryBlob) else None


def check_reachable(reference: str, env: Mapping[str, str]) -> None:
    """Refuse a registry that nobody answers for; this costs no HTTP library and no certificates. Behind a proxy nobody knows.

    Raises:
        InvalidArgument: the reference cannot be understood.
        ServiceUnavailable: the registry cannot be reached.
    """
    with _registry(Reference.parse(reference), env) as registry:
        host, port = registry.address
    if any(map(env.get, _PROXIES)):
        return
    try:
        socket.create_connection((host, port), timeout=_REACH_SECONDS).close()
    except OSError as e:
        raise ServiceUnavailable(f"`{host}:{port}` cannot be reached: {e.strerror or e}") from e


def registry_digest(
    reference: str, *, cache: Cache, env: Mapping[str, str], offline: bool = False, hasty: bool = False
) -> Digest:
    """Return the digest that a name has in its registry now (offline: had last); ``hasty`` asks once, and for seconds only.

    Raises:
        NotFound: the registry has no such image, or does not show it; offline: the cache does not know it.
        ServiceUnavailable: the registry cannot be reached.
    """
    place = _Place(Reference.parse(reference), cache, env, offline)
    with _registry(place.reference, env, hasty=hasty) as registry:
        return _RegistrySource(place, lambda: registry).root().digest


class _Place(NamedTuple):
    """What is needed to ask a registry: which repository, and who we are."""

    reference: Reference
    cache: Cache
    env: Mapping[str, str]
    offline: bool
    watch: Watch = Unwatched()

    def check_online(self, what: object) -> None:
        """Refuse to dial when we are offline."""
        if self.offline:
            raise NotFound(
                f"`{what}` of `{self.reference}` is not in the cache; run once without `--offline`"
            )


@contextmanager
def _registry(reference: Reference, env: Mapping[str, str], *, hasty: bool = False) -> Iterator[Registry]:
    """Give a registry, for some requests in a row; it is dialled with the first."""
    from ....registry.client import Registry
    from ....registry.transport import Transport

    with closing(Transport(hasty=hasty)) as transport:
        yield Registry(reference, env=env, transport=transport)


def _key(reference: Reference) -> Digest:
    return Digest.of_json({"reference": str(reference)})


class _RegistrySource(NamedTuple):
    """A repository behind the cache."""

    place: _Place
    registry: Callable[[], Registry]  # asked for once somebody has to be

    def root(self) -> Descriptor:
        """Return the descriptor of what the reference names, and remember it for when we are offline."""
        reference, cache = self.place.reference, self.place.cache
        record = cache.recall(_key(reference))
        if record is not None and (self.place.offline or reference.digest):
            return Descriptor(
                str(record["type"]), Digest.parse(str(record["digest"])), int(str(record["size"]))
            )
        self.place.check_online("the manifest")
        descriptor, data = self.registry().manifest(reference.digest or reference.tag or "latest")
        cache.put([data])
        found = {"type": descriptor.media_type, "digest": str(descriptor.digest), "size": descriptor.size}
        for name in (
            reference,
            reference._replace(digest=descriptor.digest),
        ):  # a bento names it with the digest
            cache.remember(_key(name), found)
        return descriptor

    def document(self, descriptor: Descriptor) -> bytes:
        """Return a manifest or configuration."""
        if descriptor.size > MAX_DOCUMENT:
            raise BentoMLException(
                f"`{self.place.reference}`: a document of {descriptor.size} bytes is too large"
            )
        if (blob := self.place.cache.find(descriptor.digest)) is not None:
            return b"".join(blob.chunks())
        self.place.check_online(descriptor.digest)
        if descriptor.media_type in _BY_MANIFEST:
            data = self.registry().manifest(descriptor.digest)[1]
        else:
            data = b"".join(self.registry().blob(descriptor))
        self.place.cache.put(
            [data], digest=descriptor.digest, size=descriptor.size, what=str(self.place.reference)
        )
        return data

    def blob(self, descriptor: Descriptor) -> Blob:
        """Return a layer, which is fetched when its bytes are needed."""
        return _RegistryBlob(self.place, descriptor)


class _RegistryBlob(NamedTuple):
    """A layer that goes to the cache with its first use, and comes from there."""

    place: _Place
    descriptor: Descriptor

    def chunks(self) -> Iterator[bytes]:
        """Yield the bytes.

        Raises:
            BentoMLException: the registry cannot be reached, or gives something else.
        """
        blob = self.place.cache.find(self.descriptor.digest) or self._fetched()
        return blob.chunks()

    def _fetched(self) -> Blob:
        digest, size, reference = self.descriptor.digest, self.descriptor.size, self.place.reference
        self.place.check_online(digest)
        logger.info("fetching %s of %s (%.1f MB)", digest, reference, size / 1e6)
        self.place.watch.expect(size)
        with _registry(reference, self.place.env) as registry:
            chunks = counted(registry.blob(self.descriptor), self.place.watch)
            self.place.cache.put(chunks, digest=digest, size=size, what=str(reference))
        blob = self.place.cache.find(digest)
        assert blob is not None  # it was put there just now
        return blob
