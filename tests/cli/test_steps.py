"""What takes long is told, on stderr, and only then."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from time import sleep

import pytest

from bentoml.cli._steps import is_quiet, step


@pytest.fixture
def logger() -> Iterator[logging.Logger]:
    logger = logging.getLogger("bentoml")
    before = logger.level
    logger.setLevel(logging.INFO)
    yield logger
    logger.setLevel(before)


def test_a_quick_step_is_not_worth_a_line(logger: logging.Logger, capsys: pytest.CaptureFixture[str]) -> None:
    with step("Doing it"):
        pass
    assert capsys.readouterr() == ("", "")


def test_an_error_passes_through(logger: logging.Logger) -> None:
    with pytest.raises(ZeroDivisionError), step("Doing it"):
        _ = 1 / 0


def test_quiet(logger: logging.Logger) -> None:
    assert not is_quiet()
    logger.setLevel(logging.ERROR)
    assert is_quiet()
    with step("Doing it"):
        pass


@pytest.mark.slow
def test_a_long_step_is_told(logger: logging.Logger, capsys: pytest.CaptureFixture[str]) -> None:
    with step("Doing it"):
        sleep(2.5)
    assert capsys.readouterr() == ("", "Doing it ...\n")
