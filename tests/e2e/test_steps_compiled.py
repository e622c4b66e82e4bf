"""Packages that have no wheel: built in the image by an engine, below those that need none."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.containers import call, docker, running
from tests.e2e.test_steps import base_layout, private_index, run
from tests.support import Project

pytestmark = pytest.mark.engine

IMAGE = "bentoml-test-compiled:1"
CODE = """\
#include <Python.h>
static PyObject *answer(PyObject *self, PyObject *args) { return PyLong_FromLong(42); }
static PyMethodDef methods[] = {{"answer", answer, METH_NOARGS, ""}, {NULL, NULL, 0, NULL}};
static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "native_word", "", -1, methods};
PyMODINIT_FUNC PyInit_native_word(void) { return PyModule_Create(&module); }
"""
SETUP = """\
from setuptools import Extension, setup
setup(name="native-word", version="1.0", ext_modules=[Extension("native_word", ["native_word.c"])])
"""
SERVICE = """
    import bentoml
    import native_word

    @bentoml.service
    class Native:
        @bentoml.api
        def answer(self) -> dict:
            return {"answer": native_word.answer(), "file": native_word.__file__}
"""
BUILD = """
    service: service:Native
    python: {packages: [native-word], lock_packages: false}
    docker: {python_version: "3.11", system_packages: [gcc, libc6-dev, libpython3.11-dev]}
"""


def write_sdist(file: Path) -> None:
    """Write a source distribution that a compiler has to make a wheel of."""
    info = "Metadata-Version: 2.1\nName: native-word\nVersion: 1.0\n"
    texts = {
        "native_word.c": CODE,
        "setup.py": SETUP,
        "PKG-INFO": info,
        "pyproject.toml": '[build-system]\nrequires = ["setuptools"]\nbuild-backend = "setuptools.build_meta"\n',
    }
    with tarfile.open(file, "w:gz") as tar:
        for name, text in texts.items():
            member = tarfile.TarInfo(f"native_word-1.0/{name}")
            member.size = len(text)
            tar.addfile(member, io.BytesIO(text.encode()))


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Project, str]]:
    folder = tmp_path_factory.mktemp("project")
    project = Project(folder, tmp_path_factory.mktemp("home"))
    files = tmp_path_factory.mktemp("files")
    write_sdist(files / "native_word-1.0.tar.gz")
    with private_index(files) as index:
        address = index.partition("//")[2]
        project.env |= {
            "PIP_EXTRA_INDEX_URL": f"http://reader:canary-5d1f0c7e@{address}",
            "UV_CACHE_DIR": str(folder.parent / "uv"),
        }
        yield project, base_layout(project, tmp_path_factory.mktemp("base"))
    docker("rmi", "--force", IMAGE)


def test_a_package_of_c_is_compiled_in_the_image(project: tuple[Project, str]) -> None:
    made, base = project
    made.write(service_py=SERVICE, bentofile_yaml=BUILD)
    run(made, "build")
    run(made, "containerize", "native:latest", "--base-image", base, "-t", IMAGE)
    with running(IMAGE) as (_, address):
        answer = call(address, "answer")
    assert answer["answer"] == 42
    assert answer["file"].startswith("/app/.venv/lib/python3.11/site-packages/native_word")
    assert "canary" not in docker("history", "--no-trunc", IMAGE) + docker("image", "inspect", IMAGE)
