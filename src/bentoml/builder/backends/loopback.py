"""A registry for one image and one engine: read-only, on a port of loopback, under a path that nobody can guess, and gone after the pull."""

from __future__ import annotations

import logging
import secrets
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from ...registry.documents import Descriptor, MediaType
from ..oci.layout import image_parts
from ..oci.model import Blob, Image

__all__ = ["Loopback", "serving"]

logger = logging.getLogger(__name__)

_TAG = "image"
_VERSION = {"Docker-Distribution-Api-Version": "registry/2.0"}
_TLS = b"\x16"  # what each attempt to speak TLS begins with
_NO_TLS = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


@dataclass
class Loopback:
    """Where an engine finds the image; ``problem`` is what went wrong while it was read, if something did."""

    port: int
    repository: str
    tag: str = _TAG
    problem: Exception | None = None

    @property
    def name(self) -> str:
        """The repository, as an engine names it."""
        return f"127.0.0.1:{self.port}/{self.repository}"


@contextmanager
def serving(image: Image, told: Callable[[int], None]) -> Iterator[Loopback]:
    """Serve an image while the block runs; ``told`` is called with the bytes of each piece of a layer that is sent."""
    parts = {str(what.digest): (what, blob) for what, blob in image_parts(image)}
    parts[_TAG] = parts[str(image.root.digest)]
    with ThreadingHTTPServer(("127.0.0.1", 0), _Handler) as server:
        server.daemon_threads = True
        place = Loopback(server.server_port, f"bentoml/{secrets.token_hex(16)}")
        server.RequestHandlerClass = _handler(place, parts, told)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        try:
            yield place
        finally:
            server.shutdown()
            thread.join()


def _handler(
    place: Loopback, parts: Mapping[str, tuple[Descriptor, Blob]], told: Callable[[int], None]
) -> type[_Handler]:
    return type("Handler", (_Handler,), {"place": place, "parts": parts, "told": staticmethod(told)})


class _Handler(BaseHTTPRequestHandler):
    """Answer what an engine asks to pull; everything else is not there."""

    place: Loopback
    parts: Mapping[str, tuple[Descriptor, Blob]]
    told: Callable[[int], None]
    protocol_version = "HTTP/1.1"
    timeout = 600

    def log_message(self, format: str, *args: object) -> None:
        logger.debug("engine: %s", format % args)

    def handle(self) -> None:
        """Answer; who tries TLS is told in HTTP that this is none: by that, containerd knows to go on in HTTP."""
        try:
            begin = self.connection.recv(1, socket.MSG_PEEK)
            if begin != _TLS:
                return super().handle()
            self.connection.recv(1 << 16)  # a connection closed with bytes unread may take the answer along
            self.wfile.write(_NO_TLS)
        except OSError as e:  # the engine went away
            logger.debug("engine: %s", e)

    def do_HEAD(self) -> None:
        """Answer without the content."""
        self.do_GET()

    def do_GET(self) -> None:
        """Answer with the content."""
        if self.path in ("/v2", "/v2/"):
            return self._head(200, "application/json", 0)
        root = f"/v2/{self.place.repository}/"
        kind, _, name = self.path.removeprefix(root).partition("/")
        found = self.parts.get(name)
        if not self.path.startswith(root) or found is None or kind not in ("manifests", "blobs"):
            return self._head(404, "application/json", 0)
        what, blob = found
        if (kind == "manifests") != (what.media_type == MediaType.MANIFEST):
            return self._head(404, "application/json", 0)
        self._head(200, what.media_type, what.size, {"Docker-Content-Digest": str(what.digest)})
        if self.command == "GET":
            self._send(blob)

    def _send(self, blob: Blob) -> None:
        try:
            for chunk in blob.chunks():
                self.wfile.write(chunk)
                self.told(len(chunk))
        except OSError:  # the engine went away
            self.close_connection = True
        except Exception as e:  # raised again by who asked the engine to pull
            self.place.problem = e
            self.close_connection = True

    def _head(
        self, status: int, media_type: str, size: int, headers: Mapping[str, str] | None = None
    ) -> None:
        self.send_response(status)
        for key, value in {**_VERSION, **(headers or {})}.items():
            self.send_header(key, value)
        self.send_header("Content-Type", media_type)
        self.send_header("Content-Length", str(size))
        self.end_headers()
