"""Hostile strings in each field that says how an image is made: refused with the key named, or data that nothing reads."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import pytest
from tests.builder.handmade import save_bento

from bentoml.builder.build_file.config import parse_config
from bentoml.builder.image.plan import plan_image
from bentoml.builder.oci.cache import Cache
from bentoml.builder.oci.debian.installed import with_packages
from bentoml.builder.oci.model import Base, Platform
from bentoml.builder.steps.bento import steps_before
from bentoml.config import Home
from bentoml.exceptions import BentoMLConfigException, BentoMLException
from bentoml.images import Image

BREAKING = {
    "newline": "a\nRUN id",
    "return": "a\rRUN id",
    "NUL": "a\0b",
    "escape": "a\x1b[2J",
    "next line": "a\x85RUN id",
    "line separator": "a\u2028RUN id",
    "paragraph separator": "a\u2029RUN id",
}
WORDS = {
    "substitution": "$(id)",
    "backticks": "`id`",
    "variable": "$HOME",
    "quote": "a' ; id; '",
    "double quote": 'a" ; id; "',
    "semicolon": "a;id",
    "pipe": "a|id",
    "heredoc": "<<EOF",
    "dash": "-rf",
    "option": "--pre-install=x",
    "blank": "a b",
    "leaving": "../../etc/passwd",
    "absolute": "/etc/passwd",
    "empty": "",
}
Case: TypeAlias = Callable[[str], dict[str, Any]]
STRICT: dict[str, Case] = {
    "docker.base_image": lambda text: {"docker": {"base_image": text}},
    "docker.system_packages": lambda text: {"docker": {"system_packages": [text]}},
    "docker.python_version": lambda text: {"docker": {"python_version": text}},
    "docker.cuda_version": lambda text: {"docker": {"cuda_version": text}},
    "docker.distro": lambda text: {"docker": {"distro": text}},
    "docker.env": lambda text: {"docker": {"env": {text: "1"}}},
    "conda.channels": lambda text: {"conda": {"channels": [text], "dependencies": ["numpy"]}},
    "envs[0].name": lambda text: {"envs": [{"name": text, "value": "1"}]},
}
PATHS: dict[str, Case] = {
    "docker.setup_script": lambda text: {"docker": {"setup_script": text}},
    "docker.dockerfile_template": lambda text: {"docker": {"dockerfile_template": text}},
}
# These take text of any kind, which is data: what breaks a line is all that must not be there.
FREE: dict[str, Case] = {
    "conda.pip": lambda text: {"conda": {"pip": [text]}},  # a line of a YAML file, which pip reads
    "docker.env.A": lambda text: {"docker": {"env": {"A": text}}},
    "envs[0].value": lambda text: {"envs": [{"name": "A", "value": text}]},
}
HARMLESS = {  # nothing is said
    ("docker.python_version", "empty"), ("docker.cuda_version", "empty"), ("docker.base_image", "empty"),
    ("docker.system_packages", "empty"), ("conda.channels", "empty"),
}  # fmt: skip


def refused(key: str, data: dict[str, Any]) -> None:
    with pytest.raises(BentoMLConfigException) as caught:
        parse_config(data, source="bentofile.yaml")
    assert f"`{key}" in str(caught.value), "the message names the key"
    assert "\0" not in str(caught.value) and "\x1b" not in str(caught.value)


@pytest.mark.parametrize("text", BREAKING.values(), ids=BREAKING)
@pytest.mark.parametrize("key", [*STRICT, *PATHS, *FREE])
def test_what_breaks_a_line_is_refused_everywhere(key: str, text: str) -> None:
    refused(key, {**STRICT, **PATHS, **FREE}[key](text))


@pytest.mark.parametrize(
    ("key", "kind"), [(key, kind) for key in STRICT for kind in WORDS if (key, kind) not in HARMLESS]
)
def test_what_a_shell_reads_is_refused_in_names(key: str, kind: str) -> None:
    refused(key, STRICT[key](WORDS[kind]))


@pytest.mark.parametrize("kind", ["leaving", "absolute", "dash", "option"])
@pytest.mark.parametrize("key", PATHS)
def test_paths_stay_in_the_project(key: str, kind: str) -> None:
    refused(key, PATHS[key](WORDS[kind]))


@pytest.mark.parametrize("text", WORDS.values(), ids=WORDS)
def test_a_value_of_a_variable_reaches_a_step_as_it_is(tmp_path: Path, text: str) -> None:
    """Neither Dockerfile nor shell lies between: it is an entry of the environment."""
    image = {"env": {"A": text}, "commands": ["true"]}
    bento = save_bento(Home(tmp_path / "home"), tmp_path / "wheels", image=image)
    plan = plan_image(bento.info, env={})
    assert steps_before(bento, plan).env["A"] == text == plan.env["A"]


@pytest.mark.parametrize("command", ["", " ", "a\0b", "a\x1b[2J"])
def test_a_command_is_text(command: str) -> None:
    with pytest.raises(BentoMLConfigException, match="is no command"):
        Image().run(command)


def test_a_command_is_one_argument_however_it_is_written(tmp_path: Path) -> None:
    commands = ["echo a\necho b", "cat <<EOF\nx\nEOF", "-x", "# syntax=evil", '["a"]', "echo \\"]
    bento = save_bento(Home(tmp_path / "home"), tmp_path / "wheels", image={"commands": commands})
    runs = steps_before(bento, plan_image(bento.info, env={})).runs
    assert [step.argv for step in runs] == [("/bin/sh", "-c", command) for command in commands]


@pytest.mark.parametrize(
    "name",
    [
        "-o=Dpkg::Pre-Invoke::=id",
        "--reinstall",
        "a b",
        "$(id)",
        "../x.deb",
        "/tmp/x.deb",
        "a/bookworm",
        "A;b",
        "",
    ],
)
def test_names_of_packages_are_checked_where_they_are_used(tmp_path: Path, name: str) -> None:
    """A manifest may come from elsewhere: what its build file would have refused is refused again."""
    base = Base("base:1", None, {}, (), Platform())
    with pytest.raises(BentoMLException, match="is not the name of a package"):
        with_packages(base, [name], cache=Cache(tmp_path), env={})
