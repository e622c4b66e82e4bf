"""What the tests of running containers share: the engine's own client, and a service that runs in one."""

from __future__ import annotations

import json
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.support import free_port

__all__ = ["call", "docker", "published", "running", "started", "wait_ready"]


def docker(*arguments: str, timeout: float = 300) -> str:
    """Run the engine's own client; a failure is the test's."""
    done = subprocess.run(["docker", *arguments], capture_output=True, text=True, timeout=timeout)
    assert done.returncode == 0, f"docker {' '.join(arguments)}\n{done.stdout}{done.stderr}"
    return done.stdout


@contextmanager
def started(*arguments: str) -> Iterator[str]:
    """Start a container, options first, and give its name until the block ends."""
    container = docker("run", "--detach", *arguments).strip()
    try:
        yield container
    finally:
        docker("rm", "--force", container)


@contextmanager
def running(image: str, *arguments: str, settings: tuple[str, ...] = ()) -> Iterator[tuple[str, str]]:
    """Run an image until the block ends; give the container and the address of its service, once it is ready.

    The container shares the host's network: an engine without a bridge can run it, too.
    """
    port = free_port()
    settings += ("--network", "host", "--env", "BENTOML_HOST=127.0.0.1", "--env", f"PORT={port}")
    with started(*settings, image, *arguments) as container:
        yield container, wait_ready(container, f"http://127.0.0.1:{port}")


@contextmanager
def published(
    image: str, *arguments: str, port: int = 3000, settings: tuple[str, ...] = ()
) -> Iterator[tuple[str, str]]:
    """Run an image as its users do, with a port of its own published here; give what `running` gives."""
    here = free_port()
    with started("--publish", f"127.0.0.1:{here}:{port}", *settings, image, *arguments) as container:
        yield container, wait_ready(container, f"http://127.0.0.1:{here}")


def wait_ready(container: str, address: str, timeout: float = 120) -> str:
    """Return the address once a service there is ready."""
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(f"{address}/readyz", timeout=5) as answer:
                if answer.status == 200:
                    return address
        except OSError:
            time.sleep(0.05)
    raise AssertionError(f"not ready after {timeout} s\n{docker('logs', container)}")


def call(address: str, route: str, **values: object) -> Any:
    """Return what an API answers."""
    request = urllib.request.Request(
        f"{address}/{route}", json.dumps(values).encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.load(answer)
