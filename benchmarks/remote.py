"""Measure push and pull of a model against Debian's `docker-registry` on loopback, beside a plain PUT and GET.

Run ``python benchmarks/remote.py [--size MB] [--rounds N]``. Each round uses new bytes, so that the registry has nothing of
them; what is printed is the median of the rounds. The plain PUT sends the same number of bytes from a file in one request; the
plain GET writes them to a file and syncs it. Neither hashes anything, which we do with all that is fetched.
"""

from __future__ import annotations

import argparse
import hashlib
import http.client
import json
import os
import resource
import secrets
import socket
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from bentoml.config import Home
from bentoml.registry.pull import Pulling, pull
from bentoml.registry.push import Pushing, push
from bentoml.registry.reference import Reference
from bentoml.store.models import Model, ModelStore

SMALL_FILES = 20


def main() -> None:
    arguments = parse()
    with tempfile.TemporaryDirectory(prefix="bentoml-remote-", dir=arguments.folder) as name:
        folder = Path(name)
        with registry(folder) as (host, log):
            rows = Rows(log)
            for number in range(arguments.rounds):
                one_round(folder / str(number), host, arguments.size, rows)
        rows.show(arguments.size, arguments.rounds)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--size", type=int, default=500, help="megabytes of the model")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--folder", default="/var/tmp", help="where stores and registry are; a real disk")
    return parser.parse_args()


@dataclass
class Rows:
    """What was measured: seconds, processor seconds of ours, requests to the registry, bytes of blobs."""

    log: Path
    measured: dict[str, list[tuple[float, float, int, int]]] = field(default_factory=dict)

    def measure(self, what: str, work: Callable[[], int]) -> None:
        """Run a piece of work, which returns the bytes of blobs that it moved."""
        before, cpu, started = self._requests(), _cpu(), time.perf_counter()
        moved = work()
        seconds, used = time.perf_counter() - started, _cpu() - cpu
        time.sleep(0.2)  # until the last request is in the log
        self.measured.setdefault(what, []).append((seconds, used, self._requests() - before, moved))

    def show(self, megabytes: int, rounds: int) -> None:
        """Print a line for each piece of work."""
        print(f"{megabytes} MB in one file and {SMALL_FILES} small ones, median of {rounds} rounds")
        print(f"  {'':32} {'seconds':>8} {'CPU s':>7} {'requests':>9} {'blob bytes':>12}")
        for what, runs in self.measured.items():
            seconds, cpu, requests, moved = (statistics.median(column) for column in zip(*runs, strict=True))
            print(f"  {what:32} {seconds:8.3f} {cpu:7.3f} {requests:9.0f} {moved:12.0f}")

    def _requests(self) -> int:
        return self.log.read_text(errors="replace").count("response completed")


def one_round(folder: Path, host: str, megabytes: int, rows: Rows) -> None:
    here, there = Home(folder / "here"), Home(folder / "there")
    folder.mkdir()
    plain = folder / "plain"
    write(plain, megabytes)
    digest = "sha256:" + hashlib.file_digest(plain.open("rb"), "sha256").hexdigest()
    name = f"bench/{folder.name}"
    rows.measure("plain PUT", lambda: plain_put(host, name, plain, digest))
    model = save(here, megabytes)
    place = Reference.parse(f"{host}/{name}:1")
    rows.measure("push, the first time", lambda: push(model, place, Pushing(here, {})).sent_bytes)
    rows.measure("push, unchanged", lambda: push(model, place, Pushing(here, {})).sent_bytes)
    changed = save(here, megabytes, like=model)
    second = Reference.parse(f"{host}/{name}:2")
    rows.measure("push, one small file changed", lambda: push(changed, second, Pushing(here, {})).sent_bytes)
    rows.measure("plain GET", lambda: plain_get(host, name, digest, folder / "got"))
    rows.measure("pull, the first time", lambda: pull("model", place, Pulling(there, {})).fetched_bytes)
    rows.measure("pull, unchanged", lambda: pull("model", place, Pulling(there, {})).fetched_bytes)
    rows.measure(
        "pull, one small file changed", lambda: pull("model", second, Pulling(there, {})).fetched_bytes
    )


def save(home: Home, megabytes: int, like: Model | None = None) -> Model:
    """Save a model; ``like`` is one of which all but one small file is the same."""
    with ModelStore(home).create("bench") as model:
        root = Path(model.path)
        if like is None:
            write(root / "weights.bin", megabytes)
        else:
            (root / "weights.bin").hardlink_to(like.path_of("weights.bin"))
        for number in range(SMALL_FILES):
            (root / f"small-{number}").write_text(f"{number} {number == 7 and like is not None}")
    return model


def write(file: Path, megabytes: int) -> None:
    with file.open("wb") as out:
        for _ in range(megabytes):
            out.write(secrets.token_bytes(1_000_000))
        os.fsync(out.fileno())


def plain_put(host: str, name: str, file: Path, digest: str) -> int:
    connection = http.client.HTTPConnection(host)
    connection.request("POST", f"/v2/{name}/blobs/uploads/", headers={"Content-Length": "0"})
    answer = connection.getresponse()
    answer.read()
    place = answer.headers["Location"].partition(host)[2] + f"&digest={digest}"
    with file.open("rb") as body:
        size = file.stat().st_size
        connection.request("PUT", place, body, {"Content-Length": str(size)})
        answer = connection.getresponse()
        answer.read()
    connection.close()
    assert answer.status == 201, answer.status
    return size


def plain_get(host: str, name: str, digest: str, file: Path) -> int:
    connection = http.client.HTTPConnection(host)
    connection.request("GET", f"/v2/{name}/blobs/{digest}")
    answer = connection.getresponse()
    buffer, size = memoryview(bytearray(1 << 20)), 0
    with file.open("wb", buffering=0) as out:
        while count := answer.readinto(buffer):
            out.write(buffer[:count])
            size += count
        os.fsync(out.fileno())
    connection.close()
    return size


@contextmanager
def registry(folder: Path) -> Iterator[tuple[str, Path]]:
    """Run a registry on a free port; give its host and its log, which has a line for each request."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        host = f"127.0.0.1:{probe.getsockname()[1]}"
    config = {
        "version": 0.1,
        "storage": {"filesystem": {"rootdirectory": str(folder / "registry")}},
        "http": {"addr": host},
    }
    (folder / "registry.yml").write_text(json.dumps(config))
    log = folder / "registry.log"
    argv = ["docker-registry", "serve", str(folder / "registry.yml")]
    with log.open("wb") as out, subprocess.Popen(argv, stdout=out, stderr=out) as process:
        try:
            for _ in range(100):
                time.sleep(0.05)
                with socket.socket() as probe:
                    if probe.connect_ex(("127.0.0.1", int(host.partition(":")[2]))) == 0:
                        break
            yield host, log
        finally:
            process.terminate()


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    main()
