"""Measure serving: processor time per request of the whole server, side by side, in one interleaved run.

    python benchmarks/serve.py                          # this project beside a hand-written ASGI application
    python benchmarks/serve.py --all                    # and Starlette, FastAPI, LitServe, BentoML from the package index
    python benchmarks/serve.py --only w1,w2 --rounds 3

What is compared: `apps/raw.py`, written by hand against ASGI (`raw`: what the machine can do); the same work as the
documentation of Starlette, FastAPI and LitServe has it (`apps/*_app.py`; LitServe has no form for some of it); and
`apps/service.py`, which this project and BentoML serve unchanged with `bentoml serve service:Bench` and every default on. The
first three run under uvicorn, LitServe brings its own, all with uvloop and httptools and without an access log. Each side
has a virtual environment of its own in `~/.cache/bentoml-benchmarks` (delete the folder to install again); all are up at
once and are measured in turn (raw, starlette, ..., raw, starlette, ...), so that a change of the machine's speed hits all alike.

The number is the processor time, user and system, of the server's whole process tree while a client does its
requests, divided by these; the client is a process of its own, sends the same bytes to everyone over
keep-alive connections, and each answer's status and length are checked, the first one's content too. The median of
the rounds is shown, and the median of each round's `raw / it` as the share of the machine's limit that is reached.
Differences below 10 % are noise. At last, 64 connections are opened to four workers of this project and counted.
Everything binds 127.0.0.1. Linux only.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import random
import socket
import subprocess
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path

from _harness import (
    HERE,
    HOST,
    OTHERS,
    PRODUCT,
    Environment,
    Server,
    cpu_seconds,
    environments,
    machine,
    middle,
    process_tree,
    pss_bytes,
    serving,
    table,
    write_json,
)

BOUNDARY = "----------------benchmark"
LITSERVE = ("w1", "w4", "w6s", "w9")  # what it has a form for
SAME = object()  # what is expected is what the first side answers
LAST = "w9"  # its library is loaded with the first request, and would hide in the memory what the servers themselves need
WORKERS, CONNECTIONS = 4, 64
WARM_UP = 0.1  # share of the requests that is sent before the first round, unmeasured


@dataclass(frozen=True)
class Workload:
    """One request: what is sent, how often in each round, and what the answer must be."""

    name: str
    about: str
    requests: int
    media_type: str
    body: bytes
    expected: object

    def request(self) -> bytes:
        """Return the bytes of the request."""
        head = (
            f"POST /{self.name} HTTP/1.1\r\nHost: {HOST}\r\nUser-Agent: benchmark\r\nAccept: */*\r\n"
            f"Content-Type: {self.media_type}\r\nContent-Length: {len(self.body)}\r\n\r\n"
        )
        return head.encode() + self.body


def workloads() -> list[Workload]:
    """Return what is measured; the same on each machine."""
    item = {
        "id": "0b1f4b7e-6a53-4a8e-9d0c-3f2f6d1a9c77", "name": "a thing of some kind", "price": 12.5, "quantity": 3,
        "description": "A thing of some kind, with a description as long as people write them: two sentences or so. "
        "This is the second one.", "active": True, "created": "2026-01-31T12:30:00Z",
        "tags": ["new", "red", "small", "sale", "garden"], "sizes": [0.5, 1.25, 2.5, 10.75],
        "attributes": {"colour": "red", "material": "steel", "origin": "here", "warranty": "two years"},
    }  # fmt: skip
    numbers = random.Random(1)
    floats = [numbers.random() for _ in range(1000)]
    chunks = "".join(f"chunk {i:03d}\n" for i in range(100))
    return [
        _json("w1", "tiny JSON, sync api", 4000, {"a": 1, "b": 2}, {"sum": 3}),
        _json("w2", "tiny JSON, async api", 4000, {"a": 1, "b": 2}, {"sum": 3}),
        _json("w3", "pydantic model of 10 fields in/out", 4000, {"item": item}, item),
        _json("w4", "numpy 1x1000 floats JSON in/out", 2000, {"a": [floats]}, [[2 * x for x in floats]]),
        _upload("w5", "1 MB multipart upload", 500, numbers.randbytes(1 << 20)),
        _json("w6", "stream of 100 chunks, async generator", 1000, {}, chunks),
        _json("w6s", "stream of 100 chunks, sync generator", 1000, {}, chunks),
        _json("w9", "scikit-learn network, 64 numbers in", 1000, {"x": [floats[:64]]}, SAME),
    ]


def _json(name: str, about: str, requests: int, value: object, expected: object) -> Workload:
    return Workload(name, about, requests, "application/json", json.dumps(value).encode(), expected)


def _upload(name: str, about: str, requests: int, data: bytes) -> Workload:
    disposition = 'form-data; name="file"; filename="data.bin"'
    head = f"--{BOUNDARY}\r\nContent-Disposition: {disposition}\r\nContent-Type: application/octet-stream\r\n\r\n"
    body = head.encode() + data + f"\r\n--{BOUNDARY}--\r\n".encode()
    return Workload(name, about, requests, f"multipart/form-data; boundary={BOUNDARY}", body, len(data))


def command(side: Environment, *options: str) -> list[str | Path]:
    """Return what starts a side's server."""
    where = ["--host", HOST, "--port", "{port}"]
    match side.name:
        case "raw" | "starlette" | "fastapi":
            app = "raw:app" if side.name == "raw" else f"{side.name}_app:app"
            quick = ["--loop", "uvloop", "--http", "httptools", "--no-access-log", "--log-level", "warning"]
            return [side.python, "-m", "uvicorn", app, *where, *quick]
        case "litserve":
            return [side.python, "litserve_app.py", "{port}"]
        case _:
            return [side.folder / "bin" / "bentoml", "serve", "service:Bench", *where, *options]


