"""Bentos whose service declares its image: in the manifest, in the lock and in the Dockerfile."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from textwrap import dedent

import pytest
from tests.builder.handmade import unpinned
from tests.builder.test_bento import FakeResolver

from bentoml.builder.bento import build
from bentoml.builder.build_file.config import BuildConfig, load_config
from bentoml.builder.described.service_image import with_image
from bentoml.builder.image.plan import plan_image
from bentoml.config import Home
from bentoml.exceptions import BentoMLConfigException, BentoMLException
from bentoml.images import Image
from bentoml.store.bentos import Bento

SERVICE = """
    import bentoml

    image = bentoml.images.Image(python_version="3.12"){methods}

    @bentoml.service(image=image)
    class Hello:
        @bentoml.api
        def hello(self) -> str:
            return "hello"
"""


def built(
    folder: Path,
    methods: str,
    files: Mapping[str, str] | None = None,
    *,
    resolver: FakeResolver | None = None,
) -> Bento:
    (folder / "project/data").mkdir(parents=True, exist_ok=True)
    texts = {"service.py": SERVICE.format(methods=methods), "data/x.txt": "x", **(files or {})}
    for name, text in texts.items():
        (folder / "project" / name).write_text(dedent(text))
    return build(
        folder / "project", load_config(folder / "project"), home=Home(folder / "home"), env=os.environ,
        resolver=resolver or FakeResolver(), find_digest=unpinned,
    )  # fmt: skip


def test_an_image_is_in_the_manifest_and_the_dockerfile(tmp_path: Path) -> None:
    resolver = FakeResolver()
    bento = built(
        tmp_path,
        '.system_packages("curl").run("echo one").run_script("setup.sh").build_include("data")'
        '.python_packages("numpy>=2", "--index-url http://127.0.0.1/simple").requirements_file("more.txt")'
        '.run("echo two").run("cat <<E\\nFROM evil\\nE")',
        resolver=resolver,
        files={
            "setup.sh": "#!/bin/sh\necho hi\n",
            "more.txt": "attrs\n",
            "bentofile.yaml": "python: {packages: [six]}\ndocker: {system_packages: [git], env: {A: b}}\n",
        },
    )
    image = bento.info.image
    script = image["commands"][1].split("/")[-1]
    assert image["commands"][0] == "echo one"
    assert image["post_commands"] == ["echo two", "cat <<E\nFROM evil\nE"]
    assert (image["build_include"], image["system_packages"]) == (["data"], ["curl", "git"])
    assert (image["python_version"], image["base_image"]) == ("3.12", "python:3.12-slim")
    assert image["python_requirements"] == "numpy>=2\nattrs\nsix\n"
    assert image["index_url"] == "http://127.0.0.1/simple"
    assert {"numpy>=2", "attrs", "six"} <= set(resolver.asked[0].requirements)
    assert resolver.asked[0].python_version == "3.12"
    place = Path(bento.path, "env/docker", script)
    assert place.read_text() == "#!/bin/sh\necho hi\n"
    assert os.access(place, os.X_OK)
    lines = Path(bento.path, "env/docker/Dockerfile").read_text().splitlines()
    wanted = [
        "FROM python:3.12-slim",
        f"COPY env/docker/{script} ./env/docker/{script}",
        "RUN echo one",
        f"RUN {image['commands'][1]}",
        "COPY src/data ./src/data",
        "RUN echo two",
        'RUN ["/bin/sh", "-c", "cat <<E\\nFROM evil\\nE"]',
    ]
    assert [line for line in lines if line in wanted] == wanted
    assert "FROM evil" not in lines
    assert plan_image(bento.info, env={}).system_packages == ("curl", "git")


def test_an_image_of_packages_alone_needs_no_engine(tmp_path: Path) -> None:
    bento = built(
        tmp_path, '.pyproject_toml("sub.toml")', {"sub.toml": "[project]\ndependencies = ['attrs']\n"}
    )
    image = bento.info.image
    assert (image["commands"], image["post_commands"], image["python_requirements"]) == ([], [], "attrs\n")


@pytest.mark.parametrize(
    ("methods", "build_file", "expected"),
    [
        pytest.param(".compile()", "{}", True, id="code"),
        pytest.param("", "docker: {compile: true}", True, id="build-file"),
        pytest.param("", "docker: {compile: false}", None, id="no"),
    ],
)
def test_bytecode_is_asked_for_in_code_or_in_the_build_file(
    tmp_path: Path, methods: str, build_file: str, expected: bool | None
) -> None:
    """The manifest has the key only where it says yes: no tag moves with what nobody uses."""
    bento = built(tmp_path, methods, {"bentofile.yaml": build_file})
    assert bento.info.image.get("compile") is expected
    dockerfile = Path(bento.path, "env/docker/Dockerfile").read_text()
    assert ("compileall" in dockerfile) is bool(expected)


def test_no_lock(tmp_path: Path) -> None:
    methods = '.python_packages("attrs")'
    service = SERVICE.format(methods=methods).replace('"3.12"', '"3.12", lock_python_packages=False')
    bento = built(tmp_path, methods, {"service.py": service})
    assert "attrs\n" in Path(bento.path, "env/python/requirements.txt").read_text()


@pytest.mark.parametrize(
    ("methods", "said"),
    [
        ('.run_script("none.sh")', "none.sh"),
        ('.build_include("none")', "there is no `none` in the project"),
        ('.requirements_file("none.txt")', "none.txt"),
        ('.pyproject_toml("none.toml")', "none.toml"),
        ('.system_packages("a; b")', "no name of a package"),
        ('.python_packages("-e .")', "editable"),
    ],
)
def test_what_is_not_there_leaves_nothing(tmp_path: Path, methods: str, said: str) -> None:
    with pytest.raises(BentoMLException, match=said):
        built(tmp_path, methods)
    assert not (tmp_path / "home/bentos").exists()


@pytest.mark.parametrize("path", ["data", "./data/", "data/x.txt"])
def test_what_the_image_includes_and_the_bento_lacks(tmp_path: Path, path: str) -> None:
    methods = f'.build_include("{path}")'
    assert built(tmp_path, methods).info.image["build_include"]
    with pytest.raises(BentoMLException, match="which the image includes, would not be part of the bento"):
        built(tmp_path / "other", methods, {"bentofile.yaml": "exclude: [data/]\n"})


def test_the_build_file_goes_before_the_code(tmp_path: Path) -> None:
    said = Image(base_image="a:1", python_version="3.12").declared()
    (tmp_path / "bentofile.yaml").write_text("docker: {base_image: 'b:2', python_version: '3.13'}\n")
    config = with_image(load_config(tmp_path), said, tmp_path)
    assert (config.docker.base_image, config.docker.python_version) == ("b:2", "3.13")
    with pytest.raises(BentoMLConfigException, match="python_version"):
        with_image(BuildConfig(), Image(python_version="2.7").declared(), tmp_path)
