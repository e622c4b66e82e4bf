"""A registry in this process: the distribution protocol, with the faults that a test asks for."""

from __future__ import annotations

import json
import secrets
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit

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
    cut_manifests: list[int] = field(default_factory=list)  # the same for manifests
    trickle: float = 0.0  # seconds between pieces of a blob
    piece: int = 1 << 14  # bytes of such a piece
    ranges: bool = True
    statuses: list[int] = field(default_factory=list)  # answers to give before behaving
    retry_after: str | None = None  # what those answers say
    seen: list[tuple[str, str, dict[str, str]]] = field(default_factory=list)
    places: dict[str, set[str]] = field(default_factory=dict)  # blobs that were pushed, by repository
    sessions: dict[str, bytearray] = field(default_factory=dict)
    uploads_at: str | None = None  # where it sends uploads
    break_after: list[int] = field(
        default_factory=list
    )  # bodies to break off after so many bytes, which are kept
    lose_sessions: int = 0  # how often it forgets an upload when it is asked for it
    largest_body: int | None = None
    said_digest: str | None = None  # what it says that it has, whatever it has
    endless: bool = False  # blobs have no end
    takes_blobs: bool = True  # else a mirror
    lists_referrers: bool = False
    drops_manifests: int | None = None  # what it answers to those that it does not store
    token_at: str | None = None  # where its token service redirects, with ``token_status``
    token_status: int = 307
    token_answer: bytes | None = None  # what it says instead of a token
    denied: str | None = None  # a repository for which its token service gives no token, also beside others
    mount_status: int | None = None  # what it answers to a mount, if not what it should
    received: int = 0  # bytes of blobs that arrived
    misread: int = 0  # how often it reads a manifest while another client writes the same

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

    with _Server(("127.0.0.1", 0), Handler) as server:
        registry.host = f"127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield registry
        finally:
            server.shutdown()
            thread.join()


class _Server(ThreadingHTTPServer):
    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing of clients that went away: they do so on purpose."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            raise


