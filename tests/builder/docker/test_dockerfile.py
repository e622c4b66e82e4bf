from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from bentoml.builder.docker.dockerfile import DockerfileSpec, base_image_of, entrypoint, lacks_python, render
from bentoml.tag import Tag

SPEC = DockerfileSpec("python:3.11-slim")


def instructions(text: str) -> list[str]:
    """Return each instruction on a line of its own."""
    lines = text.replace("\\\n", "").splitlines()
    return [" ".join(line.split()) for line in lines if line and not line.startswith("#")]


def test_a_plain_bento() -> None:
    text = render(SPEC)
    assert "\n\n\n" not in text
    words = [line.split()[0] for line in instructions(text)]
    assert words == [
        *("FROM", "USER", "ENV", "RUN", "WORKDIR", "COPY", "RUN", "ENV", "COPY", "COPY", "COPY", "COPY"),
        *("USER", "EXPOSE", "HEALTHCHECK", "ENTRYPOINT"),
    ]
    assert "FROM python:3.11-slim" in instructions(text)
    assert "--require-hashes" in text
    assert instructions(text)[-1] == 'ENTRYPOINT ["/home/bentoml/bento/env/docker/entrypoint.sh"]'


def test_models_and_packages_come_before_source() -> None:
    lines = instructions(
        render(DockerfileSpec("x", models=(Tag("iris", "v1"),), system_packages=("git", "libgomp1")))
    )
    order = [
        lines.index(next(line for line in lines if part in line))
        for part in ("apt-get", "--from=models", "venv", "src/")
    ]
    assert order == sorted(order)
    assert sum("apt-get update" in line for line in lines) == 1
    assert next(line for line in lines if "apt-get" in line).endswith("--no-install-recommends git libgomp1")


@pytest.mark.parametrize(
    ("distro", "command"), [("alpine", "apk add"), ("ubi8", "dnf"), ("amazonlinux", "yum")]
)
def test_each_distribution_has_its_installer(distro: str, command: str) -> None:
    text = render(DockerfileSpec("x", distro=distro, system_packages=("git",)))  # type: ignore[arg-type]  # from the table
    assert command in text
    assert "apt-get" not in text


def test_values_are_data() -> None:
    text = render(DockerfileSpec("x", env={"A": 'say "$HOME" \\ $(id)', "B": "a b"}))
    assert r'ENV A="say \"\$HOME\" \\ \$(id)"' in text.splitlines()
    assert 'ENV B="a b"' in text.splitlines()


def test_indexes_are_shell_words() -> None:
    spec = DockerfileSpec(
        "x",
        is_locked=False,
        index_url="https://packages.example/simple?a=1&b=2",
        extra_index_url=("https://more.example/$HOME",),
        find_links=("./wheels", "https://links.example/"),
    )
    text = render(spec)
    assert "--require-hashes" not in text
    assert "'--index-url=https://packages.example/simple?a=1&b=2'" in text
    assert "'--extra-index-url=https://more.example/$HOME'" in text
    assert "COPY src/wheels/ ./src/wheels/" in text
    assert "--find-links=src/wheels --find-links=https://links.example/" in text


def test_a_secret_is_mounted_and_never_set() -> None:
    text = render(DockerfileSpec("x", secrets=("TOKEN",), system_packages=("git",)))
    assert text.count("--mount=type=secret,id=TOKEN ") == 2
    assert "ENV TOKEN" not in text
    assert "ARG" not in text


def test_each_model_is_taken_from_beside_the_bento_or_from_the_store() -> None:
    lines = instructions(render(DockerfileSpec("x", models=(Tag("a", "v1"), Tag("b", "v2")))))
    assert lines[:2] == ["FROM scratch AS models", "COPY models/ /"]
    assert "COPY --from=models /a/v1/ /home/bentoml/models/a/v1/" in lines
    assert "COPY --from=models /b/v2/ /home/bentoml/models/b/v2/" in lines
    assert "models" not in "\n".join(instructions(render(SPEC)))


def test_a_script_and_conda_run_before_the_packages_are_installed() -> None:
    text = render(
        DockerfileSpec("x", python_version="3.12", has_setup_script=True, has_conda=True, secrets=("T",))
    )
    lines = instructions(text)
    order = [
        next(n for n, line in enumerate(lines) if part in line)
        for part in ("./env/docker/setup_script", "micromamba create", "pip install", "COPY src/")
    ]
    assert order == sorted(order)
    assert "python=3.12 pip" in text
    assert "/opt/conda/bin/python -m venv --system-site-packages /app/.venv" in text
    assert "PATH=/app/.venv/bin:/opt/conda/bin:$PATH" in text
    assert text.count("--mount=type=secret,id=T ") == 3


def test_a_base_without_python_gets_one() -> None:
    text = render(DockerfileSpec("x", python_version="3.13", brings_python=True))
    assert "uv venv --seed --managed-python --python 3.13 /app/.venv" in text
    assert "python3 -m venv" not in text
    assert [lacks_python(distro, "") for distro in ("debian", "ubi8", "amazonlinux")] == [False, False, True]
    assert lacks_python("debian", "12.8.1")


def test_python_itself_is_compiled_on_request() -> None:
    (line,) = [
        line for line in instructions(render(DockerfileSpec("x", compiles=True))) if "compileall" in line
    ]
    assert line.startswith("RUN /app/.venv/bin/python -m compileall -q -j 0 -x ")
    assert "--no-compile" not in line and "compileall" not in render(SPEC)


def test_what_is_not_locked_is_resolved_in_one_step_with_the_wheels() -> None:
    text = render(
        DockerfileSpec("x", is_locked=False, pip_args=("--pre", "--no-deps", "--timeout=60"), no_index=True)
    )
    (line,) = [line for line in instructions(text) if "pip install" in line]
    assert line.endswith(
        "pip install --pre --timeout=60 --no-deps --no-index --requirement env/python/requirements.txt env/python/wheels/*.whl"
    )
    assert line.count("pip install") == 1


def test_base_images() -> None:
    assert base_image_of("debian", "3.12") == "python:3.12-slim"
    assert base_image_of("alpine", "3.12") == "python:3.12-alpine"
    assert base_image_of("ubi8", "3.12").endswith("/ubi8/python-312:1")
    assert "FROM registry.example/x:1" in render(DockerfileSpec("docker://registry.example/x:1"))


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ((), "bentoml serve /b"),
        (("--port", "1"), "bentoml serve --port 1 /b"),
        (("serve",), "bentoml serve /b"),
        (("serve-http", "--reload"), "bentoml serve-http --reload /b"),
        (("echo", "a b"), "a b"),
        (("sh", "-c", 'echo "$BENTOML_PORT"'), "8080"),
    ],
    ids=str,
)
def test_the_entrypoint(tmp_path: Path, arguments: tuple[str, ...], expected: str) -> None:
    script, command = tmp_path / "entrypoint.sh", tmp_path / "bentoml"
    script.write_text(entrypoint())
    command.write_text('#!/bin/sh\necho bentoml "$@"\n')
    command.chmod(0o755)
    env = {
        "PATH": f"{tmp_path}:{os.environ['PATH']}",
        "BENTO_PATH": "/b",
        "PORT": "8080",
        "BENTOML_PORT": "3000",
    }
    done = subprocess.run(
        ["sh", str(script), *arguments], env=env, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == expected
    assert done.stderr == ""
