"""What is found while others save and delete."""

from __future__ import annotations

import pytest
from tests.store.meanwhile import meanwhile
from tests.store.saving import Save

from bentoml.exceptions import NotFound
from bentoml.store.models import ModelStore


def test_the_latest_is_there_while_it_is_deleted(models: ModelStore, save: Save) -> None:
    save("iris:v1", {"w": "1"})
    failed: list[Exception] = []

    def look() -> None:
        try:
            models.get("iris")
        except NotFound as e:
            failed.append(e)

    with meanwhile(look):
        for _ in range(20):
            save("iris:v2", {"w": "2"})
            models.delete("iris:v2")
    assert failed == []


def test_what_is_deleted_meanwhile_is_left_out(models: ModelStore, save: Save) -> None:
    first, second, third = (save(f"iris:v{number}", {"w": "1"}) for number in range(3))
    found = models.manifests()
    assert next(found) == first.info
    models.delete(second.tag)
    assert list(found) == [third.info]


def test_an_item_that_was_deleted_is_not_damaged(models: ModelStore, save: Save) -> None:
    model = models.get(save("iris:v1", {"w": "1"}).tag)
    models.delete("iris:v1")
    with pytest.raises(NotFound, match="model `iris:v1` was deleted while it was looked at"):
        model.check()
