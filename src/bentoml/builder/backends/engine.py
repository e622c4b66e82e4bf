"""The sink that is the local Docker engine: it is sent only the layers that it lacks."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import chain, takewhile
from typing import Any, Literal, NamedTuple

from ...exceptions import BentoMLException, InvalidArgument
from ...registry.reference import Reference
from ...store.archives.watch import Unwatched, Watch, counted
from ...store.digest import Digest
from ..daemon.api import EngineApi, Refused, reached
from ..oci.archive import docker_archive, has_zstd, short_name, without_zstd
from ..oci.model import Image, ImageIndex, Referrer

__all__ = ["EngineSink", "held_layers"]

logger = logging.getLogger(__name__)

Way = Literal["thin", "pull", "full"]  # only the layers that it lacks; from a registry of ours; everything

_MOST_INSPECTED = 50
_CONTAINERD_STORE = "io.containerd.snapshotter.v1"


class EngineSink(NamedTuple):
    """Load images into the engine that ``DOCKER_HOST`` in ``env`` names.

    ``ways`` are tried in turn; without them, those that suit the engine.
    """

    env: Mapping[str, str]
    watch: Watch = Unwatched()
    ways: tuple[Way, ...] = ()

    def write(
        self, image: Image | ImageIndex, names: Sequence[str], referrers: Sequence[Referrer] = ()
    ) -> str:
        """Load the image under its names and return its id; an engine has no place for ``referrers``.

        Raises:
            InvalidArgument: the image is for several platforms, of which an engine runs one.
            BentoMLException: the engine cannot be reached, refuses the image, or made another one of it.
        """
        if isinstance(image, ImageIndex):
            raise InvalidArgument(
                "the engine takes the image of one platform; name it with `--platform`, or write all of them with "
                "`--output type=oci,dest=FOLDER`"
            )
        references = [Reference.parse(name) for name in names]
        with reached(self.env) as engine:
            found, lent = _found_in(engine, image), ""
            if not found:
                lent = self._bring(engine, image, names)
            try:
                found = found or _found_in(engine, image)
                if not found:
                    raise BentoMLException(
                        f"the engine took the image, but does not know it as `{image.config_descriptor.digest}`"
                    )
                for name, reference in zip(names, references, strict=True):
                    if short_name(name) not in (found.get("RepoTags") or ()):  # an archive brings its names
                        engine.tag(
                            found["Id"], f"{reference.host}/{reference.repository}", reference.tag or ""
                        )
            finally:
                if lent:
                    engine.remove(lent)
        return f"engine has {found['Id']}"

    def _bring(self, engine: EngineApi, image: Image, names: Sequence[str]) -> str:
        """Let the engine have the image; return the name that it was lent on the way, if it was."""
        held = _held_by(engine, image, names)
        problem: Refused | None = None
        for way in self.ways or _ways(engine, held):
            try:
                if way == "pull":
                    return _pull(engine, image, self.watch)
                known: Collection[Digest] = held.layers if way == "thin" else ()
                _send(engine, _readable(engine, image, known), names, known, self.watch)
                return ""
            except Refused as e:
                logger.info("the engine did not take the image (%s): %s", way, e)
                problem = e
        assert problem is not None  # there is at least one way
        raise problem


class _Held(NamedTuple):
    """The lowest layers of an image that an engine has in another one; ``has_chains`` is known where that one tells it."""

    layers: frozenset[Digest] = frozenset()
    has_chains: bool = False


def _ways(engine: EngineApi, held: _Held) -> tuple[Way, ...]:
    """Return how an engine is given an image: its containerd store knows blobs, other stores know chains of layers.

    The former takes no archive without all blobs, but pulls only those that it lacks; from loopback, where it is near.
    """
    pull: tuple[Way, ...] = ("pull",) if _is_near(engine.host) else ()
    if not held.has_chains and _has_blobs(engine.info()):
        return (*pull, "full")
    return ("thin", *pull, "full") if held.layers else ("full",)


def _readable(engine: EngineApi, image: Image, known: Collection[Digest]) -> Image:
    """Return an image whose layers, but for the known ones, the engine reads; one that keeps blobs as they are reads zstd."""
    if not has_zstd(image) or _has_blobs(engine.info()):
        return image
    return without_zstd(image, known)


def _has_blobs(info: Mapping[str, Any]) -> bool:
    return any(_CONTAINERD_STORE in map(str, row) for row in info.get("DriverStatus") or [])


def _is_near(host: str) -> bool:
    """Say whether the engine may be on this machine, so that its loopback is ours."""
    scheme, _, place = host.rpartition("://")
    if scheme in ("unix", "npipe"):
        return True
    from ...registry.transport import is_loopback

    return scheme != "ssh" and is_loopback(place)


def held_layers(image: Image, other: Sequence[str]) -> frozenset[Digest]:
    """Return the lowest layers of ``image`` with which ``other`` (the diff_ids of an image) begins, too.

    An engine knows a layer by all that lie under it, so that only a common beginning counts.
    """
    mine = [layer.diff_id for layer in image.layers]
    pairs = zip(mine, other, strict=False)
    return frozenset(diff_id for diff_id, _ in takewhile(lambda pair: str(pair[0]) == pair[1], pairs))


def _found_in(engine: EngineApi, image: Image) -> dict[str, Any]:
    """Return what the engine knows of the image; it has it by the digest of its configuration or of its manifest."""
    for descriptor in (image.config_descriptor, image.manifest_descriptor):
        if found := engine.image(str(descriptor.digest)):
            return found
    return {}


def _send(
    engine: EngineApi, image: Image, names: Sequence[str], without: Collection[Digest], watch: Watch
) -> None:
    """Load an archive."""
    archive = docker_archive(image, names, without=without)
    watch.expect(sum(entry.size for entry in archive.entries))
    engine.load(counted(archive.chunks(), watch))


def _pull(engine: EngineApi, image: Image, watch: Watch) -> str:
    """Let the engine pull what it lacks from a registry of our own; return the name there."""
    from .loopback import serving

    with serving(image, watch.add) as place:
        try:
            engine.pull(place.name, place.tag, platform=str(image.platform))
        finally:
            if place.problem is not None:
                raise place.problem
    return f"{place.name}:{place.tag}"


def _held_by(engine: EngineApi, image: Image, names: Sequence[str]) -> _Held:
    """Return what the engine has of an image; the last one of the same name most likely has all but its end."""
    best = _Held()
    for name in chain(names, _ids(engine, names)):
        found = engine.image(name)
        layers = held_layers(image, found.get("RootFS", {}).get("Layers") or [])
        has_chains = best.has_chains or _is_chain(found)
        best = _Held(max(best.layers, layers, key=len), has_chains)
        if len(best.layers) >= len(image.layers) - 1:
            break
    return best


def _is_chain(found: Mapping[str, Any]) -> bool:
    """Say whether an image lies in a store of chains: that tells where each lies, and has no blob to describe."""
    return bool((found.get("GraphDriver") or {}).get("Data")) and "Descriptor" not in found


def _ids(engine: EngineApi, names: Sequence[str]) -> Iterable[str]:
    """Yield the ids of images, those of the same repository first; the engine is asked when the first one is."""
    repositories = {name.partition("@")[0].rpartition(":")[0] for name in names}

    def nearness(summary: Mapping[str, object]) -> tuple[bool, int]:
        tags = summary.get("RepoTags")
        same = any(
            str(tag).rpartition(":")[0] in repositories for tag in (tags if isinstance(tags, list) else [])
        )
        return not same, -int(str(summary.get("Created", 0)))

    for summary in sorted(engine.images(), key=nearness)[:_MOST_INSPECTED]:
        yield str(summary["Id"])
