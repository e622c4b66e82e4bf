"""Measure the command line: processor seconds of each command, with all that it starts.

    python benchmarks/cli.py                      # this project beside `python -c pass`
    python benchmarks/cli.py --with-bentoml       # and BentoML from the package index

Each command runs as often as `--rounds` says, the sides in turn, and the median is shown: user and system time of the
process and of every child that it waited for, as the kernel reports it (wait4(2)). The environments are those of
`serve.py`. The stores of each side are its own, in a temporary folder. What builds cost is in `build.py`. Linux only.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from _commands import Side, options, report, sides
from _harness import APPS

COUNTS = (200, 2000)


def prepare(side: Side) -> None:
    """Fill a store for each number of models."""
    for count in COUNTS:
        side.run([side.python, APPS / "make_models.py", str(count)], home=f"home-{count}")


def commands(side: Side) -> Mapping[str, tuple[Sequence[str | Path], str]]:
    """Return what is measured, by its name in the table: a command and the store that it sees."""
    python, bentoml = side.python, side.bentoml
    light: dict[str, Sequence[str | Path]] = {
        "python -c pass": [python, "-c", "pass"],
        "import bentoml": [python, "-c", "import bentoml"],
        "bentoml --version": [bentoml, "--version"],
        "bentoml --help": [bentoml, "--help"],
    }
    lists: dict[str, tuple[Sequence[str | Path], str]] = {
        f"bentoml models list, {count} models": ([bentoml, "models", "list"], f"home-{count}")
        for count in COUNTS
    }
    return {**{name: (argv, "home") for name, argv in light.items()}, **lists}


def main() -> None:
    """Measure what the command line asks for and print it."""
    chosen = options(__doc__, rounds=7).parse_args()
    samples: dict[str, dict[str, list[float]]] = {}
    with tempfile.TemporaryDirectory(prefix="bentoml-benchmark-") as temporary:
        measured = sides(chosen, Path(temporary))
        for side in measured:
            prepare(side)
        for _ in range(chosen.rounds):
            for side in measured:
                for name, (argv, home) in commands(side).items():
                    seconds = side.run(argv, home=home)
                    samples.setdefault(name, {}).setdefault(side.name, []).append(seconds)
    report(samples, measured, "processor seconds, median of the rounds", chosen.json)


if __name__ == "__main__":
    main()
