from __future__ import annotations

from datetime import date
from typing import Any

import pytest
from tests.store.saving import Save

from bentoml.store.models import ModelStore
from bentoml.store.search import has_labels, has_metadata

METADATA = {
    "acc": 0.9, "epochs": 3, "fast": True, "name": "1.10", "none": None, "day": date(2026, 1, 2),
    "training": {"rate": 0.1, "a.b": "x"}, "a.b": "direct", "list": [1, 2],
}  # fmt: skip


@pytest.mark.parametrize(
    ("wanted", "is_there"),
    [
        ({}, True), ({"stage": "prod"}, True), ({"stage": None}, True), ({"stage": "test"}, False),
        ({"team": None}, False), ({"stage": "prod", "owner": "me"}, True), ({"stage": "prod", "owner": "you"}, False),
    ],
)  # fmt: skip
def test_labels(wanted: dict[str, str | None], is_there: bool) -> None:
    assert has_labels({"stage": "prod", "owner": "me"}, wanted) is is_there


@pytest.mark.parametrize(
    ("wanted", "is_there"),
    [
        ({"acc": 0.9}, True), ({"acc": "0.90"}, True), ({"acc": "x"}, False), ({"epochs": "3"}, True), ({"epochs": 3}, True),
        ({"fast": "true"}, True), ({"fast": "1"}, False), ({"fast": True}, True), ({"name": "1.10"}, True),
        ({"name": "1.1"}, False), ({"none": "null"}, True), ({"none": None}, True), ({"day": "2026-01-02"}, True),
        ({"training.rate": "0.1"}, True), ({"training.a.b": "x"}, True), ({"a.b": "direct"}, True), ({"list": [1, 2]}, True),
        ({"missing": None}, False), ({"training.missing": None}, False), ({"acc.x": None}, False),
        ({"acc": "0.9", "epochs": "4"}, False),
    ],
)  # fmt: skip
def test_metadata(wanted: dict[str, Any], is_there: bool) -> None:
    assert has_metadata(METADATA, wanted) is is_there


def test_models_are_found_by_both(models: ModelStore, save: Save) -> None:
    one = save("iris:v1", {"w": "1"}, labels={"stage": "prod"}, metadata={"acc": 0.9})
    two = save("iris:v2", {"w": "2"}, labels={"stage": "test"}, metadata={"acc": 0.9})
    assert models.list(labels={"stage": "prod"}) == [one]
    assert models.list(metadata={"acc": 0.9}) == [two, one]
    assert models.list("iris", labels={"stage": None}, metadata={"acc": "0.9"}) == [two, one]
    assert models.list("iris:v1", labels={"stage": "test"}) == []
