from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from tests.store.saving import Save

from bentoml import Tag
from bentoml.config import Home
from bentoml.exceptions import BentoMLException, NotFound
from bentoml.store.bentos import Bento, BentoStore
from bentoml.store.manifest import BentoInfo, ModelRef
from bentoml.store.models import ModelStore


@pytest.fixture
def bentos(home: Home) -> BentoStore:
    return BentoStore(home)


def build(
    bentos: BentoStore, name: str = "shop", text: str = "code", version: str | None = None, **info: object
) -> Bento:
    with bentos.create(name, version=version) as draft:
        (draft.path / "src").mkdir()
        (draft.path / "src" / "service.py").write_text(text)
        (draft.path / "README.md").write_text("# Shop\n")
        draft.info = BentoInfo(tag=Tag("ignored", "v0"), service="service:Shop", entry_service="Shop", **info)  # type: ignore[arg-type]  # keywords pass through
    return draft.saved


def test_a_bento_is_stored_by_its_content(bentos: BentoStore, home: Home) -> None:
    bento = build(bentos)
    assert bento.tag.name == "shop" and len(str(bento.tag.version)) == 16
    assert bento.path == str(home.bentos / "shop" / str(bento.tag.version))
    assert (bento.entry_service, bento.doc) == ("Shop", "# Shop\n")
    assert build(bentos, creation_time=datetime(2020, 1, 1, tzinfo=UTC)) == bento
    assert build(bentos, text="other") != bento
    assert bentos.get("shop:latest").info.service == "service:Shop"
    assert str(bento) == f'Bento(tag="{bento.tag}")'


def test_a_given_version(bentos: BentoStore) -> None:
    bento = build(bentos, version="v1")
    assert bento.tag == Tag("shop", "v1")
    assert build(bentos, version="v1").creation_time == bento.creation_time
    with pytest.raises(BentoMLException, match="bento `shop:v1` exists with other content"):
        build(bentos, version="v1", text="other")


def test_an_error_leaves_nothing(bentos: BentoStore, home: Home) -> None:
    with pytest.raises(RuntimeError), bentos.create("shop") as draft:
        (draft.path / "x").touch()
        raise RuntimeError
    assert bentos.list() == [] and list(home.staging.iterdir()) == []


def test_a_model_that_was_deleted_meanwhile_leaves_nothing(
    bentos: BentoStore, home: Home, models: ModelStore, save: Save
) -> None:
    model = save("iris:v1", {"w": "1"})
    with (
        pytest.raises(NotFound, match="bento `shop` needs model `iris:v1`"),
        bentos.create("shop", check=models.needed_by) as draft,
    ):
        (draft.path / "x").touch()
        draft.info = BentoInfo(tag=Tag("shop"), models=(ModelRef.of(model.info),))
        models.delete("iris:v1", check=bentos.check_unused)
    assert bentos.list() == [] and list(home.staging.iterdir()) == []


def test_listing_and_deleting(bentos: BentoStore) -> None:
    one, two = build(bentos, text="1"), build(bentos, text="2")
    assert bentos.list() == bentos.list("shop") == [two, one]
    assert bentos.tags() == sorted([one.tag, two.tag])
    assert bentos.delete(two.tag) == two
    assert bentos.get("shop") == one
    bentos.delete("shop")
    with pytest.raises(NotFound, match="`bentoml list` shows"):
        bentos.get("shop")


def test_who_needs_a_model(bentos: BentoStore, save: Save) -> None:
    top, inner, free = (save(name, {"w": name * 100}) for name in ("top", "inner", "free"))
    bento = build(
        bentos,
        models=(ModelRef.of(top.info), ModelRef(tag=Tag("gone", "v1"))),
        services=(
            {"name": "Shop", "models": [ModelRef.of(inner.info).to_data(), ModelRef.of(top.info).to_data()]},
        ),
    )
    assert bentos.users_of(top.tag) == bentos.users_of(inner.tag) == [bento]
    assert bentos.users_of(free.tag) == []
    bentos.check_unused(free.tag)
    with pytest.raises(BentoMLException) as caught:
        bentos.check_unused(top.tag)
    assert str(caught.value).startswith(
        f"Model {top.tag} is being used by the following bentos and can't be deleted:\n  {bento.tag}\n"
    )
    assert bentos.models_size(bento) == top.file_size + inner.file_size
    assert bento.total_size() == bento.file_size + top.file_size + inner.file_size


def test_a_bento_without_a_readme_has_no_doc(bentos: BentoStore) -> None:
    bento = build(bentos)
    Path(bento.path, "README.md").unlink()
    assert bento.doc == ""
