"""What images need of an engine: the calls of the Docker Engine API that load, find, name and export them.

https://docs.docker.com/reference/api/engine/
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from ...exceptions import BentoMLException
from .address import address_of
from .unix_socket import SocketWire
from .wire import Reply, Wire, unreachable

__all__ = ["EngineApi", "Refused", "reached"]

logger = logging.getLogger(__name__)

_MAX_DOCUMENT = 64 << 20


class Refused(BentoMLException):
    """The engine answered with an error, or complained while it worked."""


@contextmanager
def reached(env: Mapping[str, str]) -> Iterator[EngineApi]:
    """Give the engine that ``env`` means (`address_of`); it has answered by then.

    Raises:
        MissingDependencyException: it is elsewhere, and the docker SDK is not installed.
        BentoMLException: it does not answer.
    """
    address = address_of(env)
    host, path = address.host, address.socket
    if path is None:
        from .sdk import SdkWire, connected

        with connected(env) as client:
            yield EngineApi(SdkWire(client), host)
        return
    if not Path(path).is_socket():
        raise unreachable(host, "there is no such socket")
    wire = SocketWire(path)
    version = EngineApi(wire, host).version()
    yield EngineApi(wire._replace(root=f"/v{version}") if version else wire, host)


class EngineApi(NamedTuple):
    """One engine; ``host`` is its name in errors. Each call raises `Refused` where the engine does not do what is asked."""

    wire: Wire
    host: str

    def version(self) -> str:
        """Return the newest version of the API that the engine speaks; nothing where it does not tell."""
        with self._asked("GET", "/_ping") as reply:
            return reply.headers.get("api-version", "")

    def info(self) -> dict[str, Any]:
        """Return what the engine says of itself."""
        with self._asked("GET", "/info") as reply:
            return dict(_document(reply))

    def images(self) -> list[dict[str, Any]]:
        """Return a summary of each image that has a name, or that no other is built upon."""
        with self._asked("GET", "/images/json") as reply:
            return list(_document(reply))

    def image(self, name: str) -> dict[str, Any]:
        """Return what the engine knows of an image, by its name or id; nothing where it has none (any more)."""
        with self.wire.ask("GET", f"/images/{name}/json") as reply:
            if reply.status == 404:
                return {}
            return dict(_document(self._taken(reply)))

    def saved(self, name: str) -> Iterator[bytes]:
        """Yield an image as an archive of `docker save`."""
        with self._asked("GET", f"/images/{name}/get") as reply:
            yield from reply.chunks

    def load(self, archive: Iterable[bytes]) -> None:
        """Take an archive as `docker load` does."""
        with self._asked("POST", "/images/load", {"quiet": "1"}, archive) as reply:
            self._check(reply)

    def pull(self, repository: str, tag: str, *, platform: str) -> None:
        """Let the engine pull an image, with no credentials."""
        query = {"fromImage": repository, "tag": tag, "platform": platform}
        with self._asked("POST", "/images/create", query) as reply:
            self._check(reply)

    def tag(self, image: str, repository: str, tag: str) -> None:
        """Give an image a name."""
        with self._asked("POST", f"/images/{image}/tag", {"repo": repository, "tag": tag}):
            pass

    def remove(self, name: str) -> None:
        """Take a name away, and the image if it was its last one; what it is built upon stays."""
        with self._asked("DELETE", f"/images/{name}", {"noprune": "true"}):
            pass

    @contextmanager
    def _asked(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None = None,
        body: Iterable[bytes] | None = None,
    ) -> Iterator[Reply]:
        with self.wire.ask(method, path, query, body) as reply:
            yield self._taken(reply)

    def _taken(self, reply: Reply) -> Reply:
        """Return a reply that is no error."""
        if reply.status >= 300:
            raise self._refused(_message(reply))
        return reply

    def _check(self, reply: Reply) -> None:
        """Read what an engine tells while it works; the first error in it is ours."""
        for said in _told(reply.chunks):
            if "error" in said:
                raise self._refused(str(said["error"]))

    def _refused(self, said: str) -> Refused:
        return Refused(f"the container engine at `{self.host}` refused: {said}")


def _document(reply: Reply) -> Any:
    try:
        return json.loads(_read(reply))
    except ValueError as e:
        raise Refused(f"the container engine gave something else than a document: {e}") from e


def _read(reply: Reply) -> bytes:
    data = bytearray()
    for chunk in reply.chunks:
        data += chunk
        if len(data) > _MAX_DOCUMENT:
            raise Refused(f"the container engine sent more than {_MAX_DOCUMENT} bytes for a document")
    return bytes(data)


def _message(reply: Reply) -> str:
    """Return the reason in an error: JSON with a ``message``, or whatever else stands there."""
    text = _read(reply).decode(errors="replace").strip()
    try:
        said = json.loads(text)
    except ValueError:
        said = None
    found = said.get("message") if isinstance(said, dict) else None
    return str(found or text or f"status {reply.status}")


def _told(chunks: Iterable[bytes]) -> Iterator[Mapping[str, object]]:
    """Yield what an engine tells, an object in each line; what is none is talk for people."""
    waiting = b""
    for chunk in chunks:
        *whole, waiting = (waiting + chunk).split(b"\n")
        yield from _objects(whole)
    yield from _objects([waiting])


def _objects(lines: Sequence[bytes]) -> Iterator[Mapping[str, object]]:
    for line in filter(None, map(bytes.strip, lines)):
        try:
            value = json.loads(line)
        except ValueError:
            value = None
        if isinstance(value, dict):
            yield value
        else:
            logger.debug("engine: %s", line.decode(errors="replace"))
