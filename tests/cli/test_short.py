"""Errors about what is too long to be read."""

from __future__ import annotations

from pathlib import Path

import pytest

from bentoml.cli._short import shortened
from bentoml.cli.main import run


@pytest.mark.parametrize(
    "message",
    ["", "no `iris`: look\n" * 500, f"`/{'folder/' * 120}file` is not there", "`docker build` " * 100],
)
def test_what_can_be_read_stays_as_it_is(message: str) -> None:
    assert shortened(message) == message


def test_a_long_word_is_shown_by_its_start_and_its_end() -> None:
    said = shortened(f"`<{'x' * 200_000}>` is no tag; write NAME:VERSION\nand `{'y' * 5000}` neither")
    assert said.startswith("`<xxx") and "xxx>` is no tag; write NAME:VERSION\nand `yyy" in said
    assert said.endswith("yyy` neither")
    assert "xxx... 199604 characters ...xxx" in said
    assert len(said) < 1000


def test_a_message_of_many_short_words_ends() -> None:
    said = shortened(f"begin {'a ' * 200_000}end")
    assert said.startswith("begin") and said.endswith("end")
    assert len(said) < 21_000


@pytest.mark.parametrize(
    "typed",
    [
        "LONG",
        "--LONG",
        "containerize LONG",
        "containerize iris --LONG",
        "containerize iris LONG",
        "containerize iris --compress-models LONG",
        "models get LONG",
        "models LONG iris",
        "import LONG",
    ],
)
def test_no_error_repeats_all_of_what_was_typed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], typed: str
) -> None:
    monkeypatch.setenv("BENTOML_HOME", str(tmp_path))
    with pytest.raises(SystemExit) as stop:
        run(typed.replace("LONG", "x" * 200_000).split())
    said = capsys.readouterr().err
    assert stop.value.code in (1, 2)
    assert "Error: " in said and "xxx... 199" in said
    assert len(said) < 5000