def does(side: str, workload: Workload) -> bool:
    """Say whether a side has a form for a workload."""
    return side != "litserve" or workload.name in LITSERVE


@dataclass(frozen=True)
class Sample:
    """What one side needed in one round of one workload."""

    cpu_us: float
    requests_per_second: float
    p50_ms: float
    p99_ms: float


Samples = dict[str, dict[str, list[Sample]]]  # by workload and side


@dataclass(frozen=True)
class Results:
    """All that was measured; by side, but for the samples and for the connections of each worker."""

    samples: Samples
    start_seconds: dict[str, list[float]]
    idle_bytes: dict[str, list[float]]
    loaded_bytes: dict[str, list[float]]
    connections: list[int]


@dataclass(frozen=True)
class LoadClient:
    """Sends a workload to a server and checks what comes back."""

    python: Path
    folder: Path
    connections: int
    seen: dict[str, object] = dataclasses.field(
        default_factory=dict
    )  # what the first side answered, by workload

    def measure(self, server: Server, workload: Workload, requests: int) -> Sample:
        """Return what the server needed for this many requests."""
        before = cpu_seconds(server.pid)
        result = self._send(server, workload, requests)
        cpu = cpu_seconds(server.pid) - before
        self._check(server.name, workload, result, requests)
        rate = requests / float(str(result["seconds"]))
        return Sample(cpu / requests * 1e6, rate, float(str(result["p50_ms"])), float(str(result["p99_ms"])))

    def _send(self, server: Server, workload: Workload, requests: int) -> Mapping[str, object]:
        file = self.folder / workload.name
        if not file.exists():
            file.write_bytes(workload.request())
        connections = min(self.connections, requests)
        orders = {"port": server.port, "request": str(file), "requests": requests, "connections": connections}
        run = subprocess.run(
            [self.python, HERE / "_load.py"],
            input=json.dumps(orders),
            capture_output=True,
            text=True,
            check=False,
        )
        if run.returncode:
            raise SystemExit(f"`{server.name}`, {workload.name}: the client failed\n{run.stderr[-2000:]}")
        result: Mapping[str, object] = json.loads(run.stdout)
        return result

    def _check(self, side: str, workload: Workload, result: Mapping[str, object], requests: int) -> None:
        body = str(result["first_body"])
        answers = result["answers"]
        if answers != {f"200 {len(body)}": requests}:
            raise SystemExit(
                f"`{side}`, {workload.name}: wrong answers (status, length): {answers}\n{body[:1000]}"
            )
        value = body if isinstance(workload.expected, str) else json.loads(body)
        expected = workload.expected
        if expected is SAME:
            expected = self.seen.setdefault(workload.name, value)
        if value != expected:
            raise SystemExit(f"`{side}`, {workload.name}: wrong content: {body[:1000]}")


