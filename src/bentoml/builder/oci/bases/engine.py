"""The local container engine: how to reach it, and its images as bases."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from ....exceptions import BentoMLException, MissingDependencyException, NotFound
from ....registry.documents import parsed_document
from ....store.digest import Digest
from ..archive import open_docker_archive
from ..cache import Cache, recalled_layer
from ..codec import gzip_codec
from ..model import Base, Platform
from .resolve import check_platform, diff_ids_of

if TYPE_CHECKING:
    from docker import DockerClient
    from docker.models.images import Image

__all__ = ["connected", "engine_digest", "open_engine_image"]

_DEFAULT = "unix:///var/run/docker.sock"
_TIMEOUT = 600


@contextmanager
def connected(env: Mapping[str, str]) -> Iterator[DockerClient]:
    """Connect to the engine that ``DOCKER_HOST`` names, by default the one of this machine.

    Raises:
        MissingDependencyException: the docker SDK is not installed.
        BentoMLException: the engine does not answer, or refuses what is asked of it.
    """
    try:
        import docker
        from docker.errors import DockerException
        from requests.exceptions import RequestException
    except ImportError as e:
        raise MissingDependencyException(
            "the Docker engine is reached with the `docker` package; install `bentoml[docker]`, "
            "or write the image to a folder with `--output type=oci,dest=FOLDER`"
        ) from e
    where = env.get("DOCKER_HOST") or _DEFAULT
    if where.startswith("unix://") and not Path(where.removeprefix("unix://")).is_socket():
        raise _unreachable(where, "there is no such socket")
    try:
        client = docker.from_env(environment=dict(env), timeout=_TIMEOUT)
    except (DockerException, RequestException) as e:
        raise _unreachable(where, e) from e
    try:
        yield client
    except (DockerException, RequestException) as e:
        raise BentoMLException(f"the container engine at `{where}` refused: {e}") from e
    finally:
        client.close()


def _unreachable(where: str, reason: object) -> BentoMLException:
    return BentoMLException(
        f"the container engine at `{where}` cannot be reached: {reason}; start it, set `DOCKER_HOST`, "
        "or write the image to a folder with `--output type=oci,dest=FOLDER`"
    )


def engine_digest(name: str, *, env: Mapping[str, str], offline: bool = False) -> Digest:
    """Return the id that the engine has for an image.

    Raises:
        NotFound: the engine has no such image; offline: it is not on this machine.
        BentoMLException: the engine cannot be reached.
    """
    _check_near(name, env, offline)
    with connected(env) as client:
        return Digest.parse(str(_found(client, name, name).id))


def open_engine_image(
    name: str, *, platform: Platform, cache: Cache, env: Mapping[str, str], offline: bool = False
) -> Base:
    """Return an image that the engine has, ``NAME`` or ``NAME@ID``; it is exported once, and then known by its id.

    Raises:
        NotFound: the engine has no such image, or one for another platform; offline: it is not on this machine.
        BentoMLException: the engine cannot be reached.
    """
    plain, _, pin = name.partition("@")
    source = f"docker://{plain}"
    if pin and (base := _recalled(cache, _key(pin), source, platform)) is not None:
        return base
    _check_near(name, env, offline)
    with connected(env) as client:
        image = _found(client, pin or plain, name)
        key = _key(str(image.id))
        if (base := _recalled(cache, key, source, platform)) is not None:
            return base
        with cache.scratch() as scratch:
            file = scratch / "image.tar"
            with file.open("wb") as target:
                for chunk in client.api.get_image(str(image.id)):
                    target.write(chunk)
            base, config = open_docker_archive(file, None, name=source, platform=platform, cache=cache)
    cache.remember(key, {"config": config.decode()})
    return base


def _key(image_id: str) -> Digest:
    return Digest.of_json({"engine-image": image_id})


def _check_near(name: str, env: Mapping[str, str], offline: bool) -> None:
    """Refuse to dial an engine on another machine when we are offline."""
    where = env.get("DOCKER_HOST") or _DEFAULT
    if offline and not where.startswith("unix://"):
        raise NotFound(
            f"`docker://{name}` is in the engine at `{where}`, which `--offline` does not dial; run without it"
        )


def _found(client: DockerClient, asked: str, name: str) -> Image:
    from docker.errors import ImageNotFound

    try:
        return client.images.get(asked)
    except ImageNotFound as e:
        text = f"the engine has no image `{name}`; `docker images` shows what it has"
        if "@" in name:
            text += f", and `--base-image docker://{name.partition('@')[0]}` takes what has that name now"
        raise NotFound(text) from e


def _recalled(cache: Cache, key: Digest, name: str, platform: Platform) -> Base | None:
    record = cache.recall(key)
    if record is None:
        return None
    config = parsed_document(str(record["config"]).encode(), name)
    check_platform(config, name, platform)
    layers = []
    for diff_id in diff_ids_of(config, name):
        layer = recalled_layer(cache, {"diff_id": str(diff_id)}, gzip_codec(), "base")
        if layer is None:
            return None
        layers.append(layer)
    return Base(name, None, config, tuple(layers), platform)
