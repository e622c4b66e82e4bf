"""Measure the store: saving a model beside hashing its files once, and what saving the same again takes.

    python benchmarks/store.py                    # this project beside hashing
    python benchmarks/store.py --with-bentoml     # and BentoML from the package index

Each measurement is a process of its own; those of a round follow one another, so that each round sees the machine in one state, and
the median of the rounds is shown. Writing the files is the user's own work and is not counted; keeping them is, and
syncing them to the disk where that is done. The model is noise, new in each round.
"""

from __future__ import annotations

import os
import secrets
import subprocess
import tempfile
from collections import defaultdict
from pathlib import Path

from _commands import Side, options, sides
from _harness import machine, middle, table, write_json

# What a process does: write a model as the user would, and say how long the store took to keep it.
SAVE = """
import os, sys, time
import bentoml
megabytes, files, noise = int(sys.argv[1]), int(sys.argv[2]), open(sys.argv[3], "rb").read()
with bentoml.models.create("bench") as model:
    for number in range(files):
        with open(os.path.join(model.path, f"weights-{number}.bin"), "wb") as file:
            file.write(b"%d" % number)
            for _ in range(megabytes // files):
                file.write(noise)
    wall, cpu = time.perf_counter(), time.process_time()
print(time.perf_counter() - wall, time.process_time() - cpu)
"""
# The limit: read the same files, and hash them in one thread.
HASH = """
import hashlib, os, sys, time
folder = sys.argv[1]
wall, cpu = time.perf_counter(), time.process_time()
for name in os.listdir(folder):
    with open(os.path.join(folder, name), "rb") as file:
        hashlib.file_digest(file, "sha256")
print(time.perf_counter() - wall, time.process_time() - cpu)
"""


def main() -> None:
    """Measure what the command line asks for and print it."""
    parser = options(__doc__, rounds=5)
    parser.add_argument("--size", type=int, default=500, help="megabytes of the model (500)")
    parser.add_argument("--files", type=int, default=1, help="files of the model (1)")
    parser.add_argument(
        "--folder", default="/var/tmp", help="where the stores are made; a real disk (/var/tmp)"
    )
    chosen = parser.parse_args()
    samples: dict[str, list[tuple[float, float, int]]] = defaultdict(list)
    with tempfile.TemporaryDirectory(prefix="bentoml-store-", dir=chosen.folder) as temporary:
        measured = sides(chosen, Path(temporary))
        for _ in range(chosen.rounds):
            noise = Path(temporary, "noise")
            noise.write_bytes(secrets.token_bytes(1 << 20))
            for side in measured:
                arguments = (str(chosen.size), str(chosen.files), str(noise))
                samples[f"{side.name}: save"].append(save(side, *arguments))
                if side.name == "ours":
                    samples["hash it once"].append((*timed(side, HASH, str(saved(side))), 0))
                samples[f"{side.name}: save the same again"].append(save(side, *arguments))
                side.run([side.bentoml, "models", "delete", "-y", "bench"])
    facts = {**machine(), "versions": {side.name: side.environment.version("bentoml") for side in measured}}
    show(samples, facts, chosen.size)
    write_json(chosen.json, {**facts, "samples": samples})


def save(side: Side, *arguments: str) -> tuple[float, float, int]:
    """Save a model; return the seconds, the processor seconds, and the bytes by which the store grew."""
    before = used(side.folder)
    wall, cpu = timed(side, SAVE, *arguments)
    return wall, cpu, used(side.folder) - before


def saved(side: Side) -> Path:
    """Return the folder of the model that was saved last."""
    return max(
        (side.folder / "home" / "models" / "bench").glob("*/"), key=lambda folder: folder.stat().st_mtime
    )


def timed(side: Side, code: str, *arguments: str) -> tuple[float, float]:
    """Run code in a process of a side, which prints the seconds that it measured itself, and those of the processor."""
    env = {**os.environ, "BENTOML_HOME": str(side.folder / "home"), "BENTOML_DO_NOT_TRACK": "True"}
    argv = [str(side.python), "-c", code, *arguments]
    done = subprocess.run(argv, env=env, capture_output=True, text=True, check=True)
    wall, cpu = done.stdout.splitlines()[-1].split()
    return float(wall), float(cpu)


def used(folder: Path) -> int:
    """Return the bytes that a folder takes on the disk, each file counted once whatever its names."""
    seen = {(s.st_dev, s.st_ino): s.st_blocks * 512 for f in folder.rglob("*") if (s := f.lstat())}
    return sum(seen.values())


def show(samples: dict[str, list[tuple[float, float, int]]], facts: object, megabytes: int) -> None:
    """Print the median of each line; its share of hashing is that of the medians."""
    middles = {line: [middle(column) for column in zip(*runs, strict=True)] for line, runs in samples.items()}
    limit = middles["hash it once"][0]
    rows = [
        [line, f"{wall:.3f}", f"{cpu:.3f}", f"{wall / limit:.2f}", f"{grown / 1e6:+.1f}"]
        for line, (wall, cpu, grown) in middles.items()
    ]
    print(f"{facts}\n\na model of {megabytes} MB, median of the rounds\n")
    print(table(["", "seconds", "CPU s", "of hashing it", "MB on disk"], rows))


if __name__ == "__main__":
    main()
