"""Pickled content from elsewhere is loaded once somebody trusts it; what was made here needs no trust."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest
from tests.store.saving import Save

from bentoml.config import Home
from bentoml.exceptions import BentoMLException
from bentoml.store.archives.exporting import export
from bentoml.store.archives.importing import import_item
from bentoml.store.archives.places import open_place
from bentoml.store.models import Model, ModelStore
from bentoml.store.trust import Receipt, Trust

OBJECTS = {"labels": ["a", "b"]}


@pytest.fixture
def archive(save: Save, tmp_path: Path) -> Path:
    """The archive of a model with custom objects, of another store."""
    return Path(
        export(save("iris", {"w": "1"}, custom_objects=OBJECTS), open_place(tmp_path / "iris.bentomodel"))
    )


@pytest.fixture
def here(tmp_path: Path) -> Home:
    """The store that the archive comes to."""
    return Home(tmp_path / "here")


def take(archive: Path, home: Home, *, trust: bool = False) -> Model:
    (received,) = import_item(Model, open_place(archive), home=home, trust=trust)
    assert isinstance(received.item, Model)
    return received.item


def test_what_was_made_here_is_loaded(save: Save) -> None:
    model = save("iris", {"w": "1"}, custom_objects=OBJECTS)
    assert model.custom_objects == OBJECTS


def test_what_came_from_elsewhere_is_not(archive: Path, here: Home) -> None:
    take(archive, here)
    with pytest.raises(BentoMLException) as caught:
        _ = ModelStore(here).get("iris").custom_objects
    tag = ModelStore(here).resolve("iris")
    assert str(caught.value) == (
        f"model `{tag}` came from `{archive}` and holds pickled content (`custom_objects.pkl`), which can run any code "
        f"when it is loaded; if you trust where it came from, run `bentoml models trust {tag}`"
    )


def test_its_other_files_are_of_use_all_the_same(archive: Path, here: Home) -> None:
    assert Path(take(archive, here).path_of("w")).read_text() == "1"


@pytest.mark.parametrize("how", ["at once", "afterwards", "by importing again"])
def test_once_it_is_trusted_it_is_loaded(archive: Path, here: Home, how: str) -> None:
    model = take(archive, here, trust=how == "at once")
    if how == "afterwards":
        assert Trust(here).trust(model.digest) == Receipt(str(archive), ("custom_objects.pkl",), True)
    if how == "by importing again":
        take(archive, here, trust=True)
    assert ModelStore(here).get("iris").custom_objects == OBJECTS


def test_trust_stays_when_it_comes_again(archive: Path, here: Home) -> None:
    take(archive, here, trust=True)
    ModelStore(here).delete("iris")
    assert take(archive, here).custom_objects == OBJECTS


def test_trust_is_in_content_and_not_in_a_name(archive: Path, here: Home, save: Save, tmp_path: Path) -> None:
    tag = take(archive, here, trust=True).tag
    other = save(str(tag).replace(tag.version or "", "other"), {"w": "2"}, custom_objects=OBJECTS)
    path = Path(export(other, open_place(tmp_path / "other.tar")))
    with pytest.raises(BentoMLException, match="models trust iris:other"):
        _ = take(path, here).custom_objects


def test_what_was_made_here_and_comes_again_stays_trusted(archive: Path, home: Home) -> None:
    assert take(archive, home).custom_objects == OBJECTS


def test_what_came_from_elsewhere_and_is_made_here_is_trusted(archive: Path, here: Home) -> None:
    take(archive, here)
    with ModelStore(here).create("iris", custom_objects=OBJECTS) as model:
        Path(model.path_of("w")).write_text("1")
    assert ModelStore(here).get("iris").custom_objects == OBJECTS


def test_without_pickled_content_nothing_is_asked(save: Save, here: Home, tmp_path: Path) -> None:
    path = Path(export(save("plain", {"model.pkl": "text"}), open_place(tmp_path / "plain.tar")))
    model = take(path, here)
    assert model.custom_objects == {}
    assert Trust(here).receipt(model.digest) is None


def test_without_objects_there_is_nothing_to_refuse(save: Save, here: Home, tmp_path: Path) -> None:
    path = Path(export(save("plain", {"w.pkl": "N."}), open_place(tmp_path / "plain.tar")))
    Path(tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "w.bin").write_bytes(pickle.dumps([1]))
    assert take(path, here).custom_objects == {}
    model = take(tmp_path / "folder", here)
    assert Trust(here).receipt(model.digest) is not None
    assert model.custom_objects == {}


def test_a_receipt_that_cannot_be_read_is_no_trust(archive: Path, here: Home) -> None:
    model = take(archive, here, trust=True)
    (receipt,) = (here.root / "received").iterdir()
    receipt.write_text("{")
    with pytest.raises(BentoMLException, match="models trust"):
        _ = ModelStore(here).get(model.tag).custom_objects
