"""The sides of a benchmark of commands: each an environment with a store of its own, and what a command of it costs."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from _harness import Environment, environments, machine, middle, table, write_json


@dataclass(frozen=True)
class Side:
    """One implementation, and the folder in which it has stores and projects."""

    environment: Environment
    folder: Path

    @property
    def name(self) -> str:
        """How the table calls it."""
        return self.environment.name

    @property
    def python(self) -> Path:
        """Its interpreter."""
        return self.environment.python

    @property
    def bentoml(self) -> Path:
        """Its command."""
        return self.environment.folder / "bin" / "bentoml"

    def run(self, argv: Sequence[str | Path], *, cwd: Path | None = None, home: str = "home") -> float:
        """Run a command with one of its stores; return its processor seconds and those of all that it waited for."""
        with tempfile.TemporaryFile() as out:
            process = subprocess.Popen(
                argv, cwd=cwd or self.folder, env=self._env(home), stdin=subprocess.DEVNULL, stdout=out, stderr=out
            )  # fmt: skip
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
            if process.returncode:
                out.seek(0)
                text = out.read().decode(errors="replace")[-3000:]
                sys.exit(f"`{self.name}`: {' '.join(map(str, argv))} ended with {process.returncode}\n{text}")
        return usage.ru_utime + usage.ru_stime

    def _env(self, home: str) -> dict[str, str]:
        """Return the variables of its commands, which keep the byte code of modules as they do on a user's machine."""
        own = {"BENTOML_HOME": str(self.folder / home), "BENTOML_DO_NOT_TRACK": "True", "COLUMNS": "200"}
        return {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"} | own


def options(about: str | None, *, rounds: int) -> argparse.ArgumentParser:
    """Return what every benchmark of commands takes; each adds its own."""
    parser = argparse.ArgumentParser(
        description=about, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("--rounds", type=int, default=rounds, help=f"how often each is measured ({rounds})")
    parser.add_argument(
        "--with-bentoml", action="store_true", help="install BentoML from the package index if needed"
    )
    parser.add_argument(
        "--without", action="append", default=[], choices=["ours", "bentoml"], help="leave a side out"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every sample to a file")
    return parser


def sides(chosen: argparse.Namespace, folder: Path) -> list[Side]:
    """Return the sides to measure, each in a folder of its own."""
    found = environments(names=["ours", "bentoml"] if chosen.with_bentoml else ["ours"])
    names = [name for name in ("ours", "bentoml") if name in found and name not in chosen.without]
    made = [Side(found[name], folder / name) for name in names]
    for side in made:
        side.folder.mkdir(parents=True)
    return made


def report(
    samples: Mapping[str, Mapping[str, Sequence[float]]],
    measured: Sequence[Side],
    title: str,
    file: Path | None,
) -> None:
    """Print the median of each line and side, and write every sample where a file was named."""
    facts = {**machine(), "versions": {side.name: side.environment.version("bentoml") for side in measured}}
    print(f"{facts}\n\n{title}\n")
    names = [side.name for side in measured]
    rows = [
        [line, *(f"{middle(values[name]):.3f}" if name in values else "-" for name in names)]
        for line, values in samples.items()
    ]
    print(table(["", *names], rows))
    write_json(file, {**facts, "samples": samples})
