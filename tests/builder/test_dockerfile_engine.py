"""The Dockerfile of a bento, built by a real engine: every instruction of it, and what runs in the end."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from bentoml.builder.backends.engine import EngineSink
from bentoml.builder.bento import build
from bentoml.builder.config import load_config
from bentoml.builder.lock import LockRequest
from bentoml.builder.oci.bases import open_base
from bentoml.builder.oci.model import Image, Platform
from bentoml.config import Home
from bentoml.store.digest import canonical_json
from bentoml.store.models import ModelStore

pytestmark = pytest.mark.engine

MINIMAL = Path(__file__).parents[1] / "projects" / "minimal"
BASE, IMAGE = "bentoml-test-dockerfile-base:1", "bentoml-test-dockerfile:1"
# A newer client that lacks its build plugin may stand before the one that came with the engine.
CLIENT = next((client for client in ("/usr/bin/docker",) if os.access(client, os.X_OK)), "docker")


class NothingToInstall:
    """Resolve to nothing, so that the image is built without a network."""

    def resolve(self, request: LockRequest) -> str:
        return ""


def docker(*arguments: str) -> str:
    env = {**os.environ, "DOCKER_BUILDKIT": "1"}
    done = subprocess.run([CLIENT, *arguments], env=env, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, f"docker {' '.join(arguments)}\n{done.stdout}{done.stderr}"
    return done.stdout


@pytest.fixture
def context(tmp_path: Path) -> Path:
    """A bento on a base image that the engine has, with its models beside it."""
    home = Home(tmp_path / "home")
    with ModelStore(home).create("words:v1") as model:
        Path(model.path, "greeting.txt").write_text("hello")
    project = tmp_path / "project"
    shutil.copytree(MINIMAL, project)
    (project / "bentofile.yaml").write_text(
        f"models: ['words:v1']\ndocker: {{base_image: '{BASE}', env: {{A: 'say \"$HOME\" \\ '}}}}\n"
    )
    bento = build(project, load_config(project), home=home, env=os.environ, resolver=NothingToInstall())
    context = tmp_path / "context"
    shutil.copytree(bento.path, context)
    shutil.copytree(home.models, context / "models")
    return context


@pytest.fixture
def images(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    base = open_base(
        "debs:bookworm:coreutils+python3-venv",
        platform=Platform(),
        cache=tmp_path_factory.mktemp("cache"),
        env=os.environ,
    )
    EngineSink(os.environ).write(Image(canonical_json(base.config), base.layers, base.platform), [BASE])
    yield
    docker("rmi", "--force", IMAGE, BASE)


@pytest.mark.usefixtures("images")
def test_the_dockerfile_builds_and_what_it_makes_runs(context: Path) -> None:
    docker(
        "build",
        "--network",
        "host",
        "--tag",
        IMAGE,
        "--file",
        str(context / "env/docker/Dockerfile"),
        str(context),
    )
    script = 'id -u; echo "$A"; pwd; cat /home/bentoml/models/words/v1/greeting.txt; ls; command -v bentoml; command -v python'
    out = docker("run", "--rm", "--network", "host", IMAGE, "sh", "-c", script)
    assert out.splitlines() == [
        "1034",
        'say "$HOME" \\ ',
        "/home/bentoml/bento",
        *("helloREADME.md", "apis", "bento.yaml", "env", "src"),
        *("/app/.venv/bin/bentoml", "/app/.venv/bin/python"),
    ]
