"""Measure `bentoml containerize`: cold, unchanged, after one changed line, and with another model.

Run ``python benchmarks/images.py --base-image debs:bookworm [--model MB] [--rounds N] [--output type=oci,dest=DIR]``.
Without ``--output`` the image goes into the local Docker engine. Each command runs in a process of its own, as a user's
does; wall time, processor time of its whole process tree, and its largest resident set are shown. `cold` starts with an
empty image cache (uv's own cache is left as it is, the base is made or pulled again).
"""

from __future__ import annotations

import argparse
import os
import resource
import secrets
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from bentoml.config import Home
from bentoml.store.models import ModelStore

SERVICE = """
import bentoml


@bentoml.service
class Bench:
    weights = bentoml.models.get("bench:latest")

    @bentoml.api
    def call(self, number: int) -> int:
        return number + {number}
"""


@dataclass(frozen=True)
class Cost:
    """What one command took: seconds of wall and processor time, megabytes of memory."""

    wall: float
    cpu: float
    memory: float


class Bench:
    """A project, a store, and the commands that are measured."""

    def __init__(self, root: Path, arguments: argparse.Namespace) -> None:
        self.home, self.project = Home(root / "home"), root / "project"
        self.project.mkdir()
        (self.project / "bentofile.yaml").write_text("service: service:Bench\nmodels: ['bench:latest']\n")
        self.env = {**os.environ, "BENTOML_HOME": str(self.home.root)}
        self.env.pop(
            "PYTHONDONTWRITEBYTECODE", None
        )  # else each command compiles every module that it imports
        self.options = ["--base-image", arguments.base_image] if arguments.base_image else []
        self.options += ["--output", arguments.output] if arguments.output else []
        self.megabytes: int = arguments.model

    def save_model(self) -> None:
        chunk = secrets.token_bytes(1 << 20)
        with ModelStore(self.home).create("bench") as model, open(f"{model.path}/weights.bin", "wb") as file:
            for _ in range(self.megabytes):
                file.write(chunk)

    def build(self, number: int) -> None:
        (self.project / "service.py").write_text(SERVICE.format(number=number))
        self._run("build")

    def containerize(self) -> Cost:
        before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
        self._run("containerize", "bench:latest", *self.options)
        wall, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
        cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        return Cost(wall, cpu, after.ru_maxrss / 1024)

    def forget(self) -> None:
        shutil.rmtree(self.home.cache, ignore_errors=True)

    def _run(self, *arguments: str) -> None:
        command = [sys.executable, "-m", "bentoml", *arguments]
        subprocess.run(command, cwd=self.project, env=self.env, check=True, capture_output=True)


def main() -> None:
    arguments = parse()
    costs: dict[str, list[Cost]] = {}
    with tempfile.TemporaryDirectory(prefix="bentoml-images-", dir=arguments.folder) as folder:
        bench = Bench(Path(folder), arguments)
        for number in range(arguments.rounds):
            measure(bench, number, costs)
    print(f"containerize with a model of {arguments.model} MB, medians of {arguments.rounds} rounds")
    for what, taken in costs.items():
        wall, cpu = (statistics.median(getattr(cost, unit) for cost in taken) for unit in ("wall", "cpu"))
        print(f"  {what:<22} {wall:7.2f} s  {cpu:7.2f} s of processor time")
    print(f"  largest resident set   {max(c.memory for taken in costs.values() for c in taken):7.0f} MB")


def measure(bench: Bench, number: int, costs: dict[str, list[Cost]]) -> None:
    """Take each measurement once, one after the other, so that all see the machine in one state."""

    def taken(what: str) -> None:
        costs.setdefault(what, []).append(bench.containerize())

    bench.save_model()
    bench.build(2 * number)
    bench.forget()
    taken("cold, new model")
    taken("unchanged")
    bench.build(2 * number + 1)
    taken("one changed line")
    bench.save_model()
    bench.build(2 * number + 1)
    taken("new model")


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--base-image", help="as of `bentoml containerize`")
    parser.add_argument("--output", help="as of `bentoml containerize`")
    parser.add_argument("--model", type=int, default=200, help="megabytes of the model")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--folder", default="/var/tmp", help="where everything is made; a real disk")
    return parser.parse_args()


if __name__ == "__main__":
    main()
