"""A registry in this process: the pull side of the distribution protocol, with the faults that a test asks for."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

from bentoml.builder.oci.layout import image_parts
from bentoml.builder.oci.model import Image
from bentoml.registry.documents import MediaType
from bentoml.store.digest import Digest, canonical_json

TOKEN = "a-token"


@dataclass
class FakeRegistry:
    """What the registry has, what it does wrong, and what it was asked."""

    host: str = ""
    blobs: dict[str, bytes] = field(default_factory=dict)
    manifests: dict[str, tuple[str, bytes]] = field(default_factory=dict)
    realm: str | None = None  # of the bearer token it wants; "self" is this server
    basic: str | None = None  # the `Authorization` that it, or its token service, wants
    blobs_at: str | None = None  # where it redirects for blobs
    cut_after: list[int] = field(
        default_factory=list
    )  # answers to break after so many bytes, one for each request
    ranges: bool = True
    statuses: list[int] = field(default_factory=list)  # answers to give before behaving
    retry_after: str | None = None  # what those answers say
    seen: list[tuple[str, str, dict[str, str]]] = field(default_factory=list)

    def add(self, repository: str, tag: str, image: Image) -> Digest:
        """Store an image and return the digest of its manifest."""
        for descriptor, blob in image_parts(image):
            self.blobs[str(descriptor.digest)] = b"".join(blob.chunks())
        return self.add_document(repository, tag, MediaType.MANIFEST, image.manifest)

    def add_index(self, repository: str, tag: str, *images: Image) -> Digest:
        """Store an index of images of several platforms."""
        entries = []
        for image in images:
            self.add(repository, "", image)
            described = {"os": image.platform.os, "architecture": image.platform.architecture}
            entries.append(image.manifest_descriptor.to_json() | {"platform": described})
        index = canonical_json({"schemaVersion": 2, "mediaType": MediaType.INDEX, "manifests": entries})
        return self.add_document(repository, tag, MediaType.INDEX, index)

    def add_document(self, repository: str, tag: str, media_type: str, data: bytes) -> Digest:
        """Store any document as a manifest."""
        for name in (tag, str(Digest.of(data))):
            self.manifests[f"{repository}/{name}"] = (media_type, data)
        return Digest.of(data)

    def paths(self) -> list[str]:
        """Return what was asked, in order, without the repository."""
        return [path for _, path, _ in self.seen]


@contextmanager
def running(registry: FakeRegistry) -> Iterator[FakeRegistry]:
    """Serve on a port of loopback while the block runs."""

    class Handler(_Handler):
        fake = registry

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        registry.host = f"127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield registry
        finally:
            server.shutdown()
            thread.join()


class _Handler(BaseHTTPRequestHandler):
    fake: FakeRegistry
    protocol_version = "HTTP/1.1"
    wbufsize = 1 << 20  # one packet for head and body: no waiting for acknowledgements

    def log_message(self, format: str, *args: object) -> None:
        pass

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        self.fake.seen.append(("POST", f"{self.path}?{body}", dict(self.headers)))
        granted = parse_qs(body).get("refresh_token") == [self.fake.basic]
        self._answer(200 if granted else 401, json.dumps({"access_token": TOKEN}).encode())

    def do_GET(self) -> None:
        fake, path = self.fake, urlsplit(self.path).path
        fake.seen.append(("GET", self.path, dict(self.headers)))
        authorization = self.headers.get("Authorization")
        if fake.statuses:
            later = {"Retry-After": fake.retry_after} if fake.retry_after else {}
            return self._answer(fake.statuses.pop(0), headers=later)
        if path == "/token":
            granted = fake.basic in (None, authorization)
            return self._answer(200 if granted else 401, json.dumps({"token": TOKEN}).encode())
        if fake.realm is not None and authorization != f"Bearer {TOKEN}":
            realm = f"http://{fake.host}/token" if fake.realm == "self" else fake.realm
            wanted = f'Bearer realm="{realm}",service="fake",scope="repository:x:pull,push"'
            return self._answer(401, headers={"WWW-Authenticate": wanted})
        if fake.realm is None and fake.basic not in (None, authorization):
            return self._answer(401, headers={"WWW-Authenticate": 'Basic realm="fake"'})
        repository, _, rest = path.removeprefix("/v2/").partition("/manifests/")
        if rest:
            return self._manifest(f"{repository}/{rest}")
        return self._blob(path.rpartition("/")[2])

    def _manifest(self, name: str) -> None:
        if name not in self.fake.manifests:
            return self._answer(404)
        media_type, data = self.fake.manifests[name]
        self._answer(200, data, {"Content-Type": media_type})

    def _blob(self, digest: str) -> None:
        if self.fake.blobs_at:
            return self._answer(307, headers={"Location": f"http://{self.fake.blobs_at}/v2/x/blobs/{digest}"})
        data = self.fake.blobs.get(digest)
        if data is None:
            return self._answer(404)
        start, status = 0, 200
        if self.fake.ranges and (asked := self.headers.get("Range")):
            start, status = int(asked.removeprefix("bytes=").rstrip("-")), 206
        self._answer(status, data[start:])

    def _answer(self, status: int, body: bytes = b"", headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for key, value in (headers or {}).items():
            self.send_header(key, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if "/blobs/" in self.path and status in (200, 206) and self.fake.cut_after:
            body = body[: self.fake.cut_after.pop(0)]
            self.close_connection = True
        self.wfile.write(body)
