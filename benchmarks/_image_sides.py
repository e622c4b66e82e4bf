"""The three ways from a project to an image that `images.py` compares: ours, a good Dockerfile by hand, BentoML's own."""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from _image_base import Engine

NAME = "bench"
SERVICE = """
import bentoml
import numpy as np
from sklearn.linear_model import LogisticRegression


@bentoml.service
class Bench:
    weights = bentoml.models.get("{model}:latest")

    def __init__(self) -> None:
        self.model = LogisticRegression().fit(np.eye(4), [0, 1, 0, 1])

    @bentoml.api
    def predict(self, rows: np.ndarray) -> list[int]:
        return self.model.predict(rows).tolist()  # {number}
"""
TORCH = """
import bentoml
import torch


@bentoml.service
class Bench:
    weights = bentoml.models.get("{model}:latest")

    @bentoml.api
    def add(self, a: float, b: float) -> float:
        return float(torch.tensor(a) + torch.tensor(b))  # {number}
"""
DOCKERFILE = """
FROM {base}
RUN useradd --uid 1034 --create-home bentoml && python -m venv /app/.venv
ENV PATH=/app/.venv/bin:$PATH BENTOML_HOME=/home/bentoml BENTOML_HOST=0.0.0.0
WORKDIR /home/bentoml
COPY models/ models/
COPY wheels/ wheels/
COPY requirements.txt .
RUN --mount=type=cache,target=/root/.cache/pip pip install --no-deps {index}-r requirements.txt && pip install --no-deps wheels/*.whl
COPY service.py .
USER bentoml
ENTRYPOINT ["bentoml", "serve", "service:Bench"]
"""
SAVE = """
import sys, bentoml
chunk = open(sys.argv[2], "rb").read()
with bentoml.models.create(sys.argv[1]) as model, open(model.path_of("weights.bin"), "wb") as file:
    for _ in range(int(sys.argv[3])):
        file.write(chunk)
"""


@dataclass(frozen=True)
class Work:
    """What every side makes an image of: packages, megabytes of the model, and the base."""

    base: str
    packages: tuple[str, ...]
    megabytes: int
    torch: bool = False
    index: str = ""

    def service(self, number: int) -> str:
        """Return the source of the service; another number is another line."""
        return (TORCH if self.torch else SERVICE).format(number=number, model=NAME)


class Side(Protocol):
    """One way to an image. Each method runs commands as a user does, in `folder`; `run` is how they are run."""

    def project(self, work: Work, number: int, *, more: Sequence[str] = ()) -> None:
        """Write the project, with another line for another number and perhaps more packages."""

    def save(self, work: Work, seed: Path) -> None:
        """Save a new model that repeats the bytes of a file."""

    def image(self, name: str) -> None:
        """Make the image under a name, in the engine."""

    def push(self, name: str) -> None:
        """Put the image under a name into a registry; a side may do so without the engine."""

    def forget(self) -> None:
        """Empty the caches that are the side's own."""


