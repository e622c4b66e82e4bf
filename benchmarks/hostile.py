"""Show what hostile clients do to a server beside a well-behaved one: what they are answered, and what it notices.

    python benchmarks/hostile.py                # all attacks, 3 seconds each
    python benchmarks/hostile.py --seconds 10 --only "deep JSON"

A service runs with every default on, in one worker. A neighbour, a process of its own, sends a small request each 5 ms over
a kept connection, first alone and then during each attack. Shown are the neighbour's median and 99th percentile, how many
connections the attack made, what they were answered, and how long the slowest answer took that was to come at once. It fails
(exit 1) where an answer is not one of those that the attack deserves, where the neighbour gets any other answer than 200, where
the worker was replaced, or where an answer holds something of the server's files. Linux only; everything binds 127.0.0.1.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import re
import subprocess
import sys
import tempfile
import textwrap
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from _harness import HOST, table

SERVICE = """
from pathlib import Path

import bentoml
from pydantic import BaseModel


class Tree(BaseModel):
    children: list["Tree"] = []


@bentoml.service(threads=2)
class Target:
    @bentoml.api
    async def echo(self, text: str = "") -> str:
        return text

    @bentoml.api
    def anything(self, value: object = None) -> int:
        return 1

    @bentoml.api
    def tree(self, tree: Tree) -> int:
        return 1

    @bentoml.api
    def file(self, f: Path) -> bytes:
        return f.read_bytes()
