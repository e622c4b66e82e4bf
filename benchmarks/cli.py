"""Measure the command line: processor seconds of each command, with all that it starts.

    python benchmarks/cli.py                      # this project beside `python -c pass`
    python benchmarks/cli.py --with-bentoml       # and BentoML from the package index

Each command runs as often as `--rounds` says, the sides in turn, and the median is shown: user and system time of the
process and of every child that it waited for, as the kernel reports it (wait4(2)). The environments are those of
`serve.py`. The store of each side is its own, in a temporary folder, with 200 models. `build` is that of
`apps/small` after one line of its source has changed; what an earlier build has resolved is there, so that neither
the network nor the resolver is measured. Linux only.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from _harness import APPS, Environment, environments, machine, middle, table, write_json

MODELS = 200


@dataclass(frozen=True)
class Side:
    """One implementation with a store and a project of its own."""

    environment: Environment
    folder: Path

    @property
    def name(self) -> str:
        """How the table calls it."""
        return self.environment.name

    @property
    def project(self) -> Path:
        """The project that it builds."""
        return self.folder / "project"

    def env(self) -> dict[str, str]:
        """Return the environment variables of its commands."""
        home = str(self.folder / "home")
        return {**os.environ, "BENTOML_HOME": home, "BENTOML_DO_NOT_TRACK": "True", "COLUMNS": "200"}

    def prepare(self) -> None:
        """Fill the store, and build once so that what needs the network is done."""
        shutil.copytree(APPS / "small", self.project)
        self.run([self.environment.python, APPS / "make_models.py", str(MODELS)])
        self.run([self.environment.folder / "bin" / "bentoml", "build", "."])

    def run(self, argv: Sequence[str | Path]) -> float:
        """Run a command in the project's folder and return its processor seconds."""
        with tempfile.TemporaryFile() as out:
            process = subprocess.Popen(argv, cwd=self.project, env=self.env(), stdout=out, stderr=out)
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
            if process.returncode:
                out.seek(0)
                text = out.read().decode(errors="replace")[-3000:]
                sys.exit(f"`{self.name}`: {' '.join(map(str, argv))} ended with {process.returncode}\n{text}")
        return usage.ru_utime + usage.ru_stime

    def change_project(self, number: int) -> None:
        """Change one line of the source, to what it has not been before."""
        source = (APPS / "small" / "service.py").read_text()
        (self.project / "service.py").write_text(
            source.replace("text.upper()", f"text.upper() * {number + 2}")
        )


def commands(side: Side) -> dict[str, list[str | Path]]:
    """Return what is measured, by its name in the table."""
    python, bentoml = side.environment.python, side.environment.folder / "bin" / "bentoml"
    return {
        "python -c pass": [python, "-c", "pass"],
        "import bentoml": [python, "-c", "import bentoml"],
        "bentoml --version": [bentoml, "--version"],
        "bentoml --help": [bentoml, "--help"],
        f"bentoml models list, {MODELS} models": [bentoml, "models", "list"],
        "bentoml build, one line changed": [bentoml, "build", "."],
    }


def measure(sides: Sequence[Side], rounds: int) -> dict[str, dict[str, list[float]]]:
    """Return the processor seconds by command and side."""
    seconds: dict[str, dict[str, list[float]]] = {}
    for number in range(rounds):
        for side in sides:
            side.change_project(number)
            for name, argv in commands(side).items():
                seconds.setdefault(name, {}).setdefault(side.name, []).append(side.run(argv))
    return seconds


def _print(
    seconds: Mapping[str, Mapping[str, Sequence[float]]], sides: Sequence[Side], facts: object
) -> None:
    names = [side.name for side in sides]
    print(f"{facts}\n\nprocessor seconds, median of the rounds\n")
    rows = [[name, *(f"{middle(values[n]):.3f}" for n in names)] for name, values in seconds.items()]
    print(table(["", *names], rows))


def main() -> None:
    """Measure what the command line asks for and print it."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("--rounds", type=int, default=7, help="how often each command runs (7)")
    parser.add_argument(
        "--with-bentoml", action="store_true", help="install BentoML from the package index if needed"
    )
    parser.add_argument(
        "--without", action="append", default=[], choices=["ours", "bentoml"], help="leave a side out"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every sample to a file")
    options = parser.parse_args()
    names = ["ours", "bentoml"] if options.with_bentoml else ["ours"]
    found = environments(names=names)
    chosen = [e for name, e in found.items() if name in ("ours", "bentoml") and name not in options.without]
    with tempfile.TemporaryDirectory(prefix="bentoml-benchmark-") as temporary:
        sides = [Side(environment, Path(temporary) / environment.name) for environment in chosen]
        for side in sides:
            side.prepare()
        seconds = measure(sides, options.rounds)
    facts = {**machine(), "versions": {s.name: s.environment.version("bentoml") for s in sides}}
    _print(seconds, sides, facts)
    write_json(options.json, {**facts, "seconds": seconds})


if __name__ == "__main__":
    main()