@dataclass
class Bentoml:
    """`bentoml build` and `bentoml containerize`, of ours or of BentoML: they take the same project."""

    folder: Path
    python: Path
    engine: Engine
    options: tuple[str, ...] = ()
    pushes: bool = False  # whether it pushes by itself
    env: dict[str, str] = field(default_factory=dict)
    peak: float = (
        0.0  # megabytes: the largest resident set of `containerize`, which its own processes are a part of
    )

    def __post_init__(self) -> None:
        self.folder.mkdir(exist_ok=True)
        home, own = self.folder.parent / "home", {"BENTOML_DO_NOT_TRACK": "True"}
        own |= {"BENTOML_HOME": str(home), "UV_CACHE_DIR": str(self.folder.parent / "uv")}
        self.env = {**self.engine.env, **own}
        self.env["PATH"] = f"{self.env['PATH']}:{self.python.parent}"
        for name in ("PYTHONDONTWRITEBYTECODE", *(() if self.pushes else ("PYTHONPATH",))):
            self.env.pop(name, None)  # else each command compiles all that it imports, or imports ours

    def project(self, work: Work, number: int, *, more: Sequence[str] = ()) -> None:
        (self.folder / "service.py").write_text(work.service(number))
        index = f", extra_index_url: ['{work.index}']" if work.index else ""
        (self.folder / "bentofile.yaml").write_text(
            f"service: service:Bench\nname: {NAME}\nmodels: ['{NAME}:latest']\n"
            f"docker: {{base_image: '{work.base}'}}\n"
            f"python: {{packages: [{', '.join((*work.packages, *more))}]{index}}}\n"
        )

    def save(self, work: Work, seed: Path) -> None:
        self._python("-c", SAVE, NAME, str(seed), str(work.megabytes))

    def build(self) -> None:
        """Build the bento."""
        self._bentoml("build")

    def image(self, name: str) -> None:
        self._bentoml("containerize", f"{NAME}:latest", "-t", name, *self.options)

    def push(self, name: str) -> None:
        if self.pushes:
            self._bentoml("containerize", f"{NAME}:latest", "-t", name, *self.options, "--push")
        else:
            self.engine("push", "--quiet", name)

    def forget(self) -> None:
        shutil.rmtree(self.folder.parent / "home/cache", ignore_errors=True)
        shutil.rmtree(self.folder.parent / "uv", ignore_errors=True)

    def bento(self) -> Path:
        """Return where the latest bento lies."""
        bentos = self.folder.parent / "home/bentos" / NAME
        return bentos / (bentos / "latest").read_text().strip()

    def _bentoml(self, *words: str) -> None:
        megabytes = self._python(str(self.python.parent / "bentoml"), *words)
        if words[0] == "containerize":
            self.peak = max(self.peak, megabytes)

    def _python(self, *words: str) -> float:
        return run([str(self.python), *words], self.folder, self.env)


@dataclass
class ByHand:
    """A Dockerfile that somebody wrote with care, built by BuildKit; it installs the lock of our bento."""

    folder: Path
    engine: Engine
    ours: Bentoml

    def __post_init__(self) -> None:
        self.folder.mkdir(exist_ok=True)

    def project(self, work: Work, number: int, *, more: Sequence[str] = ()) -> None:
        (self.folder / "service.py").write_text(work.service(number))
        index = f"--extra-index-url {work.index} " if work.index else ""
        dockerfile = textwrap.dedent(DOCKERFILE.format(base=work.base, index=index))
        (self.folder / "Dockerfile").write_text(dockerfile)
        python = self.ours.bento() / "env/python"
        shutil.copy(python / "requirements.txt", self.folder / "requirements.txt")
        shutil.rmtree(self.folder / "wheels", ignore_errors=True)
        shutil.copytree(python / "wheels", self.folder / "wheels")

    def save(self, work: Work, seed: Path) -> None:
        """Take the model of our store, by links: what it costs to save one is not compared."""
        shutil.rmtree(self.folder / "models", ignore_errors=True)
        store = self.folder.parent / "home/models"
        latest = (store / "bench/latest").read_text()
        (self.folder / "models/bench").mkdir(parents=True)
        shutil.copytree(store / "bench" / latest, self.folder / "models/bench" / latest, copy_function=_link)
        (self.folder / "models/bench/latest").write_text(latest)

    def image(self, name: str) -> None:
        argv = [self.engine.client, "build", "--quiet", "--network", "host", "--tag", name, "."]
        run(argv, self.folder, self.engine.env)

    def push(self, name: str) -> None:
        self.engine("push", "--quiet", name)

    def forget(self) -> None:
        """BuildKit's cache belongs to the engine, which `Engine.forget_builds` empties."""


def _link(source: str, target: str) -> None:
    Path(target).hardlink_to(source)


def run(argv: Sequence[str], folder: Path, env: dict[str, str]) -> float:
    """Run a command that must succeed; return the megabytes of its largest process."""
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(
            argv, cwd=folder, env=env, stdin=subprocess.DEVNULL, stdout=said, stderr=said
        )
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            said.seek(0)
            sys.exit(f"{' '.join(argv)}\n{said.read().decode(errors='replace')[-5000:]}")
    return usage.ru_maxrss / 1024


def seed(folder: Path) -> Path:
    """Return a file of new random bytes, one megabyte."""
    file = folder / "seed"
    file.write_bytes(secrets.token_bytes(1_000_000))
    return file