"""
CANARY = "canary-5d1f0c"  # in a file beside the service, and in its environment
PAUSE = 0.005  # between two requests of the neighbour
AT_ONCE = 1.0  # seconds within which a refusal is at once, on a machine that is busy with the attack

Attack = Callable[["Attacker"], Awaitable[None]]


@dataclass
class Attacker:
    """What an attack may use, and what it notes."""

    port: int
    until: float
    random: Random = field(default_factory=lambda: Random(1))
    answers: Counter[str] = field(default_factory=Counter)
    slowest: float = 0.0
    leaked: bool = False

    @property
    def goes_on(self) -> bool:
        return time.monotonic() < self.until

    @asynccontextmanager
    async def connected(self) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
        reader, writer = await asyncio.open_connection(HOST, self.port)
        try:
            yield reader, writer
        finally:
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()

    async def send(self, request: bytes, *, patience: float = 5.0) -> None:
        """Send a request on a connection of its own and note its answer."""
        began = time.monotonic()
        try:
            async with self.connected() as (reader, writer):
                writer.write(request)
                answer = await asyncio.wait_for(reader.read(1 << 16), patience)
        except TimeoutError:
            self.answers["nothing"] += 1
            return
        except OSError:
            self.answers["closed"] += 1
            return
        self.slowest = max(self.slowest, time.monotonic() - began)
        self.note(answer)

    def note(self, answer: bytes) -> None:
        self.leaked |= CANARY.encode() in answer or b"root:x:0" in answer or b"Traceback" in answer
        self.answers[answer[9:12].decode("latin-1") if answer.startswith(b"HTTP/1.1 ") else "closed"] += 1

    async def flood(self, make: Callable[[], bytes], at_once: int = 4) -> None:
        """Send one request after another on some connections, at most some hundred in a second."""

        async def one() -> None:
            while self.goes_on:
                await self.send(make())
                await asyncio.sleep(0.02)

        await asyncio.gather(*(one() for _ in range(at_once)))


def post(path: str, body: bytes, content_type: str = "application/json", **headers: str) -> bytes:
    lines = {
        "Host": HOST,
        "Content-Type": content_type,
        "Content-Length": str(len(body)),
        "Connection": "close",
    }
    lines |= {name.replace("_", "-"): value for name, value in headers.items()}
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    return f"POST {path} HTTP/1.1\r\n{head}\r\n".encode() + body


def form(*parts: bytes, end: bytes = b"--b--\r\n") -> bytes:
    body = b"".join(b"--b\r\n" + part + b"\r\n" for part in parts) + end
    return post("/file", body, "multipart/form-data; boundary=b")


def part(name: str, content: bytes = b"x", more: str = "") -> bytes:
    return f'Content-Disposition: form-data; name="{name}"{more}\r\n\r\n'.encode() + content


async def many_connections(a: Attacker) -> None:
    async def hold() -> None:
        with suppress(OSError):
            async with a.connected():
                await asyncio.sleep(max(0.0, a.until - time.monotonic()))
        a.answers["held"] += 1

    await asyncio.gather(*(hold() for _ in range(1000)))


async def slow(a: Attacker, beginning: bytes) -> None:
    async def one() -> None:
        with suppress(OSError):
            async with a.connected() as (_, writer):
                writer.write(beginning)
                while a.goes_on:
                    writer.write(b"x")
                    await asyncio.sleep(0.2)
        a.answers["held"] += 1

    await asyncio.gather(*(one() for _ in range(300)))


async def slow_heads(a: Attacker) -> None:
    await slow(a, b"POST /echo HTTP/1.1\r\nHost: a\r\nX: ")


async def slow_bodies(a: Attacker) -> None:
    await slow(a, b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n")


async def slow_forms(a: Attacker) -> None:
    head = b"POST /file HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\nContent-Type: multipart/form-data; boundary=b\r\n\r\n"
    await slow(a, head + b"--b\r\n" + part("f", b"", '; filename="a"'))


def endless_chunks() -> bytes:
    head = b"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
    return head + (b"100000\r\n" + b"x" * (1 << 20) + b"\r\n") * 130


def random_bytes(a: Attacker) -> bytes:
    good = [
        post("/echo", b'{"text": "a"}'),
        form(part("f", b"x" * 50, '; filename="a"')),
        b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
    ]
    data = bytearray(a.random.choice(good))
    for _ in range(a.random.randint(1, 20)):
        data[a.random.randrange(len(data))] = a.random.randrange(256)
    return a.random.randbytes(300) if a.random.random() < 0.3 else bytes(data) + b"\r\n\r\n"


PATHS = [
    "/static_content/../../../../../../etc/passwd", "/static_content/%2e%2e/%2e%2e/%2e%2e/etc/passwd", "/..%2f..%2fservice.py",
    "/static_content//etc/passwd", "/service.py", "/../service.py", "//etc/passwd", "/%00", "/secret.txt",
    "/static_content/..%5c..%5csecret.txt",
]  # fmt: skip
FILES = [
    post("/file", json.dumps({"f": name}).encode())
    for name in ("/etc/passwd", "secret.txt", "file:///etc/passwd", "http://127.0.0.1/")
] + [form(part("f", b"/etc/passwd")), form(part("f", b"x", '; filename="../../secret.txt"'))]


def flood(make: Callable[[Attacker], bytes], at_once: int = 4) -> Attack:
    return lambda a: a.flood(lambda: make(a), at_once)


def constant(request: bytes) -> Attack:
    return flood(lambda a: request)


# What is sent, and what it may be answered. `closed` is a connection that ends without an answer: the client broke off, or
# sent so much more that the answer was lost on its way.
ATTACKS: dict[str, tuple[Attack, set[str]]] = {
    "1000 idle connections": (many_connections, {"held"}),
    "300 slow heads": (slow_heads, {"held"}),
    "300 slow bodies": (slow_bodies, {"held"}),
    "300 slow uploads": (slow_forms, {"held"}),
    "10,000 headers": (constant(post("/echo", b"{}", **{f"x{i}": "y" for i in range(10_000)})), {"431", "closed"}),
    "a header of 1 MB": (constant(post("/echo", b"{}", x="y" * (1 << 20))), {"431", "closed"}),
    "a target of 1 MB": (constant(post("/" + "a" * (1 << 20), b"{}")), {"414", "431", "closed"}),
    "a length of 1 TB": (constant(post("/echo", b"{}", Content_Length=str(1 << 40))), {"413"}),
    "an upload of 1 TB": (
        constant(post("/file", b"", "multipart/form-data; boundary=b", Content_Length=str(1 << 40))),
        {"413"},
    ),
    "130 MB in chunks": (flood(lambda a: endless_chunks(), 1), {"413", "closed"}),
    "two lengths": (constant(post("/echo", b"{}", Content_length="3")), {"400"}),
    "a wrong length": (constant(post("/echo", b"{}", Content_Length="-5")), {"400"}),
    "100,000 parts": (constant(form(*[part("f")] * 100_000)), {"400", "closed"}),
    "a form without end": (constant(form(part("f", b"x" * 1000), end=b"")), {"400"}),
    "a part with 1 MB of headers": (constant(form(b"X: " + b"y" * (1 << 20) + b"\r\n\r\n")), {"400", "closed"}),
    "forms in forms": (
        constant(form(b'Content-Disposition: form-data; name="f"\r\nContent-Type: multipart/mixed; boundary=c\r\n\r\n')),
        {"400"},
    ),
    "deep JSON": (constant(post("/anything", b'{"value":' + b"[" * 100_000 + b"]" * 100_000 + b"}")), {"400"}),
    "deep models": (
        constant(post("/tree", b'{"tree":' + b'{"children":[' * 150 + b"]}" * 150 + b"}")),
        {"400"},
    ),
    "deep JSON in a form": (constant(form(part("f", b"[" * 100_000))), {"400"}),
    "long numbers": (constant(post("/anything", b'{"value": ' + b"9" * 100_000 + b"}")), {"400", "200"}),
    "gzip bombs": (constant(post("/echo", b"\x1f\x8b" + b"0" * 1000, Content_Encoding="gzip")), {"415"}),
    "pickles": (constant(post("/echo", b"\x80\x05.", "application/vnd.bentoml+pickle")), {"415"}),
    "random bytes": (flood(random_bytes), {"200", "400", "404", "405", "408", "413", "414", "415", "431", "501", "505", "closed", "nothing"}),
    "paths that leave": (
        flood(lambda a: f"GET {a.random.choice(PATHS)} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".encode()),
        {"400", "404"},
    ),
    "files of the server": (flood(lambda a: a.random.choice(FILES)), {"400", "200"}),
    "pages of others": (constant(post("/echo", b"{}", Origin="http://evil.example")), {"403"}),
    "names that lead here": (flood(lambda a: post("/echo", b"{}", Host=f"evil.example:{a.port}")), {"403"}),
}  # fmt: skip


async def neighbour(port: int, seconds: float) -> dict[str, object]:
    """Send small requests for a while; return how long they took and what was answered."""
    request = f"POST /echo HTTP/1.1\r\nHost: {HOST}:{port}\r\nContent-Type: application/json\r\nContent-Length: 13\r\n\r\n"
    reader, writer = await asyncio.open_connection(HOST, port)
    latencies: list[float] = []
    answers: Counter[str] = Counter()
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        began = time.perf_counter()
        writer.write(request.encode() + b'{"text": "a"}')
        head = await reader.readuntil(b"\r\n\r\n")
        length = re.search(rb"content-length: (\d+)", head)
        await reader.readexactly(int(length[1]) if length else 0)
        latencies.append((time.perf_counter() - began) * 1e3)
        answers[head[9:12].decode()] += 1
        await asyncio.sleep(PAUSE)
    writer.close()
    latencies.sort()
    return {
        "p50": latencies[len(latencies) // 2],
        "p99": latencies[len(latencies) * 99 // 100],
        "answers": dict(answers),
    }


def measured(port: int, seconds: float) -> subprocess.Popen[str]:
    command = [sys.executable, __file__, "--neighbour", str(port), "--seconds", str(seconds)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def told(process: subprocess.Popen[str]) -> dict[str, object]:
    output, _ = process.communicate(timeout=120)
    result: dict[str, object] = json.loads(output)
    return result


async def attacked(attack: Attack, port: int, seconds: float) -> tuple[Attacker, dict[str, object]]:
    attacker = Attacker(port, time.monotonic() + seconds + 0.5)
    beside = measured(port, seconds)
    try:
        async with asyncio.timeout(seconds + 60):
            await attack(attacker)
    finally:
        result = await asyncio.to_thread(told, beside)
    return attacker, result


def workers(pid: int) -> list[int]:
    """Return the children of the supervisor."""
    return [int(p) for p in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def problems(
    name: str, attacker: Attacker, beside: dict[str, object], expected: set[str], base: float
) -> list[str]:
    found = []
    if unexpected := set(attacker.answers) - expected:
        found.append(f"{name}: answered {sorted(unexpected)}, not only {sorted(expected)}")
    if attacker.leaked:
        found.append(f"{name}: an answer holds something of the server")
    if set(beside["answers"]) != {"200"}:  # type: ignore[call-overload]  # a mapping
        found.append(f"{name}: the neighbour was answered {beside['answers']}")
    if attacker.slowest > AT_ONCE and "held" not in expected and name != "130 MB in chunks":
        found.append(f"{name}: an answer took {attacker.slowest:.1f} s")
    return found


def run(port: int, pid: int, seconds: float, only: str) -> int:
    alone = told(measured(port, seconds))
    before = workers(pid)
    rows = [["alone", f"{alone['p50']:.2f}", f"{alone['p99']:.2f}", "", ""]]
    wrong: list[str] = []
    for name, (attack, expected) in ATTACKS.items():
        if only not in name:
            continue
        attacker, beside = asyncio.run(attacked(attack, port, seconds))
        counts = ", ".join(f"{n} x {answer}" for answer, n in sorted(attacker.answers.items()))
        slowest = f"{attacker.slowest * 1e3:.0f}" if attacker.slowest else ""
        rows.append([name, f"{beside['p50']:.2f}", f"{beside['p99']:.2f}", counts, slowest])
        wrong += problems(name, attacker, beside, expected, float(str(alone["p99"])))
        print(".", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    if workers(pid) != before:
        wrong.append("a worker was replaced")
    print(table(["attack", "neighbour's p50, ms", "p99, ms", "answers", "slowest, ms"], rows))
    print("\n".join(wrong) or "nothing wrong")
    return 1 if wrong else 0


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=3.0, help="how long each attack goes on (3)")
    parser.add_argument("--only", default="", help="only attacks with this in their name")
    parser.add_argument("--neighbour", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.neighbour:
        print(json.dumps(asyncio.run(neighbour(options.neighbour, options.seconds))))
        return 0
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "service.py").write_text(textwrap.dedent(SERVICE))
        (Path(folder) / "secret.txt").write_text(CANARY)
        log = Path(folder) / "log"
        with log.open("wb") as out:
            server = subprocess.Popen(
                [sys.executable, "-m", "bentoml", "serve", "service:Target", "--port", "0"],
                cwd=folder, env={**os.environ, "BENTOML_HOME": f"{folder}/home", "SECRET": CANARY}, stdout=out, stderr=out,
            )  # fmt: skip
        try:
            return run(_port(log), server.pid, options.seconds, options.only)
        finally:
            server.terminate()
            server.wait(30)


def _port(log: Path) -> int:
    for _ in range(600):
        if found := re.search(r"ready: http://[^:]+:(\d+)", log.read_text()):
            return int(found[1])
        time.sleep(0.05)
    raise SystemExit(f"the server did not become ready:\n{log.read_text()}")


if __name__ == "__main__":
    sys.exit(main())
