"""Measure images side by side: ours, a good Dockerfile by hand under BuildKit, and BentoML's `containerize`.

Run ``python benchmarks/images.py [--model MB] [--rounds N] [--with-bentoml] [--torch] [--base python:3.11-slim]``; with
``--quick`` once, with a small model. It takes a Docker engine (``scripts/engine python benchmarks/images.py`` starts one)
and Debian's `docker-registry`. All sides build upon one base, in the engine and in a registry on loopback: the given one, or a
stand-in for `python:3.11-slim` made by debootstrap, which takes root.

Each round begins with empty caches (ours, uv's, BuildKit's) and goes through the same steps, side after side in each step, so that all
see the machine in one state. Each command runs in a process of its own, as a user's does; shown is wall time, which the
engine's work is a part of. `build` is `bentoml build`, which the Dockerfile does not need. Packages come from the package index.
"""

from __future__ import annotations

import argparse
import os
import socket
import statistics
import sys
import tempfile
import time
import urllib.request
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

from _harness import Environment, cache_folder, machine, table, write_json
from _image_base import Engine, Registry, base_image, registry
from _image_sides import Bentoml, ByHand, Side, Work, seed

SKLEARN = ("scikit-learn", "numpy")
TORCH = ("torch", "numpy")
MORE = ("tabulate",)
READY_SECONDS = 180.0


class Run:
    """The sides, what was measured of each step, and what is to be said beside it."""

    def __init__(
        self, sides: dict[str, Side], work: Work, engine: Engine, store: Registry, root: Path
    ) -> None:
        self.sides, self.work, self.engine, self.store, self.root = sides, work, engine, store, root
        self.seconds: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
        self.other: dict[str, dict[str, str]] = defaultdict(dict)
        self.number = 0

    def step(self, what: str, act: Callable[[str, Side], object]) -> None:
        """Do the same with each side, and keep how long it takes."""
        for name, side in self.sides.items():
            began = time.perf_counter()
            act(name, side)
            self.seconds[what][name].append(time.perf_counter() - began)
            print(f"  {what}: {name} {self.seconds[what][name][-1]:.2f} s", flush=True)

    def images(self, what: str) -> None:
        """Make the image of each side, after its bento where it has one; by hand, the project follows our bento."""
        for name, side in self.sides.items():
            if isinstance(side, Bentoml):
                began = time.perf_counter()
                side.build()
                self.seconds[f"{what}: build"][name].append(time.perf_counter() - began)
            else:
                side.project(self.work, self.number)
        self.step(what, lambda name, side: side.image(local(name)))

    def project(self, number: int, *, more: tuple[str, ...] = ()) -> None:
        """Write the project of each side that has one of its own."""
        self.number = number
        for side in self.sides.values():
            if isinstance(side, Bentoml):
                side.project(self.work, number, more=more)

    def save(self) -> None:
        """Save one new model everywhere."""
        file = seed(self.root)
        for side in self.sides.values():
            side.save(self.work, file)


def local(side: str) -> str:
    """Return the name of a side's image in the engine."""
    return f"bentoml-benchmark-{side.replace(' ', '-').lower()}:1"


def one_round(run: Run, number: int) -> None:
    """Go through all steps once."""
    engine = run.engine
    for name, side in run.sides.items():
        engine("rmi", "--force", local(name))
        side.forget()
    engine.forget_builds()
    run.save()
    run.project(10 * number)
    run.images("cold")
    for name in run.sides:
        run.other["size in the engine, MB"][name] = f"{engine.size(local(name)) / 1e6:.0f}"
    run.step("first start to ready", lambda name, side: start(engine, local(name)))
    run.step("unchanged", lambda name, side: side.image(local(name)))
    run.project(10 * number + 1)
    run.images("one line changed")
    run.save()
    run.project(10 * number + 1)
    run.images("new model")
    run.project(10 * number + 1, more=MORE)
    run.images("one dependency added")
    push(run, number)


def push(run: Run, number: int) -> None:
    """Push what there is now, and then a second bento with the same model."""
    names = {name: f"{run.store.host}/round{number}/{local(name)}" for name in run.sides}

    def pushed(name: str, side: Side) -> None:
        before = run.store.stored()
        side.push(names[name])
        run.other["bytes that the first push stored, MB"][name] = f"{(run.store.stored() - before) / 1e6:.1f}"

    def second(name: str, side: Side) -> None:
        before = run.store.stored()
        side.push(names[name].replace("round", "second"))
        run.other["bytes that the second push stored, MB"][name] = (
            f"{(run.store.stored() - before) / 1e6:.3f}"
        )

    def tag(suffix: str) -> None:
        for name in run.sides:
            run.engine("tag", local(name), names[name].replace("round", suffix))

    tag("round")
    run.step("first push", pushed)
    run.project(10 * number + 2, more=MORE)
    run.images("one line changed again")
    tag("second")
    run.step("push after a changed line, to another repository", second)


