"""Measure archives: exporting and importing a model, beside BentoML and beside copying the file once.

    python benchmarks/archives.py                               # this project beside copying
    python benchmarks/archives.py --with-bentoml --size 100     # and BentoML from the package index, which takes a minute each

Each measurement is a process of its own, and those of a round follow one another, so that each round sees the machine in
one state; what is printed is the median of the rounds. The model is noise, as weights are for a compressor.
"""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from collections import defaultdict
from pathlib import Path

from _commands import options, sides
from _harness import machine, middle, table, write_json

# What a process does: `action`, with the model store of BENTOML_HOME, `path` and `size`; then it says what that took.
CHILD = """
import json, os, resource, shutil, sys, time
action, path = sys.argv[1:3]
if action in ("save", "export", "import"):
    import bentoml
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
before, wall, cpu = peak(), time.perf_counter(), time.process_time()
if action == "save":
    with bentoml.models.create("bench") as model:
        with open(os.path.join(model.path, "weights.bin"), "wb") as file:
            for _ in range(int(sys.argv[3])):
                file.write(os.urandom(1 << 20))
elif action == "export":
    bentoml.models.export_model("bench", path)
elif action == "import":
    bentoml.models.import_model(path)
elif action == "copy":
    with open(path, "rb") as source, open(path + ".copy", "wb") as target:
        shutil.copyfileobj(source, target, 1 << 20)
        target.flush()
        os.fsync(target.fileno())
print(json.dumps([time.process_time() - cpu, time.perf_counter() - wall, peak() - before]))
"""
ENDINGS = ("bentomodel", "gz", "tar", "zip")


def main() -> None:
    """Measure what the command line asks for and print it."""
    parser = options(__doc__, rounds=3)
    parser.add_argument("--size", type=int, default=500, help="megabytes of the model (500)")
    parser.add_argument(
        "--folder", default="/var/tmp", help="where the stores are made; a real disk (/var/tmp)"
    )
    chosen = parser.parse_args()
    found: dict[str, list[list[float]]] = defaultdict(list)
    with tempfile.TemporaryDirectory(prefix="bentoml-archives-", dir=chosen.folder) as folder:
        for number in range(chosen.rounds):
            for side in sides(chosen, Path(folder, str(number))):
                measure(side.folder, side.name, str(side.python), chosen.size, found)
    print(f"{machine()}\n\n{chosen.size} MB of noise, median of {chosen.rounds} interleaved rounds\n")
    rows = [[what, *_shown(rounds)] for what, rounds in found.items()]
    print(table(["", "CPU s", "seconds", "MB of memory"], rows))
    write_json(chosen.json, {**machine(), "samples": found})


def _shown(rounds: list[list[float]]) -> list[str]:
    cpu, wall, memory = (middle(column) for column in zip(*rounds, strict=True))
    return [f"{cpu:.2f}", f"{wall:.2f}", f"{memory:+.0f}"]


def measure(folder: Path, who: str, python: str, size: int, found: dict[str, list[list[float]]]) -> None:
    child(python, folder / "home", "save", "", str(size))
    for ending in ENDINGS:
        archive = folder / f"model.{ending}"
        found[f"{who}: export to .{ending}"].append(child(python, folder / "home", "export", str(archive)))
        if who == "ours" and ending == "tar":
            found["copy the archive once"].append(child(python, folder / "home", "copy", str(archive)))
        found[f"{who}: import of .{ending}"].append(
            child(python, folder / f"into-{ending}", "import", str(archive))
        )
        archive.unlink()
    for file in sorted(folder.rglob("*"), reverse=True):
        file.rmdir() if file.is_dir() and not file.is_symlink() else file.unlink()


def child(python: str, home: Path, *arguments: str) -> list[float]:
    env = {**os.environ, "BENTOML_HOME": str(home), "BENTOML_DO_NOT_TRACK": "True"}
    done = subprocess.run(
        [python, "-c", CHILD, *arguments], env=env, capture_output=True, text=True, check=True
    )
    measured: list[float] = json.loads(done.stdout.splitlines()[-1])
    return measured


if __name__ == "__main__":
    main()
