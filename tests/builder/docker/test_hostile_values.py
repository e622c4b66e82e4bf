"""Hostile text in each field that reaches a Dockerfile: refused with its key named, or data, as BuildKit's own parser sees it."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any, get_args

import dockerfile  # type: ignore[import-not-found]  # it is compiled, and has no stubs
import pytest

from bentoml.builder.build_file.config import parse_config
from bentoml.builder.build_file.config_docker import Distro
from bentoml.builder.contents.folder import Contents, write
from bentoml.builder.contents.manifest import image_of
from bentoml.builder.described.service_image import ImageSteps
from bentoml.builder.docker.docker_files import DockerFiles
from bentoml.builder.docker.dockerfile import DockerfileSpec, render
from bentoml.builder.engines.plain_dockerfile import without_mounts
from bentoml.builder.packages.lock_platform import LockPlatform
from bentoml.builder.packages.project import project_requirements
from bentoml.exceptions import BentoMLConfigException
from bentoml.store.manifest import BentoInfo
from bentoml.tag import Tag

HOSTILE = [
    "a\nRUN id", "a\r\nRUN id", "a\rRUN id", "a\x0bRUN id", "a\x0cRUN id", "a\x85RUN id", "a\u2028RUN id", "a\u2029RUN id",
    "a\0b", "a\x1b[31m", "\nFROM evil", "a\\\nRUN id", "a\\", "\\", "$(id)", "`id`", "${HOME}", "$HOME", "a; id", "a && id",
    "a | id", "a > /x", "a&id", "--privileged", "--mount=type=bind,target=/x", "-x", '"; id; "', "'; id; '", '"', "'", '\\"',
    "<<EOF", "a <<EOF", "# syntax=evil/frontend", "syntax=evil", "# escape=`", "escape=`", "{{ 7*7 }}", "{% x %}", "$base_image",
    "a b", "*", '["sh", "-c", "id"]', "a\u202eb", "\ufeffa", "a\ud800", "x" * 20_000, "docker://--platform", "docker://", "models AS x", " ", "",
]  # fmt: skip

FIELDS: dict[str, Any] = {
    "docker.base_image": lambda text: {"docker": {"base_image": text}},
    "docker.distro": lambda text: {"docker": {"distro": text}},
    "docker.python_version": lambda text: {"docker": {"python_version": text}},
    "docker.cuda_version": lambda text: {"docker": {"cuda_version": text}},
    "docker.system_packages": lambda text: {"docker": {"system_packages": [text]}},
    "docker.env": lambda text: {"docker": {"env": {"NAME": text}}},
    "docker.env (the key": lambda text: {"docker": {"env": {text: "value"}}},
    "docker.env[": lambda text: {"docker": {"env": [f"NAME={text}"]}},
    "docker.setup_script": lambda text: {"docker": {"setup_script": text}},
    "docker.dockerfile_template": lambda text: {"docker": {"dockerfile_template": text}},
    "envs[0].name": lambda text: {"envs": [{"name": text}]},
    "envs[0].value": lambda text: {"envs": [{"name": "NAME", "value": text}]},
    "python.index_url": lambda text: {"python": {"index_url": f"https://x/{text}"}},
    "python.extra_index_url": lambda text: {"python": {"extra_index_url": [f"https://x/{text}"]}},
    "python.find_links": lambda text: {"python": {"find_links": [text]}},
    "python.trusted_host": lambda text: {"python": {"trusted_host": text}},
    "python.pip_args": lambda text: {"python": {"pip_args": f"--timeout={text}"}},
    "conda.channels": lambda text: {"conda": {"channels": [text], "dependencies": ["x"]}},
    "conda.dependencies": lambda text: {"conda": {"dependencies": [text]}},
    "name": lambda text: {"name": text},
}
_UNSEEN = re.compile(r"[\x00-\x09\x0b-\x1f\x7f\x85\u2028\u2029]")
HARMLESS = {
    "docker.distro": "debian", "docker.python_version": "3.12", "docker.cuda_version": "12", "docker.base_image": "own",
    "python.pip_args": "60", "python.index_url": "a",
}  # fmt: skip


def dockerfile_of(data: dict[str, Any], folder: Path) -> str:
    config = parse_config(data, source="bentofile.yaml")
    requirements = project_requirements(folder, config.python, {})
    platform = LockPlatform.parse("linux/amd64")
    envs = tuple({"name": v.name, "value": v.value, "stage": v.stage} for v in config.envs)
    info = BentoInfo(
        tag=Tag("x"), service="a:B", entry_service="B", envs=envs, schema={"routes": []},
        image=image_of(config, requirements, [platform], {}),
    )  # fmt: skip
    files = DockerFiles("#!/bin/sh\n" if config.docker.setup_script else "", "")
    contents = Contents(info, config, files, requirements, {platform.image: ""}, (), {}, "", ImageSteps())
    write(contents, [], folder)
    return (folder / "env/docker/Dockerfile").read_text("utf-8")


def shape(text: str) -> list[tuple[str, tuple[str, ...]]]:
    """Return each instruction with its flags, as the engine takes the Dockerfile apart."""
    return [(command.cmd.upper(), command.flags) for command in dockerfile.parse_string(text)]


@pytest.mark.parametrize("key", FIELDS)
def test_it_is_refused_or_data(key: str, tmp_path: Path) -> None:
    harmless = shape(dockerfile_of(FIELDS[key](HARMLESS.get(key, "value")), tmp_path))
    for text in HOSTILE:
        try:
            made = dockerfile_of(FIELDS[key](text), tmp_path)
        except BentoMLConfigException as e:
            assert f"`{key.partition(' ')[0].rstrip('[')}" in str(e), text
            assert not _UNSEEN.search(str(e)), "the message, too"
        else:
            assert shape(made) == harmless or not text, text


@pytest.mark.parametrize(
    "text", [text for text in HOSTILE if text.isprintable() and 0 < len(text) < 99], ids=ascii
)
@pytest.mark.parametrize("form", ["docker", "envs"])
def test_a_variable_has_the_value_that_was_written(form: str, text: str, tmp_path: Path) -> None:
    data = (
        {"docker": {"env": {"NAME": text}}}
        if form == "docker"
        else {"envs": [{"name": "NAME", "value": text}]}
    )
    found = [
        c.value for c in dockerfile.parse_string(dockerfile_of(data, tmp_path)) if c.value[:1] == ("NAME",)
    ]
    ((_, quoted, *_),) = found
    assert quoted[0] == quoted[-1] == '"'
    assert re.sub(r'\\([\\"$])', r"\1", quoted[1:-1]) == text
    assert not re.search(r'(?<!\\)(\\\\)*["$]', quoted[1:-1])


@pytest.mark.parametrize("text", ["a?b=1&c=2", "$(id)", "`id`", "a;id", "*", "a|b", "<<EOF", "#x", "${HOME}"])
def test_an_address_is_one_word_of_a_shell(text: str, tmp_path: Path) -> None:
    made = dockerfile_of({"python": {"index_url": f"https://x/{text}"}}, tmp_path)
    (step,) = [
        c for c in dockerfile.parse_string(made) if c.cmd.upper() == "RUN" and "pip install" in c.value[0]
    ]
    assert f"--index-url=https://x/{text}" in shlex.split(step.value[0], comments=True)


@pytest.mark.parametrize("secrets", [(), ("TOKEN",)], ids=["plain", "secret"])
@pytest.mark.parametrize(
    "command", ["a\nUSER root\nRUN b", "x \\", '["a"]', " --network=host x", "cat <<EOF", " [x", "# only a comment", "a\u2028b"], ids=ascii
)  # fmt: skip
def test_a_command_is_one_step(command: str, secrets: tuple[str, ...]) -> None:
    made = render(DockerfileSpec("x", commands=(command,), post_commands=(command,), secrets=secrets))
    without = render(DockerfileSpec("x", commands=("true",), post_commands=("true",), secrets=secrets))
    assert shape(made) == shape(without)
    steps = [
        c for c in dockerfile.parse_string(made) if c.cmd.upper() == "RUN" and command.strip() in c.value[-1]
    ]
    assert len(steps) == 2
    assert all(("/run/secrets/TOKEN" in step.value[-1]) is bool(secrets) for step in steps)
    assert all(step.json is (step.value[0] == "/bin/sh") for step in steps)


@pytest.mark.parametrize("path", ["a[1].py", "a*.py", "a?", "#x", "--from=x", "<<EOF", "{a}"])
def test_a_file_that_is_included_is_no_pattern(path: str) -> None:
    made = dockerfile.parse_string(render(DockerfileSpec("x", build_include=(path,))))
    (copy,) = [
        command for command in made if command.cmd.upper() == "COPY" and command.value[-1] == f"./src/{path}"
    ]
    assert re.sub(r"\[([*?\[])\]", r"\1", copy.value[0]) == f"src/{path}"
    assert copy.flags == ()
    assert not re.search(r"(?<!\[)[*?]|\[(?![*?\[]\])(?!\])", copy.value[0])


@pytest.mark.parametrize("secrets", [(), ("TOKEN",)], ids=["plain", "secret"])
@pytest.mark.parametrize("packages", [(), ("git", "libgomp1")], ids=["bare", "packages"])
@pytest.mark.parametrize("distro", get_args(Distro))
def test_every_kind_of_dockerfile_is_one(
    distro: Distro, packages: tuple[str, ...], secrets: tuple[str, ...]
) -> None:
    for number in range(32):
        scripted, conda, python, gpu, models = (bool(number >> bit & 1) for bit in range(5))
        made = render(
            DockerfileSpec(
                "x", distro, secrets=secrets, system_packages=packages, has_setup_script=scripted, has_conda=conda,
                brings_python=python, uses_gpu=gpu, models=(Tag("iris", "v1"),) if models else (), is_locked=not gpu,
                hub_models=("bert",) if gpu else (), env={"A": "b"}, commands=("true",), port=8080, python_version="3.13",
            )
        )  # fmt: skip
        words = [cmd for cmd, _ in shape(made)]
        assert set(words) <= {
            "FROM",
            "USER",
            "ENV",
            "RUN",
            "WORKDIR",
            "COPY",
            "EXPOSE",
            "HEALTHCHECK",
            "ENTRYPOINT",
        }
        assert words.count("FROM") == 1 + models
        assert "$" not in re.sub(r"\$PATH|\$\(cat /run/secrets/TOKEN\)|models=\$HOME", "", made)
        plain = made if secrets else without_mounts(made)
        assert [cmd for cmd, _ in shape(plain)] == words
        assert all(flags == () for cmd, flags in shape(plain) if cmd == "RUN") or secrets