def again(run: Run) -> None:
    """Make the last image once more from nothing, under the same name, and compare its id."""
    for name, side in run.sides.items():
        if name == "BentoML":
            continue  # it takes minutes, and its layers hold the time of its build
        before = run.engine.image_id(local(name))
        run.engine("rmi", "--force", local(name))
        side.forget()
        run.engine.forget_builds()
        side.image(local(name))
        same = run.engine.image_id(local(name)) == before
        run.other["the same id when it is made again from nothing"][name] = "yes" if same else "no"


def start(engine: Engine, image: str) -> None:
    """Run an image until its service is ready."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    address = ("--env", f"PORT={port}", "--env", f"BENTOML_PORT={port}", "--env", "BENTOML_HOST=127.0.0.1")
    container = engine("run", "--detach", "--network", "host", *address, image)
    try:
        deadline = time.monotonic() + READY_SECONDS
        while time.monotonic() < deadline:
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=2):
                    return
            except OSError:
                time.sleep(0.05)
        raise SystemExit(f"{image} did not become ready\n{engine('logs', container)}")
    finally:
        engine("rm", "--force", container)


def main() -> None:
    """Measure, print a table, and write all numbers where that is asked for."""
    arguments = parse()
    with tempfile.TemporaryDirectory(prefix="bentoml-images-", dir=arguments.folder) as folder:
        root, engine = Path(folder), Engine.find()
        with registry(root / "registry") as store:
            base = base_image(engine, store, arguments.base, root)
            packages = TORCH if arguments.torch else SKLEARN
            index = arguments.torch_index if arguments.torch else ""
            work = Work(base, packages, arguments.model, arguments.torch, index)
            run = Run(sides(root, engine, arguments), work, engine, store, root)
            try:
                for number in range(arguments.rounds):
                    print(f"round {number + 1}", flush=True)
                    one_round(run, number)
                again(run)
            finally:
                clean(run)
    report(run, arguments)


def sides(root: Path, engine: Engine, arguments: argparse.Namespace) -> dict[str, Side]:
    """Return the sides that are asked for, each with a folder of its own."""
    folders = {name: root / name for name in ("mine", "bentoml")}
    for folder in folders.values():
        folder.mkdir()
    options = ("--compile",) if arguments.compile else ()
    ours = Bentoml(folders["mine"] / "bench", Path(sys.executable), engine, options, pushes=True)
    found: dict[str, Side] = {"ours": ours, "by hand": ByHand(folders["mine"] / "by-hand", engine, ours)}
    if arguments.with_bentoml:
        other = Environment("bentoml", cache_folder() / "bentoml")
        if not other.exists():
            other.make()
        found["BentoML"] = Bentoml(
            folders["bentoml"] / "bench", other.python, engine, ("--opt", "network=host")
        )
    return found


def clean(run: Run) -> None:
    """Take all images of the run out of the engine."""
    names = run.engine("images", "--format", "{{.Repository}}:{{.Tag}}").split()
    mine = [name for name in names if name.startswith((run.store.host, "bentoml-benchmark-"))]
    run.engine("rmi", "--force", *mine)
    run.engine.forget_builds()


def report(run: Run, arguments: argparse.Namespace) -> None:
    """Print the table of medians, in the order in which the steps were taken."""
    names = list(run.sides)
    rows = [
        [what, *(f"{statistics.median(taken[n]):.2f}" if taken.get(n) else "-" for n in names)]
        for what, taken in run.seconds.items()
    ]
    rows += [[what, *(said.get(n, "-") for n in names)] for what, said in run.other.items()]
    peaks = {name: f"{side.peak:.0f}" for name, side in run.sides.items() if isinstance(side, Bentoml)}
    rows.append(["largest resident set of `containerize`, MB", *(peaks.get(n, "-") for n in names)])
    version = run.engine("version", "--format", "{{.Server.Version}}")
    print(
        f"\na model of {arguments.model} MB, medians of {arguments.rounds} rounds, seconds; Docker {version}, BuildKit"
    )
    print(table(["", *names], rows))
    print(f"load average {os.getloadavg()[1]:.1f} on {os.cpu_count()} cores")
    write_json(arguments.json, {**machine(), "seconds": run.seconds, "other": run.other})


def parse() -> argparse.Namespace:
    """Return what the command line says."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--base", help="the base image; without it, a stand-in is made of Debian packages")
    parser.add_argument("--model", type=int, default=1000, help="megabytes of the model")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="one round with a model of 20 MB")
    parser.add_argument("--torch", action="store_true", help="a service with torch instead of scikit-learn")
    parser.add_argument("--torch-index", default="", metavar="URL", help="the index that has its CPU build")
    parser.add_argument(
        "--compile", action="store_true", help="our image with bytecode, as by hand and in BentoML's"
    )
    parser.add_argument("--with-bentoml", action="store_true", help="BentoML, too, from the package index")
    parser.add_argument("--folder", default="/var/tmp", help="where everything is made; a real disk")
    parser.add_argument("--json", type=Path, help="write all numbers there")
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.model, arguments.rounds = 20, 1
    return arguments


if __name__ == "__main__":
    main()
