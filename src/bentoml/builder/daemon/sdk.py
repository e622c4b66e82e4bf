"""The docker SDK: a client of its own for what runs in containers, and a wire to engines that are elsewhere, by TLS or SSH, say."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from ...exceptions import BentoMLException, MissingDependencyException
from .address import address_of
from .wire import SECONDS, Reply, unreachable

if TYPE_CHECKING:
    from docker import DockerClient

__all__ = ["SdkWire", "connected"]

_PIECE = 1 << 16


@contextmanager
def connected(env: Mapping[str, str]) -> Iterator[DockerClient]:
    """Connect to the engine that ``env`` means (`address_of`).

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
    address = address_of(env)
    host = address.host
    if address.socket is not None and not Path(address.socket).is_socket():
        raise unreachable(host, "there is no such socket")
    try:
        client = docker.from_env(
            environment={**env, "DOCKER_HOST": host, **address.variables}, timeout=SECONDS
        )
    except (DockerException, RequestException) as e:
        raise unreachable(host, e) from e
    try:
        yield client
    except (DockerException, RequestException) as e:
        raise BentoMLException(f"the container engine at `{host}` refused: {e}") from e
    finally:
        client.close()


@dataclass(frozen=True, slots=True)
class SdkWire:
    """Speak to an engine over the connections of a client of the SDK."""

    client: DockerClient

    @contextmanager
    def ask(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None = None,
        body: Iterable[bytes] | None = None,
    ) -> Iterator[Reply]:
        """Open the reply to a request; see `Wire`."""
        from docker.utils.config import load_general_config

        api = self.client.api
        headers = {**load_general_config().get("HttpHeaders", {}), "User-Agent": "bentoml"}
        if body is not None:
            headers["Content-Type"] = "application/x-tar"
        address = f"{api.base_url}/v{api.api_version}{quote(path, safe='/:@')}"
        with api.request(
            method, address, params=query, data=body, headers=headers, stream=True, timeout=SECONDS
        ) as response:
            names = {name.lower(): value for name, value in response.headers.items()}
            yield Reply(response.status_code, names, response.iter_content(_PIECE))
