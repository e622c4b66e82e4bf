from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from bentoml.builder.build_file.config import load_config
from bentoml.builder.packages.project import project_requirements
from bentoml.builder.packages.uv_sources import NamedIndex, PackageIndex, UvSources, read_uv_sources
from bentoml.exceptions import BentoMLConfigException

TEXT = """
[tool.uv.sources]
torch = [{ index = "cpu", marker = "sys_platform == 'linux'" }]
My_Lib = { git = "https://h/r", tag = "v1", subdirectory = "py" }
local = { path = "libs/local" }
file = { url = "https://h/file-1-py3-none-any.whl" }

[[tool.uv.index]]
name = "cpu"
url = "https://packages.example/cpu"
explicit = true
"""


def read(text: str) -> tuple[UvSources, list[str]]:
    mistakes: list[str] = []
    return read_uv_sources(tomllib.loads(text), mistakes), mistakes


def test_indexes_and_what_comes_from_them() -> None:
    found, mistakes = read(TEXT)
    assert mistakes == []
    assert found.indexes == (NamedIndex("cpu", "https://packages.example/cpu", explicit=True),)
    assert found.packages == (PackageIndex("torch", "cpu", "sys_platform == 'linux'"),)


def test_a_requirement_that_is_code_names_its_place() -> None:
    found, _ = read(TEXT)
    assert found.applied(["torch>=2", "my-lib[x]>=1 ; python_version > '3'", "local", "file", "numpy"]) == (
        "torch>=2",
        "my-lib[x] @ git+https://h/r@v1#subdirectory=py ; python_version > '3'",
        "local @ ./libs/local",
        "file @ https://h/file-1-py3-none-any.whl",
        "numpy",
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[tool.uv.sources]\na = {workspace = true}\n", "`tool.uv.sources.a` is not supported"),
        (
            "[tool.uv.sources]\na = {index = 'none'}\n",
            "names index `none`, which `tool.uv.index` does not have",
        ),
        (
            "[[tool.uv.index]]\nname = 'x'\nurl = 'https://u:secret@h/simple'\n",
            "keep credentials in UV_INDEX_NAME_PASSWORD",
        ),
        ("[[tool.uv.index]]\nname = 'x'\n", "`tool.uv.index[0].url` is missing"),
        ("[[tool.uv.index]]\nname = 'x'\nurl = 'https://h'\nformat = 'y'\n", "one of `simple`, `flat`"),
    ],
)
def test_what_is_wrong_is_named(text: str, said: str) -> None:
    _, mistakes = read(text)
    assert said in "\n".join(mistakes)
    assert "secret" not in "\n".join(mistakes)


def test_a_project_hears_of_all_of_it_at_once(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text(
        "[project]\nname = 'a'\ndependencies = ['a', 'b']\n[tool.uv.sources]\na = {workspace = true}\nb = {index = 'none'}\n"
    )
    with pytest.raises(BentoMLConfigException, match=r"(?s)`tool.uv.sources.a`.*`none`"):
        project_requirements(tmp_path, load_config(tmp_path).python)


def test_the_indexes_of_a_project_go_into_its_bento(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text("[project]\nname = 'a'\ndependencies = ['torch']\n" + TEXT)
    found = project_requirements(tmp_path, load_config(tmp_path).python)
    assert found.all_extra_indexes == ("https://packages.example/cpu",)
    assert found.lines == ("torch",)


def test_settings_of_uv_mean_nothing_to_a_bentofile(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text(TEXT)
    (tmp_path / "bentofile.yaml").write_text("python: {packages: [torch, local]}\n")
    found = project_requirements(tmp_path, load_config(tmp_path).python)
    assert (found.uv.indexes, found.sources) == ((), ())
