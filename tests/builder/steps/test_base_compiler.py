"""Who compiles the bytecode of an image, and what is said where nobody can."""

from __future__ import annotations

import os
import platform
import sys
from pathlib import Path

import pytest
from tests.builder.handmade import base

from bentoml.builder.oci.cache import Cache
from bentoml.builder.oci.model import Platform
from bentoml.builder.oci.parts.bytecode import Python
from bentoml.builder.oci.parts.compiler import LocalCompiler
from bentoml.builder.steps.base_compiler import find_compiler, runs
from bentoml.exceptions import BentoMLException

HERE = platform.python_version()
PROGRAM = "/usr/bin/python3.11"


def alone(folder: Path) -> dict[str, str]:
    """Return the environment of a machine without an engine and without a network."""
    return {**os.environ, "DOCKER_HOST": f"unix://{folder}/no.sock", "UV_OFFLINE": "1"}


def test_the_release_of_this_machine_is_taken_without_asking_anybody(tmp_path: Path) -> None:
    found = find_compiler(Python(HERE, PROGRAM), base(), cache=Cache(tmp_path), env={}, offline=True)
    assert found == LocalCompiler(HERE, Path(sys.executable))


@pytest.mark.parametrize(
    ("offline", "why"),
    [
        pytest.param(False, "it cannot be fetched;", id="unreachable"),
        pytest.param(True, "`--offline` fetches none;", id="offline"),
    ],
)
def test_where_nobody_can_one_line_says_what_to_do(tmp_path: Path, offline: bool, why: str) -> None:
    with pytest.raises(BentoMLException) as raised:
        find_compiler(
            Python("3.11.999", PROGRAM), base(), cache=Cache(tmp_path), env=alone(tmp_path), offline=offline
        )
    said = str(raised.value)
    assert "\n" not in said
    for part in ("base `python:test` has, 3.11.999", "for linux/amd64", why, "`uv python find 3.11.999`"):
        assert part in said
    assert "start an engine" in said and "or make the image with `--no-compile`" in said


def test_without_the_docker_sdk_an_engine_is_not_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "docker", None)  # as if it were not installed
    with pytest.raises(BentoMLException, match=r"\(to be asked with `pip install 'bentoml\[docker\]'`\)"):
        find_compiler(
            Python("3.11.999", PROGRAM), base(), cache=Cache(tmp_path), env=alone(tmp_path), offline=True
        )


def test_a_base_that_does_not_say_its_release(tmp_path: Path) -> None:
    with pytest.raises(BentoMLException, match=r"`python:test` does not say .* `--no-compile`"):
        find_compiler(Python("", PROGRAM), base(), cache=Cache(tmp_path), env={}, offline=True)


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        pytest.param({"OSType": "linux", "Architecture": "x86_64"}, True, id="the same"),
        pytest.param({"OSType": "linux", "Architecture": "amd64"}, True, id="as podman says it"),
        pytest.param({"OSType": "linux", "Architecture": "aarch64"}, False, id="another machine"),
        pytest.param({"OSType": "windows", "Architecture": "x86_64"}, False, id="another system"),
        pytest.param({}, False, id="nothing"),
    ],
)
def test_which_engine_runs_the_python_of_a_base(said: dict[str, object], expected: bool) -> None:
    assert runs(said, Platform()) is expected
    assert runs(said, Platform()._replace(architecture="s390x")) is False
