"""Packages without wheels: which lines of the requirements they are, and what runs to build them."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.builder.handmade import base, offline, pins, wheel

from bentoml.builder.oci.cache import Cache
from bentoml.builder.oci.parts.python import PythonRequest, PythonTarget, Sources
from bentoml.builder.steps.compiled import split_requirements
from bentoml.builder.steps.packages import packages_upon
from bentoml.exceptions import BentoMLException

REQUIREMENTS = """\
# a remark
numpy==2.0 \\
    --hash=sha256:0 \\
    --hash=sha256:1
Flask_Login==1.0 --hash=sha256:2
flask==3.0 \\
    --hash=sha256:3
"""
TARGET = PythonTarget("3.11", "/usr/local/bin/python3.11", "x86_64-manylinux_2_36")
NO_ENGINE = {"DOCKER_HOST": "unix:///nowhere/docker.sock"}


def test_requirements_are_split_by_name() -> None:
    here, others = split_requirements(REQUIREMENTS, ["flask-login", "Numpy"])
    assert here == (
        "numpy==2.0 \\\n    --hash=sha256:0 \\\n    --hash=sha256:1\nFlask_Login==1.0 --hash=sha256:2\n"
    )
    assert others == "# a remark\nflask==3.0 \\\n    --hash=sha256:3\n"
    assert split_requirements(REQUIREMENTS, []) == ("", REQUIREMENTS)


def request_of(tmp_path: Path, text: str) -> PythonRequest:
    (tmp_path / "requirements.txt").write_text(text)
    env = {**offline(tmp_path / "wheels"), "UV_INDEX_URL": "http://u:p@x"}
    options = ("--no-index", "--find-links", str(tmp_path / "wheels"))
    return PythonRequest(tmp_path / "requirements.txt", (), TARGET, tmp_path, lambda: Sources(env, options))


def test_what_has_wheels_needs_no_engine(tmp_path: Path) -> None:
    numbers = wheel(tmp_path / "wheels", "numbers")
    request = request_of(tmp_path, pins(numbers))
    below = base()
    made, found = packages_upon(
        below, request, cache=Cache(tmp_path / "c"), env=NO_ENGINE, epoch=0, offline=True
    )
    assert made == below
    assert [layer.kind for layer in found.layers] == ["python"]


def test_what_has_none_is_built_in_the_image(tmp_path: Path) -> None:
    """The engine that would do it is not there: the error names the package, and what was tried is remembered."""
    numbers = wheel(tmp_path / "wheels", "numbers", tag="cp27-none-any")
    request = request_of(tmp_path, pins(numbers))
    cache = Cache(tmp_path / "c")
    for _ in range(2):
        with pytest.raises(
            BentoMLException, match="`compiled packages: numbers` would have to run in the image"
        ):
            packages_upon(base(), request, cache=cache, env=NO_ENGINE, epoch=0, offline=True)
    assert not list(cache.root.glob("drafts/*"))


def test_what_stays_in_git_is_left_to_the_engine(tmp_path: Path) -> None:
    request = request_of(tmp_path, "x @ git+https://host.example/x\n")
    with pytest.raises(BentoMLException, match="`Python packages` would have to run in the image"):
        packages_upon(base(), request, cache=Cache(tmp_path / "c"), env=NO_ENGINE, epoch=0, by_engine=True)