def measure(
    chosen: Sequence[Workload], sides: Sequence[Environment], folder: Path, options: argparse.Namespace
) -> Results:
    """Measure everything: first the starts, then the requests with all servers up."""
    env = {"BENTOML_HOME": str(folder / "home"), "BENTOML_DO_NOT_TRACK": "True"}
    starts = measure_start(sides, env, folder, options.starts)
    first, last = [w for w in chosen if w.name != LAST], [w for w in chosen if w.name == LAST]
    with ExitStack() as stack:
        servers = [stack.enter_context(serving(s.name, command(s), env=env, folder=folder)) for s in sides]
        idle = {server.name: [float(pss_bytes(server.pid))] for server in servers}
        client = LoadClient(sides[0].python, folder, options.connections)
        samples = measure_requests(first, servers, client, options.rounds, options.requests)
        loaded = {server.name: [float(pss_bytes(server.pid))] for server in servers}
        samples |= measure_requests(last, servers, client, options.rounds, options.requests)
    ours = [side for side in sides if side.name == "ours"]
    return Results(samples, starts, idle, loaded, spread(ours[0], env, folder) if ours else [])


def spread(side: Environment, env: Mapping[str, str], folder: Path) -> list[int]:
    """Return how many of 64 connections each of four workers holds."""
    with (
        serving(side.name, command(side, "--workers", str(WORKERS)), env=env, folder=folder) as server,
        ExitStack() as stack,
    ):
        workers = process_tree(server.pid)[1:]
        before = [_sockets(pid) for pid in workers]
        for _ in range(CONNECTIONS):
            client = stack.enter_context(socket.create_connection((HOST, server.port)))
            client.sendall(f"GET /readyz HTTP/1.1\r\nHost: {HOST}\r\n\r\n".encode())
            if not client.recv(1 << 16).startswith(b"HTTP/1.1 200"):
                raise SystemExit("a worker did not answer")
        return [_sockets(pid) - already for pid, already in zip(workers, before, strict=True)]


def _sockets(pid: int) -> int:
    count = 0
    for link in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(FileNotFoundError):  # it was closed since it was listed
            count += os.readlink(link).startswith("socket:")
    return count


def measure_start(
    sides: Sequence[Environment], env: Mapping[str, str], folder: Path, times: int
) -> dict[str, list[float]]:
    """Return the processor seconds from start to ready, by side."""
    seconds: dict[str, list[float]] = {side.name: [] for side in sides}
    for _ in range(times):
        for side in sides:
            with serving(side.name, command(side), env=env, folder=folder) as server:
                seconds[side.name].append(server.start_cpu)
    return seconds


def measure_requests(
    chosen: Sequence[Workload], servers: Sequence[Server], client: LoadClient, rounds: int, scale: float
) -> Samples:
    """Return the samples: each round goes once through all workloads and sides."""
    samples: Samples = {w.name: {s.name: [] for s in servers} for w in chosen}
    for workload in chosen:
        for server in servers:
            if does(server.name, workload):
                client.measure(server, workload, max(20, int(workload.requests * scale * WARM_UP)))
    for _ in range(rounds):
        for workload in chosen:
            for server in (s for s in servers if does(s.name, workload)):
                sample = client.measure(server, workload, max(20, int(workload.requests * scale)))
                samples[workload.name][server.name].append(sample)
    return samples


