"""What has to run, as data: what the result depends on, and what not."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bentoml.builder.steps.model import Step, Steps, shell
from bentoml.store.archives.tar import TarEntry

STEPS = Steps(
    "run it",
    (shell("commands[0]", "echo $A"),),
    (TarEntry.file("home/x", b"1"),),
    {"A": "1"},
    "/home",
    ("TOKEN",),
)


@pytest.mark.parametrize(
    "change",
    [
        {"runs": (Step("commands[0]", ("echo", "$A")),)},
        {"runs": ()},
        {"files": (TarEntry.file("home/x", b"2"),)},
        {"files": (TarEntry.file("home/y", b"1"),)},
        {"files": (TarEntry.file("home/x", b"1", mode=0o755),)},
        {"env": {"A": "2"}},
        {"working_dir": "/"},
        {"secrets": ()},
    ],
    ids=lambda change: next(iter(change)),
)
def test_the_digest_is_that_of_all_that_matters(change: dict[str, Any]) -> None:
    assert replace(STEPS, **change).digest() != STEPS.digest()


def test_how_people_call_it_does_not_matter() -> None:
    assert replace(STEPS, about="another").digest() == STEPS.digest()


def test_a_file_counts_by_its_content(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"1")
    assert replace(STEPS, files=(TarEntry.file("home/x", tmp_path / "x"),)).digest() == STEPS.digest()


def test_nothing_to_run_is_no_steps() -> None:
    assert STEPS
    assert not Steps("nothing", (), STEPS.files)


def test_a_command_is_one_argument_of_the_shell() -> None:
    assert shell("a", "b; c").argv == ("/bin/sh", "-c", "b; c")
