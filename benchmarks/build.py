"""Measure `bentoml build`: processor seconds of its whole process tree, and what an excluded folder costs.

    python benchmarks/build.py                    # this project beside importing the service, which no build can do without
    python benchmarks/build.py --with-bentoml     # and BentoML from the package index

The project is `apps/small`. Each round measures everything once, the sides in turn, and the median is shown. Ours has a lock, which is
kept; BentoML, which has none and asks the package index at each build, is told to lock nothing (`lock_packages: false`), so that neither
the network nor the resolver is measured. The first build, which makes the lock, needs the package index and is not counted.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from _commands import Side, options, report, sides
from _harness import APPS

SMALL = APPS / "small"


def prepare(side: Side, files: int) -> None:
    """Make the two projects, and build each once."""
    for name in ("small", "large"):
        project = side.folder / name
        shutil.copytree(SMALL, project, ignore=shutil.ignore_patterns("__pycache__"))
        if side.name == "ours":
            (project / "bentofile.yaml").write_text('service: "service:Small"\ninclude: ["*.py"]\n')
    fill(side.folder / "large" / ".venv", files)
    for name in ("small", "large"):
        build(side, name)
        if side.name == "ours":
            pin_base(side.folder / name / "bentofile.lock")


def pin_base(lock: Path) -> None:
    """Let the lock hold a digest of the base image, as it does wherever a build has reached the registry once."""
    text = lock.read_text()
    if "[bases]" not in text:
        version = f"{sys.version_info.major}.{sys.version_info.minor}"
        lock.write_text(f'{text}\n[bases]\n"python:{version}-slim" = "sha256:{"0" * 64}"\n')


def fill(folder: Path, count: int) -> None:
    """Make as many files, a thousand in each folder."""
    for number in range(count):
        if number % 1000 == 0:
            (folder / str(number // 1000)).mkdir(parents=True)
        (folder / str(number // 1000) / f"{number}.py").touch()


def change(side: Side, name: str, number: int) -> None:
    """Change one line of the source, to what it has not been before."""
    text = (SMALL / "service.py").read_text().replace("text.upper()", f"text.upper() * {number + 2}")
    (side.folder / name / "service.py").write_text(text)


def build(side: Side, name: str) -> float:
    """Build a project."""
    return side.run([side.bentoml, "build", "."], cwd=side.folder / name)


def cases(files: int) -> dict[str, Callable[[Side], float]]:
    """Return what is measured, in its order: a change comes before the build that takes it in."""
    return {
        "import the service": lambda side: side.run(
            [side.python, "-c", "import service"], cwd=side.folder / "small"
        ),
        "bentoml build, one line changed": lambda side: build(side, "small"),
        "the same, nothing changed": lambda side: build(side, "small"),
        f"one line changed, beside a .venv of {files} files": lambda side: build(side, "large"),
    }


def main() -> None:
    """Measure what the command line asks for and print it."""
    parser = options(__doc__, rounds=9)
    parser.add_argument("--files", type=int, default=200_000, help="files in the excluded .venv (200,000)")
    chosen = parser.parse_args()
    samples: dict[str, dict[str, list[float]]] = {}
    with tempfile.TemporaryDirectory(prefix="bentoml-build-") as temporary:
        measured = sides(chosen, Path(temporary))
        for side in measured:
            prepare(side, chosen.files)
        for number in range(chosen.rounds):
            for side in measured:
                for name in ("small", "large"):
                    change(side, name, number)
                for case, run in cases(chosen.files).items():
                    samples.setdefault(case, {}).setdefault(side.name, []).append(run(side))
    report(samples, measured, "processor seconds of the process tree, median of the rounds", chosen.json)


if __name__ == "__main__":
    main()
