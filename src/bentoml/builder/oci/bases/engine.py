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

__all__ = ["connected", "open_engine_image"]

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


def open_engine_image(name: str, *, platform: Platform, cache: Cache, env: Mapping[str, str]) -> Base:
    """Return an image that the engine has; it is exported once, and then known by its id.

    Raises:
        NotFound: the engine has no such image, or one for another platform.
        BentoMLException: the engine cannot be reached.
    """
    from docker.errors import ImageNotFound

    with connected(env) as client:
        try:
            image = client.images.get(name)
        except ImageNotFound as e:
            raise NotFound(f"the engine has no image `{name}`; `docker images` shows what it has") from e
        key = Digest.of_json({"engine-image": str(image.id)})
        if (base := _recalled(cache, key, f"docker://{name}", platform)) is not None:
            return base
        with cache.scratch() as scratch:
            file = scratch / "image.tar"
            with file.open("wb") as target:
                for chunk in client.api.get_image(str(image.id)):
                    target.write(chunk)
            base, config = open_docker_archive(
                file, None, name=f"docker://{name}", platform=platform, cache=cache
            )
    cache.remember(key, {"config": config.decode()})
    return base


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
