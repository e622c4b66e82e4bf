"""The sink that is the local Docker engine: it is sent only the layers that it lacks."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import TYPE_CHECKING, Any

from ...exceptions import BentoMLException, InvalidArgument
from ...registry.reference import Reference
from ...store.digest import Digest
from ..oci.archive import docker_archive
from ..oci.bases.engine import connected
from ..oci.model import Image, ImageIndex

if TYPE_CHECKING:
    from docker import DockerClient

__all__ = ["EngineSink", "held_layers"]

logger = logging.getLogger(__name__)

_MOST_INSPECTED = 50
_CONTAINERD_STORE = "io.containerd.snapshotter.v1"


@dataclass(frozen=True, slots=True)
class EngineSink:
    """Load images into the engine that ``DOCKER_HOST`` in ``env`` names."""

    env: Mapping[str, str]

    def write(self, image: Image | ImageIndex, names: Sequence[str]) -> str:
        """Load the image under its names and return its id.

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
            found = _id_in(client, image)
            if found is None:
                _load(client, image, names)
                found = _id_in(client, image)
            if found is None:
                raise BentoMLException(
                    f"the engine took the image, but does not know it as `{image.config_descriptor.digest}`"
                )
            for reference in references:
                client.api.tag(found, f"{reference.host}/{reference.repository}", reference.tag)
        return f"engine has {found}"


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


def _load(client: DockerClient, image: Image, names: Sequence[str]) -> None:
    """Send the layers that the engine lacks; all of them when it does not accept that."""
    held = _held_by(client, image, names)
    if held and _is_accepted(client, image, names, held):
        return
    if (problem := _send(client, image, names, frozenset())) is not None:
        raise BentoMLException(f"the engine refused the image: {problem}")


def _is_accepted(client: DockerClient, image: Image, names: Sequence[str], held: Collection[Digest]) -> bool:
    problem = _send(client, image, names, held)
    if problem is not None:
        logger.info(
            "the engine did not accept the image without the layers it has (%s); sending all", problem
        )
    return problem is None


def _send(
    client: DockerClient, image: Image, names: Sequence[str], without: Collection[Digest]
) -> str | None:
    """Load an archive; return what the engine complains about."""
    from docker.errors import APIError

    archive = docker_archive(image, names, without=without)
    load: Callable[[Iterator[bytes]], Iterator[dict[str, object]]] = client.api.load_image
    try:
        return next((str(answer["error"]) for answer in load(archive.chunks()) if "error" in answer), None)
    except APIError as e:
        return str(e)


def _held_by(client: DockerClient, image: Image, names: Sequence[str]) -> frozenset[Digest]:
    if any(_CONTAINERD_STORE in map(str, row) for row in client.info().get("DriverStatus") or []):
        return frozenset()  # its import needs every blob
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
