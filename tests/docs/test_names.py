"""Each public name is shown in the reference by an example that prints what its comments say."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
from tests.docs.pages import DOCS, Block, blocks

import bentoml

PAGE = DOCS / "reference" / "python.md"
NOT_RUN = {
    **dict.fromkeys(("pull", "push"), "it needs a registry; tests/registry do the same"),
    "container": "it needs a Docker engine and a base; tests/test_container.py and tests/e2e/test_container.py do the same",
}

_NAME = re.compile(r"^### `bentoml\.(\w+)`", re.MULTILINE)
_SHOWN = re.compile(r"^\s*print\(.*\)  # (.*)$", re.MULTILINE)


def examples() -> dict[str, Block]:
    """Return the example of each name."""
    text = PAGE.read_text("utf-8")
    starts = [(text.count("\n", 0, m.start()) + 1, m[1]) for m in _NAME.finditer(text)]
    found: dict[str, Block] = {}
    for block in blocks(PAGE):
        names = [name for line, name in starts if line < block.line]
        if block.language == "python" and not block.file:
            found[names[-1]] = block
    return found


EXAMPLES = examples()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("names")
    (service,) = (block for block in blocks(PAGE) if block.file == "service.py")
    (folder / "service.py").write_text(service.text)
    return folder


def test_each_name_has_an_example() -> None:
    assert set(EXAMPLES) == set(bentoml.__all__)


@pytest.mark.parametrize("name", sorted(EXAMPLES))
def test_an_example_says_what_comes_out(name: str) -> None:
    assert f"bentoml.{name}" in EXAMPLES[name].text or f"bentoml import {name}" in EXAMPLES[name].text
    assert _SHOWN.search(EXAMPLES[name].text) or name in NOT_RUN or name == "monitor"


MODULES = {name: v for name in bentoml.__all__ if isinstance(v := getattr(bentoml, name), ModuleType)}


@pytest.mark.parametrize("name", sorted(MODULES))
def test_each_name_of_a_module_is_mentioned(name: str) -> None:
    (text,) = re.findall(
        rf"^### `bentoml\.{name}`.*?\n(.*?)(?=^### |\Z)", PAGE.read_text("utf-8"), re.MULTILINE | re.DOTALL
    )
    assert [n for n in MODULES[name].__all__ if not re.search(rf"\b{n}\b", text)] == []


def test_what_a_service_has_is_mentioned() -> None:
    text = PAGE.with_name("services.md").read_text("utf-8").partition("\n## `@bentoml.api`")[0]
    inside = {"create", "proxy", "hooks", "runs_program", "bind_mounts"}  # how the library's own parts use it
    public = {name for name in vars(bentoml.Service) if not name.startswith("_")} - inside
    assert [name for name in sorted(public) if f"`{name}" not in text] == []


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(set(EXAMPLES) - set(NOT_RUN)))
def test_an_example_prints_what_it_says(name: str, folder: Path) -> None:
    text = EXAMPLES[name].text
    (folder / "example.py").write_text(text)
    done = subprocess.run(
        [sys.executable, "-W", "error::DeprecationWarning:__main__", "example.py"],
        cwd=folder, env={**os.environ, "BENTOML_HOME": str(folder / "home")}, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    shown = _SHOWN.findall(text)
    printed = done.stdout.splitlines()
    if "bentoml.serve(" in text:  # whose log goes to stdout too
        printed = [line for line in printed if line in shown]
    assert printed == shown
