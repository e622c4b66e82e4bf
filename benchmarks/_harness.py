"""What the benchmarks share: environments, servers, and what a tree of processes has used.

Linux only: processor time and memory are read from the kernel (`/proc` and the processes' own clocks).
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from statistics import median

HERE = Path(__file__).resolve().parent
APPS = HERE / "apps"
PROJECT = HERE.parent
HOST = "127.0.0.1"
READY_SECONDS = 60.0
STOP_SECONDS = 15.0

# What each side installs. Ours is editable, so that a change of the tree is measured without installing again.
_UVICORN = ["uvicorn", "uvloop", "httptools", "orjson", "numpy", "scikit-learn"]
PACKAGES: dict[str, list[str]] = {
    "raw": [*_UVICORN, "pydantic"],
    "starlette": [*_UVICORN, "pydantic", "starlette", "python-multipart"],
    "fastapi": [*_UVICORN, "fastapi", "python-multipart"],
    "litserve": [*_UVICORN, "litserve"],
    "ours": ["--editable", f"{PROJECT}[numpy]", "scikit-learn"],
    "bentoml": ["bentoml", "numpy", "scikit-learn", "uv"],
}
PRODUCT = {
    "raw": "uvicorn",
    "ours": "bentoml",
}  # whose version is shown, where it is not that of the side's name
OTHERS = (
    "starlette",
    "fastapi",
    "litserve",
    "bentoml",
)  # measured when their environment is there or is asked for


def cache_folder() -> Path:
    """Return where environments are kept between runs."""
    root = os.environ.get("XDG_CACHE_HOME")
    return (Path(root) if root else Path.home() / ".cache") / "bentoml-benchmarks"


@dataclass(frozen=True)
class Environment:
    """A virtual environment with one of the sides in it."""

    name: str
    folder: Path

    @property
    def python(self) -> Path:
        """Its interpreter."""
        return self.folder / "bin" / "python"

    def exists(self) -> bool:
        """Say whether everything was installed into it."""
        complete = self.folder / "complete"
        return complete.exists() and complete.read_text() == self._made_of()

    def make(self) -> None:
        """Create it and install its packages from the package index."""
        uv = shutil.which("uv", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
        if uv is None:
            sys.exit("uv is not on the path; install it with `pip install uv`")
        print(f"making the environment of `{self.name}` in {self.folder}", file=sys.stderr)
        subprocess.run(
            [uv, "venv", "--quiet", "--clear", "--python", sys.executable, self.folder], check=True
        )
        install = [
            uv,
            "pip",
            "install",
            "--quiet",
            "--compile-bytecode",
            "--python",
            self.python,
            *PACKAGES[self.name],
        ]
        subprocess.run([str(a) for a in install], check=True)
        (self.folder / "complete").write_text(self._made_of())

    def _made_of(self) -> str:
        return " ".join(PACKAGES[self.name])

    def version(self, package: str) -> str:
        """Return the version of a package that is installed in it."""
        code = f"import importlib.metadata as m; print(m.version({package!r}))"
        return subprocess.run(
            [self.python, "-c", code], check=True, capture_output=True, text=True
        ).stdout.strip()


def environments(*, names: Sequence[str] = ("raw", "ours"), wanted: bool = False) -> dict[str, Environment]:
    """Return the sides to measure, in their order: the others than these are among them if they are there, or wanted."""
    sides = {name: Environment(name, cache_folder() / name) for name in PACKAGES}
    sides = {name: side for name, side in sides.items() if name in names or wanted or side.exists()}
    for side in sides.values():
        if not side.exists():
            side.make()
    return sides


def process_tree(root: int) -> list[int]:
    """Return a process and all that descend from it."""
    found = [root]
    for pid in found:
        for children in Path(f"/proc/{pid}/task").glob("*/children"):
            try:
                found.extend(int(child) for child in children.read_text().split())
            except OSError:  # it has ended
                continue
    return found


def cpu_seconds(root: int) -> float:
    """Return the processor time, user and system, that a process tree has used, its ended children included.

    A living process is asked by its own clock, in nanoseconds (clock_getcpuclockid(3)): `/proc/PID/stat` counts in
    hundredths of a second, too coarse for some thousand requests of 20 microseconds. It gives the ended children.
    """
    total = 0.0
    ticks = os.sysconf("SC_CLK_TCK")
    for pid in process_tree(root):
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            total += time.clock_gettime(~pid << 3 | 2) + (int(fields[13]) + int(fields[14])) / ticks
        except OSError:  # it has ended
            continue
    return total


def pss_bytes(root: int) -> int:
    """Return the memory of a process tree, each shared page divided among those that share it."""
    total = 0
    for pid in process_tree(root):
        try:
            rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
        except OSError:  # it has ended
            continue
        if found := re.search(r"^Pss:\s+(\d+) kB", rollup, re.MULTILINE):
            total += int(found[1]) * 1024
    return total


@dataclass(frozen=True)
class Server:
    """A server that runs: its root process, its port, and the processor time that it took to become ready."""

    name: str
    process: subprocess.Popen[bytes]
    port: int
    start_cpu: float
    start_wall: float

    @property
    def pid(self) -> int:
        """The root of its process tree."""
        return self.process.pid


@contextmanager
def serving(
    name: str, argv: Sequence[str | Path], *, env: Mapping[str, str], folder: Path
) -> Iterator[Server]:
    """Run a server until the block ends; ``{port}`` in ``argv`` stands for a free port, its log goes to ``folder``."""
    port = _free_port()
    log = folder / f"{name}.log"
    with log.open("wb") as out:
        began = time.perf_counter()
        process = subprocess.Popen(
            [str(a).replace("{port}", str(port)) for a in argv],
            cwd=APPS, env=_environment(env), stdin=subprocess.DEVNULL, stdout=out, stderr=out,
            start_new_session=True,
        )  # fmt: skip
    try:
        _wait_until_ready(name, process, port, log)
        yield Server(name, process, port, cpu_seconds(process.pid), time.perf_counter() - began)
    finally:
        _stop(process)


def _environment(env: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of a server, which keeps the byte code of its modules as it does on a user's machine."""
    return {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"} | dict(env)


def _free_port() -> int:
    with socket.create_server((HOST, 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def _wait_until_ready(name: str, process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            break
        try:
            with urllib.request.urlopen(f"http://{HOST}:{port}/readyz", timeout=1):
                return
        except OSError:
            time.sleep(0.02)
    raise SystemExit(f"`{name}` did not become ready:\n{log.read_text(errors='replace')[-4000:]}")


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        print(
            f"process {process.pid} did not stop within {STOP_SECONDS:.0f} s and is killed", file=sys.stderr
        )
    with suppress(ProcessLookupError):  # the group that `start_new_session` made: whatever it left behind
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table with its columns lined up, the first to the left and the others to the right."""
    widths = [max(len(row[i]) for row in [header, *rows]) for i in range(len(header))]
    rule = ["-" * widths[0], *("-" * (w - 1) + ":" for w in widths[1:])]
    lines = [header, rule, *rows]
    return "\n".join(
        "| " + " | ".join(c.ljust(w) if not i else c.rjust(w) for i, (c, w) in enumerate(zip(line, widths, strict=True))) + " |"
        for line in lines
    )  # fmt: skip


def machine() -> dict[str, object]:
    """Return what a reader must know to compare numbers."""
    cpu = re.search(r"model name\s*:\s*(.*)", Path("/proc/cpuinfo").read_text())
    return {
        "python": sys.version.split()[0],
        "cores": len(os.sched_getaffinity(0)),
        "cpu": cpu[1] if cpu else "unknown",
        "kernel": os.uname().release,
    }


def write_json(file: Path | None, value: Mapping[str, object]) -> None:
    """Write all that was measured for programs, where a file was named."""
    if file is not None:
        file.write_text(json.dumps(value, indent=1) + "\n")


def middle(values: Sequence[float]) -> float:
    """Return the median."""
    return float(median(values))
