"""What is tried again, and after what pause."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from bentoml.client.failures import BrokenConnection, Unreachable
from bentoml.client.retries import Options, Retries, is_worth_a_retry, retry_after
from bentoml.exceptions import RequestTimeout, ServiceUnavailable


def test_pauses_double_up_to_the_longest() -> None:
    retries = Retries(limit=9, total=None, first=0.1, longest=1.0)
    pauses = [retries.pause(tried, 0, None, chance=0) for tried in range(1, 11)]
    assert pauses == [0.1, 0.2, 0.4, 0.8, 1.0, 1.0, 1.0, 1.0, 1.0, None]


def test_chance_shortens_a_pause_by_up_to_a_half() -> None:
    retries = Retries(limit=1, total=None, first=1.0)
    assert retries.pause(1, 0, None, chance=0.5) == 0.75
    assert retries.pause(1, 0, None, chance=1) == 0.5


def test_what_the_server_asks_is_the_least() -> None:
    retries = Retries(limit=1, total=10)
    assert retries.pause(1, 0, 3.0, chance=0) == 3.0
    assert retries.pause(1, 0, 0.0, chance=0) == 0.1
    assert retries.pause(1, 0, 11.0, chance=0) is None, "longer than there is time"


def test_no_try_begins_after_the_total() -> None:
    retries = Retries(limit=99, total=2, first=1)
    assert retries.pause(1, 0.9, None, chance=0) == 1
    assert retries.pause(1, 1.1, None, chance=0) is None


def test_options() -> None:
    assert Options(timeout=5, retries=0).for_calls() == Retries(0, 5)
    assert Options(timeout=None, retries=0).for_questions() == Retries(2, None)
    assert Options(retries=7).for_questions().limit == 7
    with pytest.raises(ValueError, match="not -1"):
        Options(retries=-1)
    for wrong in (-1, "10", float("nan")):
        with pytest.raises(ValueError, match="a number of seconds, or None"):
            Options(timeout=wrong)  # type: ignore[arg-type]  # one of them is a text


@pytest.mark.parametrize(
    ("outcome", "worth"),
    [
        (200, False), (400, False), (429, True), (500, False), (502, True), (503, True), (504, False),
        (Unreachable(), True), (BrokenConnection(), True), (RequestTimeout(), False), (ServiceUnavailable(), False),
    ],
)  # fmt: skip
def test_what_may_be_another_one_next_time(outcome: int | Exception, worth: bool) -> None:
    assert is_worth_a_retry(outcome) is worth


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("3", 3.0),
        (" 0 ", 0.0),
        ("Sat, 21 Nov 2026 12:00:05 GMT", 5.0),
        ("Sat, 21 Nov 2026 11:00:00 GMT", 0.0),
        ("Sat, 21 Nov 2026 12:00:05 -0000", 5.0),
        ("soon", None),
        ("-1", None),
        ("", None),
    ],
)
def test_retry_after(text: str, seconds: float | None) -> None:
    now = datetime(2026, 11, 21, 12, tzinfo=UTC)
    assert retry_after({"retry-after": text}, now) == seconds
    assert retry_after({}, now) is None
