"""What all sides of the benchmark of images are built upon, and what they are pushed to: a base, an engine, a registry."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

READY_SECONDS = 60.0
_CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")
_STAND_IN = ("ca-certificates", "python3", "python3-pip", "python3-venv")


@dataclass(frozen=True)
class Engine:
    """The local Docker engine, by a client that can have it build with BuildKit."""

    client: str

    @classmethod
    def find(cls) -> Engine:
        """Return the engine; a newer client that lacks its build plugin may stand before the one that came with the engine."""
        for client in (shutil.which("docker") or "docker", "/usr/bin/docker"):
            engine = cls(client)
            if shutil.which(client) and engine.build_help():
                return engine
        sys.exit("no Docker client with BuildKit was found; `scripts/engine` starts Debian's")

    @property
    def env(self) -> dict[str, str]:
        """The environment of programs that call the client by its name."""
        folder = str(Path(self.client).parent)
        return {**os.environ, "DOCKER_BUILDKIT": "1", "PATH": f"{folder}:{os.environ['PATH']}"}

    def __call__(self, *arguments: str | Path) -> str:
        argv = [self.client, *map(str, arguments)]
        done = subprocess.run(argv, env=self.env, capture_output=True, text=True)
        if done.returncode:
            sys.exit(f"{' '.join(argv)}\n{done.stdout}{done.stderr}")
        return done.stdout.strip()

    def build_help(self) -> bool:
        """Say whether the client can build with BuildKit."""
        done = subprocess.run([self.client, "build", "--help"], env=self.env, capture_output=True, text=True)
        return "--secret" in done.stdout

    def image_id(self, name: str) -> str:
        """Return the id of an image."""
        return self("image", "inspect", "--format", "{{.Id}}", name)

    def size(self, name: str) -> int:
        """Return the bytes that an image takes in the engine."""
        return int(self("image", "inspect", "--format", "{{.Size}}", name))

    def forget_builds(self) -> None:
        """Empty the cache of BuildKit: layers and cache mounts."""
        self("builder", "prune", "--all", "--force")


@dataclass(frozen=True)
class Registry:
    """Debian's `docker-registry`, on loopback; `stored` says how many bytes it holds."""

    host: str
    folder: Path

    def stored(self) -> int:
        """Return the bytes of all blobs."""
        return sum(file.stat().st_size for file in self.folder.rglob("data") if file.is_file())


@contextmanager
def registry(folder: Path) -> Iterator[Registry]:
    """Run a registry until the block ends."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        host = f"127.0.0.1:{probe.getsockname()[1]}"
    folder.mkdir()
    config = folder / "config.yml"
    config.write_text(
        f"version: 0.1\nlog: {{level: error}}\nstorage: {{filesystem: {{rootdirectory: {folder}/data}}}}\nhttp: {{addr: '{host}'}}\n"
    )
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(["docker-registry", "serve", config], stdout=log, stderr=log)
    try:
        _wait(f"http://{host}/v2/")
        yield Registry(host, folder / "data")
    finally:
        process.terminate()
        process.wait(timeout=30)


def _wait(address: str) -> None:
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(address, timeout=1):
                return
        except OSError:
            time.sleep(0.05)
    sys.exit(f"{address} does not answer")


def base_image(engine: Engine, registry: Registry, given: str | None, folder: Path) -> str:
    """Return the name under which engine and registry have the base: a given image, else a stand-in made of Debian packages.

    The stand-in is what `python:3.11-slim` is, as far as these builds look at it: Debian bookworm with its Python 3.11
    and pip, with apt that works. It takes `debootstrap` and root, and trusts whom this machine trusts.
    """
    name = f"{registry.host}/python:3.11-slim"
    if given:
        if not engine("images", "--quiet", given):
            engine("pull", "--quiet", given)
        engine("tag", given, name)
    else:
        _import_stand_in(engine, name, folder)
    engine("push", "--quiet", name)
    return name


def _import_stand_in(engine: Engine, name: str, folder: Path) -> None:
    root = folder / "stand-in"
    _run(["debootstrap", "--variant=minbase", f"--include={','.join(_STAND_IN)}", "bookworm", root])
    (root / "usr/lib/python3.11/EXTERNALLY-MANAGED").unlink()
    (root / "usr/local/bin/python").symlink_to("/usr/bin/python3.11")
    if _CERTIFICATES.is_file():
        shutil.copy(_CERTIFICATES, root / "etc/ssl/certs/ca-certificates.crt")
    for folder_of_caches in ("var/cache/apt/archives", "var/lib/apt/lists"):
        for file in (root / folder_of_caches).rglob("*"):
            if file.is_file():
                file.unlink()
    variables = ["PATH=/usr/local/bin:/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin"]
    variables += [f"{name}=/{_CERTIFICATES.relative_to('/')}" for name in ("SSL_CERT_FILE", "PIP_CERT")]
    changes = [word for variable in variables for word in ("--change", f"ENV {variable}")]
    archive = folder / "stand-in.tar"
    _run(["tar", "--create", "--numeric-owner", f"--file={archive}", f"--directory={root}", "."])
    engine("import", *changes, archive, name)
    archive.unlink()
    shutil.rmtree(root)


def _run(argv: Sequence[str | Path]) -> None:
    done = subprocess.run([str(word) for word in argv], capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{' '.join(map(str, argv))}\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
