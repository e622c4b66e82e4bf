"""The sink that is the local Docker engine: it is sent only the layers that it lacks."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import takewhile
from typing import TYPE_CHECKING, Any, Literal

from ...exceptions import BentoMLException, InvalidArgument
from ...registry.reference import Reference
from ...registry.transport import is_loopback
from ...store.archives.watch import Unwatched, Watch, counted
from ...store.digest import Digest
from ..oci.archive import docker_archive
from ..oci.bases.engine import connected
from ..oci.model import Image, ImageIndex, Referrer
from .loopback import serving

if TYPE_CHECKING:
    from docker import DockerClient

__all__ = ["EngineSink", "held_layers"]

logger = logging.getLogger(__name__)

Way = Literal["thin", "pull", "full"]  # only the layers that it lacks; from a registry of ours; everything

_MOST_INSPECTED = 50
_CONTAINERD_STORE = "io.containerd.snapshotter.v1"


@dataclass(frozen=True, slots=True)
class EngineSink:
    """Load images into the engine that ``DOCKER_HOST`` in ``env`` names.

    ``ways`` are tried in turn; without them, those that suit the engine.
    """

    env: Mapping[str, str]
    watch: Watch = field(default_factory=Unwatched, compare=False)
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
        with connected(self.env) as client:
            found, lent = _id_in(client, image), ""
            if found is None:
                lent = self._bring(client, image, names)
            try:
                found = found or _id_in(client, image)
                if found is None:
                    raise BentoMLException(
                        f"the engine took the image, but does not know it as `{image.config_descriptor.digest}`"
                    )
                for reference in references:
                    client.api.tag(found, f"{reference.host}/{reference.repository}", reference.tag)
            finally:
                if lent:
                    client.api.remove_image(lent, noprune=True)
        return f"engine has {found}"

    def _bring(self, client: DockerClient, image: Image, names: Sequence[str]) -> str:
        """Let the engine have the image; return the name that it was lent on the way, if it was."""
        held = _held_by(client, image, names)
        for way in self.ways or _ways(client.info(), held=bool(held), is_near=_is_near(self.env)):
            if way == "pull":
                lent, problem = _pull(client, image, self.watch)
            else:
                lent, problem = "", _send(client, image, names, held if way == "thin" else (), self.watch)
            if problem is None:
                return lent
            logger.info("the engine did not take the image (%s: %s)", way, problem)
        raise BentoMLException(f"the engine refused the image: {problem}")


def _ways(info: Mapping[str, Any], *, held: bool, is_near: bool) -> tuple[Way, ...]:
    """Return how an engine is given an image: its containerd store knows blobs, other stores know chains of layers.

    The former takes no archive without all blobs, but pulls only those that it lacks; from loopback, where it is near.
    """
    pull: tuple[Way, ...] = ("pull",) if is_near else ()
    if any(_CONTAINERD_STORE in map(str, row) for row in info.get("DriverStatus") or []):
        return (*pull, "full")
    return ("thin", *pull, "full") if held else ("full",)


def _is_near(env: Mapping[str, str]) -> bool:
    """Say whether the engine may be on this machine, so that its loopback is ours."""
    scheme, _, host = env.get("DOCKER_HOST", "").rpartition("://")
    return scheme in ("", "unix", "npipe") or (scheme != "ssh" and is_loopback(host))


def held_layers(image: Image, other: Sequence[str]) -> frozenset[Digest]:
    """Return the lowest layers of ``image`` with which ``other`` (the diff_ids of an image) begins, too.

    An engine knows a layer by all that lie under it, so that only a common beginning counts.
    """
    mine = [layer.diff_id for layer in image.layers]
    pairs = zip(mine, other, strict=False)
    return frozenset(diff_id for diff_id, _ in takewhile(lambda pair: str(pair[0]) == pair[1], pairs))


def _id_in(client: DockerClient, image: Image) -> str | None:
    """Return the id under which the engine has the image: the digest of its configuration or of its manifest."""
    for descriptor in (image.config_descriptor, image.manifest_descriptor):
        if found := _inspected(client, str(descriptor.digest)):
            return str(found["Id"])
    return None


def _inspected(client: DockerClient, name: str) -> dict[str, Any]:
    """Return what the engine says of an image; nothing when it has none (any more)."""
    from docker.errors import ImageNotFound

    inspect: Callable[[str], dict[str, Any]] = client.api.inspect_image
    try:
        return inspect(name)
    except ImageNotFound:
        return {}


def _send(
    client: DockerClient, image: Image, names: Sequence[str], without: Collection[Digest], watch: Watch
) -> str | None:
    """Load an archive; return what the engine complains about."""
    from docker.errors import APIError

    archive = docker_archive(image, names, without=without)
    watch.expect(sum(entry.size for entry in archive.entries))
    load: Callable[[Iterator[bytes]], Iterator[dict[str, object]]] = client.api.load_image
    try:
        return _complaint(load(counted(archive.chunks(), watch)))
    except APIError as e:
        return str(e)


def _pull(client: DockerClient, image: Image, watch: Watch) -> tuple[str, str | None]:
    """Let the engine pull what it lacks from a registry of our own; return the name there, and what it complains about."""
    from docker.errors import APIError

    pull: Callable[..., Iterator[dict[str, object]]] = client.api.pull
    with serving(image, watch.add) as place:
        asked = {"tag": place.tag, "platform": str(image.platform), "auth_config": {}}
        try:
            problem = _complaint(pull(place.name, **asked, stream=True, decode=True))
        except APIError as e:
            problem = str(e)
    if place.problem is not None:
        raise place.problem
    return f"{place.name}:{place.tag}", problem


def _complaint(answers: Iterable[Mapping[str, object]]) -> str | None:
    return next((str(answer["error"]) for answer in answers if "error" in answer), None)


def _held_by(client: DockerClient, image: Image, names: Sequence[str]) -> frozenset[Digest]:
    repositories = {name.partition("@")[0].rpartition(":")[0] for name in names}

    def nearness(summary: Mapping[str, object]) -> tuple[bool, int]:
        tags = summary.get("RepoTags")
        same = any(
            str(tag).rpartition(":")[0] in repositories for tag in (tags if isinstance(tags, list) else [])
        )
        return not same, -int(str(summary.get("Created", 0)))

    held: frozenset[Digest] = frozenset()
    for summary in sorted(client.api.images(), key=nearness)[:_MOST_INSPECTED]:
        layers = _inspected(client, str(summary["Id"])).get("RootFS", {}).get("Layers")
        held = max(held, held_layers(image, layers or []), key=len)
        if len(held) >= len(image.layers) - 1:
            break
    return held
