"""The Dockerfile of a bento, built by a real engine: every instruction of it, and what runs in the end."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.builder.handmade import unpinned
from tests.builder.source_packages import package

from bentoml.builder.backends.engine import EngineSink
from bentoml.builder.bento import build
from bentoml.builder.build_file.config import load_config
from bentoml.builder.oci.bases.select import open_base
from bentoml.builder.oci.model import Image, Platform
from bentoml.builder.packages.lock import LockRequest
from bentoml.config import Home
from bentoml.store.digest import canonical_json
from bentoml.store.models import ModelStore

pytestmark = pytest.mark.engine

MINIMAL = Path(__file__).parents[2] / "projects" / "minimal"
BASE, IMAGE = "bentoml-test-dockerfile-base:1", "bentoml-test-dockerfile:1"
# A newer client that lacks its build plugin may stand before the one that came with the engine.
CLIENT = next((client for client in ("/usr/bin/docker",) if os.access(client, os.X_OK)), "docker")


class OwnPackagesOnly:
    """Resolve to the packages of the project alone, so that the image is built without a network."""

    def resolve(self, request: LockRequest) -> str:
        return "".join(f"{wheel.name}=={wheel.version}\n" for wheel in request.wheels)


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
        f"models: ['words:v1']\npython: {{packages: [./libs/demo]}}\nenvs: [{{name: TOKEN, stage: build}}]\n"
        f"docker: {{base_image: '{BASE}', setup_script: setup.sh, dockerfile_template: T.j2, env: {{A: 'say \"$HOME\" \\ '}}}}\n"
    )
    package(project / "libs" / "demo", value=42)
    (project / "setup.sh").write_text('#!/bin/sh\necho "as $(id -u), with ${#TOKEN}" > /etc/set-up\n')
    (project / "T.j2").write_text(
        "{% extends bento_base_template %}{% block SETUP_BENTO_COMPONENTS %}{{ super() }}\nRUN echo {{ bento__user }} > /etc/mine\n{% endblock %}"
    )
    bento = build(
        project,
        load_config(project),
        home=home,
        env=os.environ,
        resolver=OwnPackagesOnly(),
        find_digest=unpinned,
    )
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
def test_the_dockerfile_builds_and_what_it_makes_runs(context: Path, tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("canary")
    docker(
        *("build", "--secret", f"id=TOKEN,src={token}", "--network", "host"),
        "--tag",
        IMAGE,
        "--file",
        str(context / "env/docker/Dockerfile"),
        str(context),
    )
    script = 'id -u; echo "$A"; pwd; cat /home/bentoml/models/words/v1/greeting.txt; ls; command -v bentoml; command -v python; cat /etc/set-up /etc/mine; python -c "import demo; print(demo.VALUE)"'
    out = docker("run", "--rm", "--network", "host", IMAGE, "sh", "-c", script)
    assert out.splitlines() == [
        "1034",
        'say "$HOME" \\ ',
        "/home/bentoml/bento",
        *("helloREADME.md", "apis", "bento.yaml", "env", "src"),
        *("/app/.venv/bin/bentoml", "/app/.venv/bin/python"),
        *("as 0, with 6", "bentoml", "42"),
    ]
    assert "canary" not in docker("history", "--no-trunc", IMAGE) + docker("image", "inspect", IMAGE)
