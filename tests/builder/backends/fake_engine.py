"""An engine in this process: the calls of the Docker API that images need, at a socket or over TCP."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
import threading
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.client import HTTPException
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from socketserver import ThreadingUnixStreamServer
from urllib.parse import parse_qs, unquote, urlsplit


@dataclass
class FakeEngine:
    """What the engine has, how it behaves, and what it was sent."""

    host: str = ""
    images: dict[str, list[str]] = field(default_factory=dict)  # id -> diff_ids
    tags: dict[str, str] = field(
        default_factory=dict
    )  # as it shows them: `app:1`, not `docker.io/library/app:1`
    blobs: dict[str, bytes] = field(default_factory=dict)
    containerd: bool = False
    tells_chains: bool = False  # as the stores do that know layers by what lies under them
    needs_every_blob: bool = False
    forgets: bool = False
    loads: list[list[str]] = field(default_factory=list)  # the names in each archive
    reaches_us: bool = True  # its loopback is ours
    pulls: list[str] = field(default_factory=list)  # the digests of the blobs that it asked for
    removed: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)  # the path of each request
    refuses: str = ""  # what it says to an archive, before it has read it

    def load(self, data: bytes) -> dict[str, str]:
        """Take an archive as `docker load` does."""
        with tarfile.open(fileobj=io.BytesIO(data)) as archive:
            names = archive.getnames()
            self.loads.append(names)
            entry = json.load(archive.extractfile("manifest.json"))[0]  # type: ignore[arg-type]  # it is a file
            config = json.load(archive.extractfile(entry["Config"]))  # type: ignore[arg-type]  # as above
        if self.needs_every_blob and not set(entry["Layers"]) <= set(names):
            return {"error": "open layer.tar: no such file or directory"}
        if not self.forgets:
            name = "sha256:" + entry["Config"].rpartition("/")[2]
            self.images[name] = config["rootfs"]["diff_ids"]
            self.tags |= dict.fromkeys(entry["RepoTags"] or [], name)
        return {"stream": "Loaded image"}

    def pull(self, name: str, tag: str) -> dict[str, str]:
        """Pull an image, its blobs only where they are not there, as an engine with a containerd store does."""
        if not self.reaches_us:
            return {"error": "dial tcp 127.0.0.1: connect: connection refused"}
        host, _, repository = name.partition("/")
        root = f"http://{host}/v2/{repository}"
        manifest = _got(f"{root}/manifests/{tag}")
        parts = json.loads(manifest)
        for what in (parts["config"], *parts["layers"]):
            if what["digest"] not in self.blobs:
                self.pulls.append(what["digest"])
                self.blobs[what["digest"]] = _got(f"{root}/blobs/{what['digest']}")
        config = json.loads(self.blobs[parts["config"]["digest"]])
        self.images[f"sha256:{hashlib.sha256(manifest).hexdigest()}"] = config["rootfs"]["diff_ids"]
        return {"status": "Downloaded newer image"}


def _got(url: str) -> bytes:
    try:
        with urllib.request.urlopen(url) as answer:
            data: bytes = answer.read()
            return data
    except HTTPException as e:
        raise ConnectionError("cut off") from e


@contextmanager
def running(engine: FakeEngine, socket: Path | None = None) -> Iterator[FakeEngine]:
    """Serve at a socket, or on a port of loopback, while the block runs."""

    class Handler(_Handler):
        fake = engine

    at_socket = socket and ThreadingUnixStreamServer(str(socket), Handler)
    with at_socket or ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        port = server.server_port if isinstance(server, ThreadingHTTPServer) else 0
        engine.host = f"tcp://127.0.0.1:{port}" if port else f"unix://{socket}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield engine
        finally:
            server.shutdown()
            thread.join()


class _Handler(BaseHTTPRequestHandler):
    fake: FakeEngine
    protocol_version = "HTTP/1.1"
    wbufsize = 1 << 20

    def log_message(self, format: str, *args: object) -> None:
        pass

    def do_GET(self) -> None:
        path = unquote(urlsplit(self.path).path)
        path = path.partition("/v1.41")[2] or path
        self.fake.asked.append(path)
        if path == "/_ping":
            return self._answer(200, "OK", {"Api-Version": "1.41"})
        if path == "/version":
            return self._answer(200, {"ApiVersion": "1.41"})
        if path == "/info":
            driver = "io.containerd.snapshotter.v1" if self.fake.containerd else "xfs"
            return self._answer(200, {"DriverStatus": [["driver-type", driver]]})
        if path == "/images/json":
            return self._answer(
                200, [{"Id": name, "RepoTags": ["old:1"], "Created": 5} for name in self.fake.images]
            )
        name = path.removeprefix("/images/").removesuffix("/json")
        name = self.fake.tags.get(name, name)
        if name in self.fake.images:
            stored = {"Name": "xfs", "Data": {"UpperDir": "/u"} if self.fake.tells_chains else None}
            layers = {"Layers": self.fake.images[name]}
            tags = [tag for tag, image in self.fake.tags.items() if image == name]
            return self._answer(200, {"Id": name, "RepoTags": tags, "RootFS": layers, "GraphDriver": stored})
        self._answer(404, {"message": f"No such image: {name}"})

    def do_POST(self) -> None:
        path = unquote(urlsplit(self.path).path).partition("/v1.41")[2]
        self.fake.asked.append(path)
        if path == "/images/load" and self.fake.refuses:
            self.close_connection = True
            return self._answer(500, {"message": self.fake.refuses})
        if path == "/images/load":
            data = self._chunked_body()
            return self._answer(200, self.fake.load(data)) if data else None
        query = {key: value[0] for key, value in parse_qs(urlsplit(self.path).query).items()}
        if path == "/images/create":
            try:
                return self._answer(200, self.fake.pull(query["fromImage"], query["tag"]))
            except ConnectionError as e:
                return self._answer(200, {"error": str(e)})
        name = f"{query['repo']}:{query['tag']}".removeprefix("docker.io/").removeprefix("library/")
        self.fake.tags[name] = path.removeprefix("/images/").removesuffix("/tag")
        self._answer(201, {})

    def do_DELETE(self) -> None:
        path = unquote(urlsplit(self.path).path).partition("/v1.41/images/")[2]
        self.fake.removed.append(path)
        self._answer(200, [{"Untagged": path}])

    def _chunked_body(self) -> bytes:
        """Return a body; nothing of one that was cut off."""
        body = bytearray()
        while size := int(self.rfile.readline() or b"-1", 16):
            if size < 0:
                self.close_connection = True
                return b""
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return bytes(body)

    def _answer(self, status: int, value: object, headers: Mapping[str, str] | None = None) -> None:
        body = json.dumps(value).encode()
        self.send_response(status)
        for name, text in {"Content-Type": "application/json", **(headers or {})}.items():
            self.send_header(name, text)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
