"""What light commands may load: a budget of modules, not of time, so that the test never depends on the machine."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.builder.backends.fake_engine import FakeEngine, running
from tests.builder.handmade import base, offline, save_bento, save_model

from bentoml.builder.image.containerize import containerize
from bentoml.builder.oci.assemble import RunConfig, assemble
from bentoml.builder.oci.layout import write_layout
from bentoml.config import Home

HEAVY = {
    "numpy", "starlette", "uvicorn", "rich", "docker", "httpx2", "pydantic", "PIL", "jinja2", "fsspec", "prometheus_client",
    "asyncio", "cloudpickle",
}  # fmt: skip


def loaded_by(code: str) -> set[str]:
    script = f"import sys\n{code}\nprint(*sorted({{m.split('.')[0] for m in sys.modules}}))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return set(done.stdout.splitlines()[-1].split())


@pytest.mark.parametrize(
    "code",
    [
        pytest.param("import bentoml", id="import bentoml"),
        pytest.param(
            "from bentoml.__main__ import main; sys.argv = ['bentoml', '--version']; main()", id="--version"
        ),
        pytest.param("import bentoml; bentoml.Tag, bentoml.exceptions", id="names without a service"),
    ],
)
def test_loads_nothing_heavy(code: str) -> None:
    assert loaded_by(code) & (HEAVY | {"typer"}) == set()


@pytest.mark.parametrize(
    "arguments", [pytest.param(["--help"], id="--help"), pytest.param(["models", "list"], id="models list")]
)
def test_light_commands_load_nothing_heavy(arguments: list[str], tmp_path: object) -> None:
    code = (
        f"import os; os.environ['BENTOML_HOME'] = {str(tmp_path)!r}\n"
        "from bentoml.cli.main import run\n"
        f"try: run({arguments!r})\nexcept SystemExit: pass"
    )
    assert loaded_by(code) & HEAVY == set()


def test_what_services_are_written_with_loads_no_server() -> None:
    """A build imports a service to describe it, and answers nothing."""
    code = "import bentoml; bentoml.service, bentoml.api, bentoml.depends, bentoml.Context, bentoml.load"
    assert loaded_by(code) & (HEAVY - {"pydantic"} | {"anyio", "ssl", "yaml"}) == set()


# What the image of a changed line does without: nearly all of it is known, and each of these costs more than what is not.
NOT_FOR_A_CHANGED_LINE = {
    "docker", "requests", "urllib3", "httpx2", "http.client", "http.server", "email", "ssl", "csv", "importlib.resources",
    "bentoml.builder.build_file.config", "bentoml.builder.packages.indexes", "bentoml.builder.packages.uv_command",
    "bentoml.builder.oci.parts.installation", "bentoml.builder.oci.parts.venv", "bentoml.builder.oci.parts.bytecode",
    "bentoml.builder.oci.debian", "bentoml.builder.oci.sbom", "bentoml.builder.oci.bases.root_tree",
    "bentoml.builder.steps.run", "bentoml.builder.steps.compiled", "bentoml.builder.engines.known",
    "bentoml.builder.backends.registry", "bentoml.builder.backends.loopback", "bentoml.builder.daemon.sdk",
    "bentoml.registry.client", "bentoml.registry.transport", "bentoml.registry.memory", "bentoml.sdk",
}  # fmt: skip


def test_an_image_of_a_changed_line_loads_what_it_needs(tmp_path: Path) -> None:
    home, wheels, place = Home(tmp_path / "home"), tmp_path / "wheels", tmp_path / "base"
    write_layout(place, assemble(base(), [], RunConfig("0", "/", ("python3",)), epoch=0), ["base:1"])
    model = save_model(home)
    with running(FakeEngine(tells_chains=True), tmp_path / "s") as engine:
        env = {**os.environ, **offline(wheels), "DOCKER_HOST": engine.host, "BENTOML_HOME": str(home.root)}
        before = save_bento(home, wheels, models=(model,))
        containerize(before, home=home, env=env, base=f"oci:{place}", names=["greeter:1"])
        changed = save_bento(home, wheels, models=(model,), source="print('hello again')\n")
        words = ["containerize", str(changed.tag), "--base-image", f"oci:{place}", "-t", "greeter:1"]
        code = (
            f"import sys\nfrom bentoml.cli.main import run\ntry: run({words})\n"
            "except SystemExit as e: assert not e.code\nprint(*sys.modules)"
        )
        done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    loaded = set(done.stdout.splitlines()[-1].split())
    assert "bentoml.builder.backends.engine" in loaded and len(engine.loads) == 2
    assert loaded & (HEAVY | NOT_FOR_A_CHANGED_LINE) == set()
