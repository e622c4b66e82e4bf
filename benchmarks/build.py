"""Measure `bentoml build`: the processor time of its whole process tree, and what an excluded folder costs.

Run ``python benchmarks/build.py [--rounds N] [--files N]``. Each round measures everything once, one after the other, so
that all see the machine in one state; what is printed is the median of the rounds. The first build, which makes the lock,
needs the package index and is not counted.
"""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1] / "tests" / "projects" / "minimal"
BUILD = [sys.executable, "-m", "bentoml", "build", "."]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--files", type=int, default=200_000, help="files in the excluded .venv")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bentoml-build-") as name:
        folder = Path(name)
        env = {**os.environ, "BENTOML_HOME": str(folder / "home")}
        small, large = project(folder / "small"), project(folder / "large")
        fill(large / ".venv", arguments.files)
        cases = {
            "python -c 'import bentoml.sdk.loader'": (["-c", "import bentoml.sdk.loader"], small),
            "bentoml build, lock in place": (BUILD[1:], small),
            f"the same beside a .venv of {arguments.files} files": (BUILD[1:], large),
        }
        for _, place in cases.values():
            subprocess.run(BUILD, cwd=place, env=env, check=True, capture_output=True)
        seconds: dict[str, list[float]] = {what: [] for what in cases}
        for _ in range(arguments.rounds):
            for what, (argv, place) in cases.items():
                seconds[what].append(processor_time([sys.executable, *argv], place, env))
    print(f"processor time of the process tree, median of {arguments.rounds} interleaved rounds")
    for what, times in seconds.items():
        print(f"  {what:48} {statistics.median(times):6.3f} s")


def project(folder: Path) -> Path:
    """Return a copy of the smallest project, without the setting that turns its lock off."""
    shutil.copytree(PROJECT, folder, ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "bentofile.yaml").unlink()
    return folder


def fill(folder: Path, count: int) -> None:
    for number in range(count):
        if number % 1000 == 0:
            (folder / str(number // 1000)).mkdir(parents=True)
        (folder / str(number // 1000) / f"{number}.py").touch()


def processor_time(argv: Sequence[str], place: Path, env: Mapping[str, str]) -> float:
    """Run a program and return the seconds that it and its children were on a processor."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(argv, cwd=place, env=env, check=True, capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


if __name__ == "__main__":
    main()
