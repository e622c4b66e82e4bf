"""`bentoml serve` as a command: what it loads, and what it says to wrong usage."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

HEAVY = [
    "uvicorn",
    "starlette",
    "uvloop",
    "numpy",
    "rich",
    "watchfiles",
    "bentoml.sdk",
    "bentoml.store",
    "asyncio",
]


def bentoml(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "bentoml", *arguments], cwd=cwd, capture_output=True, text=True, timeout=30
    )


def test_the_supervisor_stays_light() -> None:
    program = f"import sys, bentoml.cli.serve; print([m for m in {HEAVY} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=300)
    assert (done.stdout, done.stderr) == ("[]\n", "")


@pytest.mark.parametrize("name", ["serve", "serve-http"])
def test_help_names_what_users_need_and_no_more(tmp_path: Path, name: str) -> None:
    done = bentoml(name, "--help", cwd=tmp_path)
    assert done.returncode == 0
    for flag in ("--port", "--host", "--workers", "--reload", "--development", "--working-dir"):
        assert flag in done.stdout
    assert "--ssl-version" not in done.stdout and "--api-workers" not in done.stdout


@pytest.mark.slow
@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param(["--port", "abc"], id="port is no number"),
        pytest.param(["--port", "70000"], id="port too large"),
        pytest.param(["--workers", "0"], id="no workers"),
        pytest.param(["--timeout", "0"], id="no time"),
        pytest.param(["--nope"], id="unknown"),
        pytest.param([".", "two"], id="two services"),
    ],
)
def test_wrong_usage(tmp_path: Path, arguments: list[str]) -> None:
    done = bentoml("serve", *arguments, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert "Traceback" not in done.stderr


def test_nothing_to_serve(tmp_path: Path) -> None:
    done = bentoml("serve", cwd=tmp_path)
    assert done.returncode == 1
    assert done.stderr.startswith("Error: [serve] `serve` failed: ")
    assert "neither a bento nor a project" in done.stderr


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        pytest.param(["--arg", "x"], "`x` is not of the form KEY=VALUE", id="no value"),
        pytest.param(["--arg-file", "nope.yaml"], "nope.yaml", id="no file"),
        pytest.param(["--env", "conda"], "the server makes no environment", id="--env"),
    ],
)
def test_arguments_that_are_none(tmp_path: Path, arguments: list[str], message: str) -> None:
    done = bentoml("serve", *arguments, cwd=tmp_path)
    assert done.returncode == 2
    assert message in done.stderr
