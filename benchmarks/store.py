"""Measure the store: saving 500 MB beside hashing it once, and the processor time of `bentoml models list`.

Run ``python benchmarks/store.py [--size MB] [--files N] [--rounds N]``. The measurements of a round are taken one after
the other, so that each round sees the machine in one state; what is printed is the median of the rounds. Writing the
files is the user's own work and is not counted; syncing them to the disk is.
"""

from __future__ import annotations

import argparse
import os
import resource
import secrets
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from bentoml.config import Home
from bentoml.store.digest import Digest
from bentoml.store.models import ModelStore


def main() -> None:
    arguments = parse()
    with tempfile.TemporaryDirectory(prefix="bentoml-store-", dir=arguments.folder) as folder:
        home = Home(Path(folder))
        saving(home, arguments.size, arguments.files, arguments.rounds)
        listing(home, arguments.models, arguments.rounds)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--size", type=int, default=500, help="megabytes of a model")
    parser.add_argument("--files", type=int, default=1, help="files of a model")
    parser.add_argument("--models", type=int, default=200, help="models to list")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--folder", default="/var/tmp", help="where the store is made; a real disk")
    return parser.parse_args()


def saving(home: Home, megabytes: int, files: int, rounds: int) -> None:
    store = ModelStore(home)
    hashes, firsts, seconds, growth = [], [], [], []
    for _ in range(rounds):
        chunk = secrets.token_bytes(1 << 20)
        hashes.append(hash_once(home, chunk, megabytes, files))
        firsts.append(save(store, chunk, megabytes, files))
        before = used(home.root)
        seconds.append(save(store, chunk, megabytes, files))
        growth.append(used(home.root) - before)
        store.delete("bench")
    limit = statistics.median(hashes)
    print(f"{megabytes} MB in {files} file(s), wall time, median of {rounds} interleaved rounds")
    for what, times in [
        ("hash once, one thread", hashes),
        ("save, first time", firsts),
        ("save again", seconds),
    ]:
        print(f"  {what:24} {statistics.median(times):6.3f} s  {statistics.median(times) / limit:5.2f}x")
    print(f"  disk taken by saving again: {max(growth)} bytes")


def listing(home: Home, count: int, rounds: int) -> None:
    store = ModelStore(home)
    for number in range(count):
        with store.create(f"model-{number % 20}", labels={"run": str(number)}) as model:
            for part in range(5):
                Path(model.path, f"part-{part}.bin").write_bytes(b"%d %d" % (number, part))
    env = {**os.environ, "BENTOML_HOME": str(home.root)}
    print(f"processor time of a whole process, median of {rounds} interleaved rounds")
    commands = {
        "python -c pass": [sys.executable, "-c", "pass"],
        "bentoml --version": [sys.executable, "-m", "bentoml", "--version"],
        f"bentoml models list, {count} models": [sys.executable, "-m", "bentoml", "models", "list"],
    }
    times: dict[str, list[float]] = {name: [] for name in commands}
    for _ in range(rounds):
        for name, argv in commands.items():
            times[name].append(cpu(argv, env))
    for name, seconds in times.items():
        print(f"  {name:34} {statistics.median(seconds):6.3f} s")


def hash_once(home: Home, chunk: bytes, megabytes: int, files: int) -> float:
    folder = home.root / "limit"
    folder.mkdir()
    write(folder, chunk, megabytes, files)
    started = time.perf_counter()
    for file in sorted(folder.iterdir()):
        Digest.of_file(file)
    taken = time.perf_counter() - started
    for file in folder.iterdir():
        file.unlink()
    folder.rmdir()
    return taken


def save(store: ModelStore, chunk: bytes, megabytes: int, files: int) -> float:
    with store.create("bench") as model:
        write(Path(model.path), chunk, megabytes, files)
        started = time.perf_counter()
    return time.perf_counter() - started


def write(folder: Path, chunk: bytes, megabytes: int, files: int) -> None:
    for number in range(files):
        with (folder / f"weights-{number}.bin").open("wb") as file:
            file.write(b"%d" % number)
            for _ in range(megabytes // files):
                file.write(chunk)


def used(folder: Path) -> int:
    seen = {(s.st_dev, s.st_ino): s.st_blocks * 512 for f in folder.rglob("*") if (s := f.lstat())}
    return sum(seen.values())


def cpu(argv: list[str], env: dict[str, str]) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(argv, env=env, check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


if __name__ == "__main__":
    main()