class _Handler(BaseHTTPRequestHandler):
    fake: FakeRegistry
    protocol_version = "HTTP/1.1"
    wbufsize = 1 << 20  # one packet for head and body: no waiting for acknowledgements

    def log_message(self, format: str, *args: object) -> None:
        pass

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_POST(self) -> None:
        if self.path == "/token":
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            self.fake.seen.append(("POST", f"{self.path}?{body}", dict(self.headers)))
            if self.fake.token_at:
                return self._answer(
                    self.fake.token_status, headers={"Location": f"http://{self.fake.token_at}/token"}
                )
            granted = parse_qs(body).get("refresh_token") == [self.fake.basic]
            return self._answer(200 if granted else 401, json.dumps({"access_token": TOKEN}).encode())
        if not self._admitted():
            return
        fake, query = self.fake, parse_qs(urlsplit(self.path).query)
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        repository = self.path.removeprefix("/v2/").partition("/blobs/")[0]
        if not fake.takes_blobs:
            return self._answer(405)
        mount, source = query.get("mount", [""])[0], query.get("from", [""])[0]
        if mount and fake.mount_status:
            return self._answer(fake.mount_status)
        if mount in fake.places.get(source, ()):
            fake.places.setdefault(repository, set()).add(mount)
            return self._answer(201, headers={"Docker-Content-Digest": mount})
        session = f"/v2/{repository}/blobs/uploads/{secrets.token_hex(8)}"
        fake.sessions[session] = bytearray()
        self._answer(202, headers={"Location": self._at(session), "Range": "0-0"})

    def _at(self, session: str) -> str:
        base = f"http://{self.fake.uploads_at}" if self.fake.uploads_at else ""
        return f"{base}{session}?state=abc"

    def do_PATCH(self) -> None:
        if self._admitted() and (session := self._taken()) is not None:
            last = max(0, len(self.fake.sessions[session]) - 1)
            self._answer(202, headers={"Location": self._at(session), "Range": f"0-{last}"})

    def do_PUT(self) -> None:
        if not self._admitted():
            return
        if "/manifests/" in self.path:
            return self._put_manifest()
        session = self._taken()
        if session is None:
            return
        digest = parse_qs(urlsplit(self.path).query)["digest"][0]
        data = bytes(self.fake.sessions.pop(session))
        if str(Digest.of(data)) != digest:
            return self._answer(
                400, b'{"errors": [{"code": "DIGEST_INVALID", "message": "not what you said"}]}'
            )
        self.fake.blobs[digest] = data
        self.fake.places.setdefault(session.removeprefix("/v2/").partition("/blobs/")[0], set()).add(digest)
        self._answer(201, headers={"Docker-Content-Digest": self.fake.said_digest or digest})

    def _taken(self) -> str | None:
        """Read the body of an upload into its session, as far as it is read."""
        fake, session, size = self.fake, urlsplit(self.path).path, int(self.headers["Content-Length"])
        if fake.largest_body is not None and size > fake.largest_body:
            self.rfile.read(size)
            self._answer(413)
            return None
        if session not in fake.sessions:
            self.rfile.read(size)
            self._answer(404)
            return None
        start = int(self.headers.get("Content-Range", "0-").partition("-")[0])
        if size and start != len(fake.sessions[session]):
            self.rfile.read(size)
            self._answer(416)
            return None
        cut = fake.break_after.pop(0) if fake.break_after and size else size
        data = self.rfile.read(min(cut, size))
        fake.sessions[session] += data
        fake.received += len(data)
        if cut < size:
            self.close_connection = True
            self.connection.shutdown(2)
            return None
        return session

    def _put_manifest(self) -> None:
        data = self.rfile.read(int(self.headers["Content-Length"]))
        repository, _, name = urlsplit(self.path).path.removeprefix("/v2/").partition("/manifests/")
        document = json.loads(data)
        if self.fake.drops_manifests:
            return self._answer(self.fake.drops_manifests)
        if self.fake.misread:
            self.fake.misread -= 1
            return self._answer(400, b'{"errors": [{"code": "DIGEST_INVALID", "message": "no match"}]}')
        if "manifests" in document:
            known = {
                key.rpartition("/")[2] for key in self.fake.manifests if key.startswith(f"{repository}/")
            }
            needed = {entry["digest"] for entry in document["manifests"]}
        else:
            known = self.fake.places.get(repository, set())
            needed = {blob["digest"] for blob in (document["config"], *document["layers"])}
        if not needed <= known:
            return self._answer(
                400, b'{"errors": [{"code": "MANIFEST_BLOB_UNKNOWN", "message": "a blob is missing"}]}'
            )
        digest = self.fake.add_document(repository, name, self.headers["Content-Type"], data)
        said = {"Docker-Content-Digest": self.fake.said_digest or str(digest)}
        if self.fake.lists_referrers and "subject" in document:
            said["OCI-Subject"] = document["subject"]["digest"]
        self._answer(201, headers=said)

    def do_GET(self) -> None:
        path = urlsplit(self.path).path
        if path == "/token":
            self.fake.seen.append(("GET", self.path, dict(self.headers)))
            if self.fake.token_at:
                return self._answer(
                    self.fake.token_status, headers={"Location": f"http://{self.fake.token_at}/token"}
                )
            granted = self.fake.basic in (None, self.headers.get("Authorization"))
            if self.fake.denied and self.fake.denied in unquote(self.path):
                return self._answer(403)
            body = json.dumps({"token": TOKEN}).encode()
            return self._answer(
                200 if granted else 401, body if self.fake.token_answer is None else self.fake.token_answer
            )
        if not self._admitted():
            return
        if path.endswith("/tags/list"):
            name = path.removeprefix("/v2/").removesuffix("/tags/list")
            tags = [key.rpartition("/")[2] for key in self.fake.manifests if key.startswith(f"{name}/")]
            return self._answer(200, json.dumps({"tags": sorted(t for t in tags if ":" not in t)}).encode())
        if "/blobs/uploads/" in path:
            return self._session(path)
        repository, _, rest = path.removeprefix("/v2/").partition("/manifests/")
        if rest:
            return self._manifest(f"{repository}/{rest}")
        return self._blob(path.rpartition("/")[2])

    def _admitted(self) -> bool:
        """Note the request, and answer it where it is not let in or not to be answered now."""
        fake, authorization = self.fake, self.headers.get("Authorization")
        fake.seen.append((self.command, self.path, dict(self.headers)))
        if fake.statuses:
            status = fake.statuses.pop(0)
            if status == 401 and fake.realm:
                authorization = None
            elif status:
                self.rfile.read(int(self.headers.get("Content-Length", 0)))
                self._answer(status, headers={"Retry-After": fake.retry_after} if fake.retry_after else {})
                return False
        if fake.realm is not None and authorization != f"Bearer {TOKEN}":
            realm = f"http://{fake.host}/token" if fake.realm == "self" else fake.realm
            wanted = f'Bearer realm="{realm}",service="fake",scope="repository:x:pull,push"'
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            self._answer(401, headers={"WWW-Authenticate": wanted})
            return False
        if fake.realm is None and fake.basic not in (None, authorization):
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            self._answer(401, headers={"WWW-Authenticate": 'Basic realm="fake"'})
            return False
        return True

    def _session(self, path: str) -> None:
        if self.fake.lose_sessions:
            self.fake.lose_sessions -= 1
            self.fake.sessions.pop(path, None)
        if path not in self.fake.sessions:
            return self._answer(404)
        last = max(0, len(self.fake.sessions[path]) - 1)
        self._answer(204, headers={"Location": self._at(path), "Range": f"0-{last}"})

    def _manifest(self, name: str) -> None:
        if name not in self.fake.manifests:
            return self._answer(404)
        media_type, data = self.fake.manifests[name]
        said = {"Docker-Content-Digest": self.fake.said_digest} if self.fake.said_digest else {}
        self._answer(200, data, {"Content-Type": media_type, **said})

    def _blob(self, digest: str) -> None:
        if self.fake.blobs_at:
            return self._answer(307, headers={"Location": f"http://{self.fake.blobs_at}/v2/x/blobs/{digest}"})
        data = self.fake.blobs.get(digest)
        repository = self.path.removeprefix("/v2/").partition("/blobs/")[0]
        if data is None or (self.fake.places and digest not in self.fake.places.get(repository, ())):
            return self._answer(404)
        if self.fake.endless and self.command == "GET":
            data += bytes(len(data) + (1 << 20))
        start, status = 0, 200
        if self.fake.ranges and (asked := self.headers.get("Range")):
            start, status = int(asked.removeprefix("bytes=").rstrip("-")), 206
        part = {"Content-Range": f"bytes {start}-{len(data) - 1}/{len(data)}"} if status == 206 else {}
        self._answer(status, data[start:], part)

    def _answer(self, status: int, body: bytes = b"", headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for key, value in (headers or {}).items():
            self.send_header(key, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        is_blob = self.command == "GET" and "/blobs/" in self.path and status in (200, 206)
        is_manifest = self.command == "GET" and "/manifests/" in self.path and status == 200
        cuts = self.fake.cut_after if is_blob else self.fake.cut_manifests if is_manifest else []
        if cuts:
            body = body[: cuts.pop(0)]
            self.close_connection = True
        if is_blob and self.fake.trickle:
            return self._trickle(body)
        if self.command != "HEAD":
            self.wfile.write(body)

    def _trickle(self, body: bytes) -> None:
        for start in range(0, len(body), self.fake.piece):
            self.wfile.write(body[start : start + self.fake.piece])
            self.wfile.flush()
            time.sleep(self.fake.trickle)
