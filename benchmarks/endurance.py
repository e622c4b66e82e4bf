"""Send a million requests and a hundred thousand probes to one worker, and see whether its memory or its open files grow.

    python benchmarks/endurance.py
    python benchmarks/endurance.py --requests 100000 --probes 10000     # a quick look

The requests are those of `serve.py`, mixed: small ones, arrays, uploads of 1 MB, streams, and some that are answered
with 400, 404, 405 and 413. The probes are `GET /readyz`, each over a connection of its own that the client resets. After each tenth, the
memory of the worker (what it alone holds, USS) and its open files are read from the kernel; the slope is that of the
least squares over all but the first three tenths, in which caches and buffers find their size. Linux only.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import subprocess
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from _harness import (
    HERE,
    HOST,
    Environment,
    Server,
    cache_folder,
    machine,
    process_tree,
    serving,
    table,
    write_json,
)
from serve import command, workloads

STEPS = 10
WARM_UP = 3  # steps that the slope leaves out
LIMIT = 1e6  # bytes of growth for 100,000 requests
SHARES = {
    "w1": 300,
    "w2": 300,
    "w3": 200,
    "w4": 50,
    "w5": 5,
    "w6": 15,
    "w6s": 15,
    "bad": 50,
    "none": 30,
    "get": 20,
    "large": 15,
}


@dataclass(frozen=True)
class State:
    """What a process holds after a number of requests."""

    requests: int
    bytes: int
    files: int


def requests() -> dict[str, bytes]:
    """Return the requests by name."""
    named = {w.name: w.request() for w in workloads()}
    head = f"Host: {HOST}\r\nContent-Type: application/json\r\n".encode()
    named["bad"] = b"POST /w1 HTTP/1.1\r\n" + head + b'Content-Length: 9\r\n\r\n{"a": "x"'
    named["none"] = b"POST /nothing HTTP/1.1\r\n" + head + b"Content-Length: 2\r\n\r\n{}"
    named["get"] = b"GET /w1 HTTP/1.1\r\n" + head + b"\r\n"
    named["large"] = b"POST /w1 HTTP/1.1\r\n" + head + b"Content-Length: 3000\r\n\r\n" + b"[" * 3000
    named["probe"] = f"GET /readyz HTTP/1.1\r\nHost: {HOST}\r\n\r\n".encode()
    return named


def state(pid: int, requests: int) -> State:
    """Return what a process holds now."""
    rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
    private = sum(int(kb) for kb in re.findall(r"^Private_\w+:\s+(\d+) kB", rollup, re.MULTILINE))
    return State(requests, private * 1024, len(list(Path(f"/proc/{pid}/fd").iterdir())))


def slope(states: Sequence[State]) -> float:
    """Return the growth of memory in bytes for 100,000 requests (least squares)."""
    xs, ys = [s.requests / 1e5 for s in states], [float(s.bytes) for s in states]
    x, y = sum(xs) / len(xs), sum(ys) / len(ys)
    return sum((a - x) * (b - y) for a, b in zip(xs, ys, strict=True)) / sum((a - x) ** 2 for a in xs)


class Endurance:
    """One worker that is sent a lot."""

    def __init__(self, server: Server, folder: Path, connections: int) -> None:
        self._port = server.port
        self._worker = process_tree(server.pid)[1]
        self._folder = folder
        self._connections = connections
        self._python = Environment("raw", cache_folder() / "raw").python
        for name, request in requests().items():
            (folder / name).write_bytes(request)

    def run(self, names: Sequence[str], total: int, *, fresh: bool) -> tuple[list[State], Counter[str]]:
        """Send requests in ten steps; return what the worker held after each, and the statuses of all answers."""
        answers: Counter[str] = Counter()
        states = []
        for step in range(1, STEPS + 1):
            answers.update(self._send(names, total // STEPS, fresh))
            states.append(state(self._worker, total // STEPS * step))
            print(
                f"  {states[-1].requests:>9} requests  {states[-1].bytes / 1e6:7.1f} MB  {states[-1].files} files",
                flush=True,
            )
        return states, answers

    def _send(self, names: Sequence[str], count: int, fresh: bool) -> dict[str, int]:
        files = [str(self._folder / name) for name in names]
        orders = {
            "port": self._port,
            "requests": files,
            "count": count,
            "connections": self._connections,
            "fresh": fresh,
        }
        run = subprocess.run(
            [self._python, HERE / "_mix.py"],
            input=json.dumps(orders),
            capture_output=True,
            text=True,
            check=False,
        )
        if run.returncode:
            raise SystemExit(f"the client failed\n{run.stderr[-2000:]}")
        answers: dict[str, int] = json.loads(run.stdout)
        return answers


def main() -> None:
    """Run both and say whether anything grew."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--requests", type=int, default=1_000_000)
    parser.add_argument("--probes", type=int, default=100_000)
    parser.add_argument("--connections", type=int, default=16)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all that was measured to a file")
    options = parser.parse_args()
    side = Environment("ours", cache_folder() / "ours")
    for needed in (side, Environment("raw", cache_folder() / "raw")):
        if not needed.exists():
            needed.make()
    mix = [name for name, share in SHARES.items() for _ in range(share)]
    random.Random(1).shuffle(mix)
    with tempfile.TemporaryDirectory(prefix="bentoml-endurance-") as name:
        folder = Path(name)
        with serving(
            "ours", command(side), env={"BENTOML_HOME": str(folder / "home")}, folder=folder
        ) as server:
            endurance = Endurance(server, folder, options.connections)
            print("requests")
            sent, statuses = endurance.run(mix, options.requests, fresh=False)
            print("probes")
            probed, probes = endurance.run(["probe"], options.probes, fresh=True)
    runs = {"requests": (sent, statuses), "probes": (probed, probes)}
    rows = [[what, str(states[-1].requests), f"{slope(states[WARM_UP:]) / 1e6:.2f}", _files(states), _statuses(answers)]
            for what, (states, answers) in runs.items()]  # fmt: skip
    print("\n" + table(["", "sent", "MB more for 100,000", "open files", "answers"], rows))
    write_json(
        options.json, {**machine(), **{k: [vars(s) for s in states] for k, (states, _) in runs.items()}}
    )
    for states, _ in runs.values():
        if slope(states[WARM_UP:]) > LIMIT or states[-1].files > states[WARM_UP].files:
            raise SystemExit("the worker grows")


def _files(states: Sequence[State]) -> str:
    few, many = min(s.files for s in states[WARM_UP:]), max(s.files for s in states[WARM_UP:])
    return str(few) if few == many else f"{few} to {many}"


def _statuses(answers: Counter[str]) -> str:
    return ", ".join(f"{status}: {count}" for status, count in sorted(answers.items()))


if __name__ == "__main__":
    main()
