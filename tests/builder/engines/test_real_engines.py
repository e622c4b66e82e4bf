"""The Dockerfile of a bento, built by each engine that Debian has: every instruction of it, and what runs in the end."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.builder.handmade import unpinned
from tests.builder.source_packages import package
from tests.containers import call, running

from bentoml.builder.backends.archive import ArchiveSink
from bentoml.builder.bento import build
from bentoml.builder.build_file.config import load_config
from bentoml.builder.contents.wheel import runtime_requirements
from bentoml.builder.engines.build import build_with_engine
from bentoml.builder.engines.known import ENGINES
from bentoml.builder.engines.model import EngineImage
from bentoml.builder.engines.options import Option
from bentoml.builder.oci.bases.select import open_base
from bentoml.builder.oci.model import Image, Platform
from bentoml.builder.packages.lock import LockRequest
from bentoml.config import Home
from bentoml.store.bentos import Bento
from bentoml.store.digest import canonical_json
from bentoml.store.models import ModelStore

pytestmark = pytest.mark.engine

MINIMAL = Path(__file__).parents[2] / "projects" / "minimal"
BASE, IMAGE = "localhost/bentoml-test-dockerfile-base:1", "localhost/bentoml-test-dockerfile:1"
CANARY = "canary-5309"
SCRIPT = (
    'ls /usr/lib/python3.11/json/__pycache__/decoder.*; id -u; echo "$A"; pwd; cat /home/bentoml/models/words/v1/greeting.txt; ls; command -v bentoml; command -v python; '
    'cat /etc/set-up /etc/mine; python -c "import demo; print(demo.VALUE)"'
)
EXPECTED = [
    "/usr/lib/python3.11/json/__pycache__/decoder.cpython-311.pyc",
    "1034",
    'say "$HOME" \\ ',
    "/home/bentoml/bento",
    *("helloREADME.md", "apis", "bento.yaml", "env", "src"),
    *("/app/.venv/bin/bentoml", "/app/.venv/bin/python"),
]


class OwnPackagesOnly:
    """Resolve to the packages of the project alone, so that the image is built without a network."""

    def resolve(self, request: LockRequest) -> str:
        return "".join(f"{wheel.name}=={wheel.version}\n" for wheel in request.wheels)


@dataclass(frozen=True)
class Bench:
    """A store, and an environment in which the engines have storage of their own."""

    home: Home
    base: Path  # an archive
    env: Mapping[str, str]

    def run(self, *argv: str) -> str:
        done = subprocess.run(argv, env=self.env, capture_output=True, text=True, timeout=900)
        assert done.returncode == 0, f"{' '.join(argv)}\n{done.stdout}{done.stderr}"
        return done.stdout

    def project(self, folder: Path, secret: str = "") -> Bento:
        """Build a bento that uses whatever a Dockerfile has instructions for."""
        shutil.copytree(MINIMAL, folder)
        (folder / "bentofile.yaml").write_text(
            f"models: ['words:v1']\npython: {{packages: [./libs/demo]}}\nenvs: [{secret}]\n"
            f"docker: {{base_image: '{BASE}', setup_script: setup.sh, dockerfile_template: T.j2, compile: true, "
            "env: {A: 'say \"$HOME\" \\ '}}\n"
        )
        package(folder / "libs" / "demo", value=42)
        (folder / "setup.sh").write_text('#!/bin/sh\necho "as $(id -u), with ${#TOKEN}" > /etc/set-up\n')
        (folder / "T.j2").write_text(
            "{% extends bento_base_template %}{% block SETUP_BENTO_COMPONENTS %}{{ super() }}\nRUN echo {{ bento__user }} > /etc/mine\n{% endblock %}"
        )
        return build(
            folder, load_config(folder), home=self.home, env=os.environ, resolver=OwnPackagesOnly(), find_digest=unpinned
        )  # fmt: skip

    def make(
        self, engine: str, bento: Bento, env: Mapping[str, str] | None = None, **options: Option
    ) -> EngineImage:
        return build_with_engine(
            bento, ENGINES[engine], home=self.home, env={**self.env, "TOKEN": CANARY, **(env or {})},
            names=(IMAGE,), options={"network": "host", **options},
        )  # fmt: skip


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    root = tmp_path_factory.mktemp("engines")
    home = Home(root / "home")
    with ModelStore(home).create("words:v1") as model:
        Path(model.path, "greeting.txt").write_text("hello")
    base = open_base(
        "debs:bookworm:coreutils+python3-venv", platform=Platform(), cache=root / "cache", env=os.environ
    )
    image = Image(canonical_json(base.config), base.layers, base.platform)
    ArchiveSink(root / "base.tar", "docker").write(image, [BASE])
    (root / "storage.conf").write_text(
        f'[storage]\ndriver = "vfs"\ngraphroot = "{root}/graph"\nrunroot = "{root}/run"\n'
    )
    env = {
        **os.environ,
        # a newer client that lacks its build plugin may stand before the one that came with the engine
        "PATH": f"/usr/bin:{os.environ['PATH']}",
        "CONTAINERS_STORAGE_CONF": str(root / "storage.conf"),
        "BUILDAH_ISOLATION": "chroot",
    }
    yield Bench(home, root / "base.tar", env)
    shutil.rmtree(root / "graph", ignore_errors=True)


@pytest.fixture(scope="module")
def secretive(bench: Bench, tmp_path_factory: pytest.TempPathFactory) -> Bento:
    return bench.project(tmp_path_factory.mktemp("a") / "project", "{name: TOKEN, stage: build}")


@pytest.fixture
def docker(bench: Bench) -> Iterator[Callable[..., str]]:
    bench.run("docker", "load", "--quiet", "--input", str(bench.base))
    yield lambda *arguments: bench.run("docker", *arguments)
    bench.run("docker", "rmi", "--force", IMAGE, BASE)


def test_docker_with_buildkit(bench: Bench, secretive: Bento, docker: Callable[..., str]) -> None:
    made = bench.make("docker", secretive)
    out = docker("run", "--rm", "--network", "host", IMAGE, "sh", "-c", SCRIPT)
    assert out.splitlines() == [*EXPECTED, f"as 0, with {len(CANARY)}", "bentoml", "42"]
    assert docker("image", "inspect", "--format", "{{.Id}}", IMAGE).strip() == str(made.id)
    assert CANARY not in docker("history", "--no-trunc", IMAGE) + docker("image", "inspect", IMAGE)


def test_docker_without_buildkit(bench: Bench, tmp_path: Path, docker: Callable[..., str]) -> None:
    bento = bench.project(tmp_path / "project")
    made = bench.make("docker", bento, {"DOCKER_BUILDKIT": "0"})
    out = docker("run", "--rm", "--network", "host", IMAGE, "sh", "-c", SCRIPT)
    assert out.splitlines() == [*EXPECTED, "as 0, with 0", "bentoml", "42"]
    kept = "ls -A /root/.cache/pip || true"
    assert docker("run", "--rm", "--network", "host", "--user", "0", IMAGE, "sh", "-c", kept) == ""
    assert docker("image", "inspect", "--format", "{{.Id}}", IMAGE).strip() == str(made.id)


@pytest.mark.parametrize(("engine", "options"), [("buildah", {}), ("podman", {"layers": "false"})])
def test_engines_without_a_daemon(
    bench: Bench, secretive: Bento, engine: str, options: dict[str, str]
) -> None:
    bench.run("buildah", "pull", "--quiet", f"docker-archive:{bench.base}")
    made = bench.make(engine, secretive, None, **options)
    container = bench.run("buildah", "from", "--quiet", IMAGE).strip()
    try:
        out = bench.run("buildah", "run", container, "--", "sh", "-c", SCRIPT)
        assert out.splitlines() == [*EXPECTED, f"as 0, with {len(CANARY)}", "bentoml", "42"]
        image = bench.run("buildah", "inspect", "--type", "image", IMAGE)
        assert str(made.id).removeprefix("sha256:") in image
        assert "site-packages/bentoml/templates/health.py" in image
        assert CANARY not in image
        root = Path(bench.run("buildah", "mount", container).strip())
        grep = subprocess.run(
            ["grep", "--recursive", "--files-with-matches", CANARY, str(root)], capture_output=True
        )
        assert grep.stdout == b""
    finally:
        bench.run("buildah", "rm", container)
        bench.run("buildah", "rmi", "--force", IMAGE)


@pytest.mark.slow
def test_a_container_of_a_dockerfile_serves(bench: Bench, tmp_path: Path, docker: Callable[..., str]) -> None:
    project = tmp_path / "project"
    project.mkdir()
    (project / "service.py").write_text(
        "import bentoml\n@bentoml.service\nclass A:\n @bentoml.api\n def greet(self, name: str) -> dict:\n  return {'said': name}\n"
    )
    (project / "bentofile.yaml").write_text(
        f"docker: {{base_image: '{BASE}', python_version: '3.11'}}\npython: {{find_links: [./wheels], no_index: true}}\n"
    )
    target = (
        "--python-version",
        "3.11",
        "--platform",
        "manylinux_2_36_x86_64",
        "--platform",
        "manylinux2014_x86_64",
    )
    bench.run(
        sys.executable, "-m", "pip", "download", "--quiet", "--only-binary", ":all:", *target, "--dest", str(project / "wheels"),
        *runtime_requirements(),
    )  # fmt: skip
    bento = build(project, load_config(project), home=bench.home, env=os.environ, find_digest=unpinned)
    bench.make("docker", bento)
    with running(IMAGE) as (container, address):
        assert call(address, "greet", name="world") == {"said": "world"}
        bench.run("docker", "exec", container, *health_of(docker))


def health_of(docker: Callable[..., str]) -> list[str]:
    """Return the command of the image's health check."""
    words = docker(
        "image", "inspect", "--format", "{{range .Config.Healthcheck.Test}}{{println .}}{{end}}", IMAGE
    )
    return words.split()[1:]