def report(
    rows: Mapping[str, Mapping[str, Sequence[float]]], sides: Sequence[str], form: Callable[[float], str]
) -> str:
    """Return the table: the median of each side, and what share of the limit it reaches."""
    others = [side for side in sides if side != "raw"]
    lines = []
    for name, values in rows.items():
        medians = [form(middle(values[side])) if values[side] else "-" for side in sides]
        shares = [f"{_share(values['raw'], values[side]):.3f}" if values[side] else "-" for side in others]
        lines.append([name, *medians, *shares])
    return table(["", *sides, *(f"raw / {side}" for side in others)], lines)


def _share(raw: Sequence[float], other: Sequence[float]) -> float:
    """Return the median of the rounds' own shares, which the machine's drift between two rounds does not touch."""
    return middle([limit / it for limit, it in zip(raw, other, strict=True)])


def main() -> None:
    """Measure what the command line asks for and print it."""
    options = _options()
    names = options.only.split(",") if options.only else [w.name for w in workloads()]
    chosen = [w for w in workloads() if w.name in names]
    if len(chosen) != len(names):
        raise SystemExit(f"--only takes some of {','.join(w.name for w in workloads())}")
    sides = [s for s in environments(wanted=options.all).values() if s.name not in options.without]
    with tempfile.TemporaryDirectory(prefix="bentoml-benchmark-") as folder:
        results = measure(chosen, sides, Path(folder), options)
    versions = {s.name: s.version(PRODUCT.get(s.name, s.name)) for s in sides}
    facts = {**machine(), "versions": versions, "rounds": options.rounds, "connections": options.connections}
    _print(facts, chosen, [side.name for side in sides], results)
    write_json(options.json, {**facts, **dataclasses.asdict(results)})


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("--rounds", type=int, default=5, help="how often each is measured (5)")
    parser.add_argument(
        "--requests", type=float, default=1.0, metavar="FACTOR", help="scale the number of requests (1)"
    )
    parser.add_argument("--connections", type=int, default=8, help="keep-alive connections of the client (8)")
    parser.add_argument(
        "--starts", type=int, default=3, help="how often start to ready is measured (3, 0 for not)"
    )
    parser.add_argument("--only", metavar="w1,w2", help="only these workloads")
    parser.add_argument(
        "--all", action="store_true", help="install the others from the package index if needed"
    )
    parser.add_argument(
        "--without", action="append", default=[], choices=["ours", *OTHERS], help="leave a side out"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every sample to a file")
    return parser.parse_args()


def _print(
    facts: Mapping[str, object], chosen: Sequence[Workload], sides: Sequence[str], results: Results
) -> None:
    print(", ".join(f"{key} {value}" for key, value in facts.items()))
    print("\nprocessor microseconds per request, median of the rounds\n")
    cpu = {
        f"{w.name} {w.about}": {side: [s.cpu_us for s in results.samples[w.name][side]] for side in sides}
        for w in chosen
    }
    print(report(cpu, sides, lambda us: f"{us:.1f}"))
    if any(results.start_seconds.values()):
        print("\nstart to ready, processor seconds\n")
        print(report({"start": results.start_seconds}, sides, lambda s: f"{s:.2f}"))
    print("\nmemory of the process tree (PSS), MB\n")
    memory = {"ready": results.idle_bytes, "after load": results.loaded_bytes}
    print(report(memory, sides, lambda b: f"{b / 1e6:.0f}"))
    if results.connections:
        each = ", ".join(map(str, results.connections))
        print(f"\n{CONNECTIONS} connections over {WORKERS} workers of ours: {each}")


if __name__ == "__main__":
    main()
