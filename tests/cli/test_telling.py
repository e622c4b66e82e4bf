"""A long command tells which step it is at, and how many bytes have moved in it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count

import pytest

from bentoml.cli._progress import Progress
from bentoml.cli._telling import Telling


@contextmanager
def slow(words: str) -> Iterator[Progress]:
    """Show progress on a clock that goes by ten seconds."""
    yield Progress(words, watched=True, clock=count(0.0, 10.0).__next__)


def test_bytes_count_for_the_step_that_goes_on(capsys: pytest.CaptureFixture[str]) -> None:
    telling = Telling(slow)
    telling.add(7)  # between two steps nobody watches
    with telling.step("one"):
        telling.expect(2048)
        telling.add(1024)
    with telling.step("two"):
        telling.expect(10)
        telling.add(5)
    first, second = capsys.readouterr().err.strip("\r").split("\r")
    assert first.startswith("one: 1.00 KiB of 2.00 KiB (50 %)")
    assert second.startswith("two: 5.00 B of 10.00 B (50 %)")


def test_a_step_that_fails_ends(capsys: pytest.CaptureFixture[str]) -> None:
    telling = Telling(slow)
    with pytest.raises(ValueError, match="broken"), telling.step("one"):
        raise ValueError("broken")
    telling.add(5)
    assert capsys.readouterr().err == ""
