"""What comes from elsewhere, and may take the place of what is here."""

from __future__ import annotations

import shutil
from contextlib import suppress
from pathlib import Path

import pytest
from tests.store.meanwhile import meanwhile
from tests.store.saving import Save

from bentoml import Tag
from bentoml.config import Home
from bentoml.exceptions import BentoMLException, NotFound
from bentoml.store.bentos import BentoStore
from bentoml.store.manifest import BentoInfo, ModelRef
from bentoml.store.models import Model, ModelStore
from bentoml.store.receive import receive, staged


def arrive(home: Home, folder: Path, *, replaces: bool) -> bool:
    """Take in a copy of an item's folder; say whether it is new."""
    with staged(home) as place:
        shutil.copytree(folder, place / "item")
        (received,) = receive([place / "item"], home=home, origin="elsewhere", replaces=replaces)
        return received.is_new


@pytest.fixture
def other(tmp_path: Path) -> Model:
    with ModelStore(Home(tmp_path / "elsewhere")).create("iris:v1") as model:
        Path(model.path, "w").write_text("theirs")
    return model


def test_another_one_takes_the_place_with_leave_alone(
    home: Home, models: ModelStore, save: Save, other: Model
) -> None:
    ours = save("iris:v1", {"w": "ours"})
    with pytest.raises(BentoMLException, match="exists with other content"):
        arrive(home, Path(other.path), replaces=False)
    assert models.get("iris:v1").digest == ours.digest
    assert arrive(home, Path(other.path), replaces=True)
    assert models.get("iris:v1").digest == other.digest
    assert not arrive(home, Path(other.path), replaces=True)
    assert models.verify() == []


def test_a_bento_whose_model_is_collected_meanwhile_stays_outside(
    home: Home, models: ModelStore, save: Save, other: Model
) -> None:
    elsewhere = Home(Path(other.path).parents[2])
    with BentoStore(elsewhere).create("app") as draft:
        draft.info = BentoInfo(tag=Tag("app"), models=(ModelRef.of(other.info),))

    def collect() -> None:
        for model in models.tags():
            with suppress(BentoMLException):
                models.delete(model, check=BentoStore(home).check_unused)

    for _ in range(10):
        with meanwhile(collect), staged(home) as place, suppress(NotFound):
            for name, item in (("model", other), ("bento", draft.saved)):
                shutil.copytree(item.path, place / name)
            receive([place / "model", place / "bento"], home=home, origin="elsewhere")
        for bento in BentoStore(home).list():
            assert models.needed_by(bento.info)
            BentoStore(home).delete(bento.tag)


def test_what_is_damaged_takes_no_place(home: Home, models: ModelStore, save: Save, other: Model) -> None:
    ours = save("iris:v1", {"w": "ours"})
    shutil.copytree(other.path, home.root / "copy")
    (home.root / "copy" / "w").unlink()
    with pytest.raises(BentoMLException, match="`w` is missing"):
        arrive(home, home.root / "copy", replaces=True)
    assert models.get("iris:v1").digest == ours.digest
