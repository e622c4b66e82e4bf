"""What light commands may load: a budget of modules, not of time, so that the test never depends on the machine."""

from __future__ import annotations

import subprocess
import sys

import pytest

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
