"""What the documentation shows is so: its code compiles, its services load, its links lead somewhere, its commands
exist, and each page with commands prints what it says.
"""

from __future__ import annotations

import re
import runpy
import shlex
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from tests.docs.commands import options_of
from tests.docs.pages import DOCS, PAGES, Run, agrees, blocks, commands, is_run, versions

import bentoml

ROOT = DOCS.parent
TEXTS = [*PAGES, *sorted(ROOT.glob("*.md")), *sorted((ROOT / "examples").rglob("README.md"))]
WITH_CODE = [page for page in PAGES if page.name != "ARCHITECTURE.md"]  # which draws names rather than code
RUN = [page for page in PAGES if is_run(page)]

_LINK = re.compile(r"\[[^\]]+\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#+ (.*)$", re.MULTILINE)


@pytest.mark.parametrize("page", WITH_CODE, ids=[str(page.relative_to(DOCS)) for page in WITH_CODE])
def test_python_compiles(page: Path) -> None:
    for block in blocks(page):
        if block.language == "python":
            compile(block.text, f"{page}:{block.line}", "exec")


@pytest.mark.parametrize("page", TEXTS, ids=[str(text.relative_to(ROOT)) for text in TEXTS])
def test_links_lead_somewhere(page: Path) -> None:
    for link in _LINK.findall(page.read_text("utf-8")):
        if "://" in link:
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), f"{page.name}: {link}"
        if anchor:
            assert anchor in {_anchor(h) for h in _HEADING.findall(target.read_text("utf-8"))}, link


def test_every_page_is_in_the_index() -> None:
    index = DOCS / "README.md"
    linked = {(DOCS / link.partition("#")[0]).resolve() for link in _LINK.findall(index.read_text("utf-8"))}
    assert set(PAGES) - {index} <= linked


@pytest.mark.parametrize("page", RUN, ids=[str(page.relative_to(DOCS)) for page in RUN])
def test_services_load(page: Path, tmp_path: Path) -> None:
    """Each service that needs no stored model is made by the SDK, and every type in it has a schema."""
    for block in blocks(page):
        if "@bentoml.service" in block.text and "models.get(" not in block.text:
            file = tmp_path / block.file
            file.write_text(block.text)
            found = [v for v in runpy.run_path(str(file)).values() if isinstance(v, bentoml.Service)]
            assert len(found) == block.text.count("@bentoml.service")
            assert all(service.schema()["routes"] for service in found)


@pytest.mark.parametrize("page", TEXTS, ids=[str(text.relative_to(ROOT)) for text in TEXTS])
def test_commands_exist(page: Path) -> None:
    for line in _bentoml_lines(page):
        words = shlex.split(line, comments=True)[1:]
        known = options_of(words)
        for word in words:
            if word.startswith("-"):
                assert word.partition("=")[0] in known, f"{page.name}: `{line}`: {word}"


@pytest.mark.slow
@pytest.mark.parametrize("page", RUN, ids=[str(page.relative_to(DOCS)) for page in RUN])
def test_commands_print_what_the_page_says(page: Path, tmp_path: Path) -> None:
    meant: dict[str, str] = {}
    with closing(Run(tmp_path).outputs(page)) as outputs:
        for command, printed in outputs:
            assert agrees(printed, command.output), (
                f"$ {command.line}\n{printed}\n--- the page says:\n{command.output}"
            )
            for shown, actual in zip(versions(command.output), versions(printed), strict=False):
                if "..." not in command.output.splitlines():
                    assert meant.setdefault(shown, actual) == actual, f"$ {command.line}\n{printed}"
    assert len(set(meant.values())) == len(meant), "what differs on the page differs"


@pytest.mark.parametrize(
    ("printed", "written", "same"),
    [
        ("saved iris:tlspsffyfofieziu\n", "saved iris:aaaaaaaaaaaaaaaa\n", True),
        ("saved iris:tlspsffyfofieziu\n", "saved rose:tlspsffyfofieziu\n", False),
        ("a\nb\nc\n", "...\nc\n", True),
        ("a\nb\nc\n", "a\n...\n", True),
        ("a\nb\nc\n", "b\n", False),
        ("4.00 MiB   at 2026-01-01 10:00:00", "8.12 KiB at 2020-01-01 10:00:00", True),
        ("base\npython: a 1.0\npython: 3 packages\nend\n", "base\npython: 9 packages\nend\n", True),
        ("Locking the requirements ...\nbuilt\n", "built\n", True),
        ("", "anything\n", False),
        ("anything", "", False),
        ("", "", True),
    ],
)
def test_agrees(printed: str, written: str, same: bool) -> None:
    assert agrees(printed, written) is same


def _bentoml_lines(page: Path) -> list[str]:
    lines: list[Any] = []
    for block in blocks(page):
        if block.language == "console":
            lines += [command.line for command in commands(block)]
        elif block.language in ("bash", "yaml"):
            joined = block.text.replace("\\\n", " ")
            lines += [m for m in re.findall(r"(?:^|[ |(])(bentoml [a-z][^|)\n]*)", joined, re.MULTILINE)]
    return [line for line in lines if line.startswith("bentoml ")]


def _anchor(heading: str) -> str:
    text = re.sub(r"[^\w\- ]", "", heading.replace("`", "").lower())
    return text.replace(" ", "-")
