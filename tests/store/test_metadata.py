from __future__ import annotations

import enum
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any

import numpy as np
import pytest

from bentoml.store.metadata import identity_of, plain_labels, plain_metadata


class Stage(enum.StrEnum):
    PROD = "prod"


def test_plain_values_stay_as_they_are() -> None:
    value = {
        "s": "x",
        "b": b"\0",
        "t": True,
        "i": 1,
        "f": 0.5,
        "c": 1j,
        "n": None,
        "d": date(2026, 1, 2),
        "l": [{"x": 1}],
    }
    assert plain_metadata(value) == value
    assert plain_metadata(None) == {}


@pytest.mark.parametrize(
    ("value", "plain"),
    [
        (np.float32(0.5), 0.5),
        (np.int64(3), 3),
        (np.bool_(True), True),
        (np.str_("x"), "x"),
        ((1, (2,)), [1, [2]]),
        (Stage.PROD, "prod"),
        (bytearray(b"x"), b"x"),
        (datetime(2026, 1, 1, 12, tzinfo=timezone(timedelta(hours=2))), datetime(2026, 1, 1, 10, tzinfo=UTC)),
    ],
    ids=repr,
)
def test_other_spellings_become_plain(value: object, plain: object) -> None:
    found = plain_metadata({"x": value})["x"]
    assert found == plain
    assert type(found) is type(plain)


@pytest.mark.parametrize(
    ("value", "where"),
    [
        ({"a": {"b": [object()]}}, "metadata.a.b\\[0\\]"),
        ({"a": np.zeros(2)}, "metadata.a"),
        ({"a": {1, 2}}, "metadata.a"),
        ({1: "x"}, "keys of `metadata`"),
        ({"a": {None: 1}}, "keys of `metadata.a`"),
        (["a"], "must be a dict"),
    ],
    ids=repr,
)
def test_anything_else_is_refused_with_its_place(value: Any, where: str) -> None:
    with pytest.raises(ValueError, match=where):
        plain_metadata(value)


@pytest.mark.parametrize("labels", [{"a": 1}, {1: "a"}, {"a": None}, "a=b"], ids=repr)
def test_labels_are_strings(labels: Any) -> None:
    with pytest.raises(ValueError, match="labels must be"):
        plain_labels(labels)


def test_labels_are_not_judged_by_their_syntax() -> None:
    assert plain_labels({"bad key!": "any value"}) == {"bad key!": "any value"}


def test_different_values_have_different_identities() -> None:
    values = [
        "1",
        1,
        1.0,
        True,
        None,
        b"1",
        1 + 0j,
        float("nan"),
        date(2026, 1, 1),
        datetime(2026, 1, 1),
        [],
        {},
    ]
    assert len({repr(identity_of(value)) for value in values}) == len(values)


HALF = "a\ud800b"


@pytest.mark.parametrize("labels", [{"team": HALF}, {HALF: "a"}], ids=ascii)
def test_labels_hold_no_half_of_a_character(labels: dict[str, str]) -> None:
    with pytest.raises(ValueError, match=r"label .*'a\\ud800b', which holds half of a character"):
        plain_labels(labels)


@pytest.mark.parametrize("value", [{"a": [HALF]}, {"b": {HALF: 1}}], ids=ascii)
def test_metadata_holds_no_half_of_a_character(value: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"`metadata\..* is 'a\\ud800b', which holds half of a character"):
        plain_metadata(value)
