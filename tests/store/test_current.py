from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.store.saving import Save

import bentoml
from bentoml.config import Home
from bentoml.exceptions import BentoMLException
from bentoml.store import current
from bentoml.store.manifest import BentoInfo, ModelRef


@pytest.fixture(autouse=True)
def _own_home(home: Home) -> Iterator[None]:
    before = (current._current.home, current._current.pins)
    current.use(home)
    yield
    current._current.home, current._current.pins = before


def test_the_facades_use_the_current_store(home: Home) -> None:
    with bentoml.models.create("iris", labels={"a": "b"}) as model:
        Path(model.path_of("w")).write_text("1")
    assert bentoml.models.get("iris:latest") == model
    assert bentoml.models.list() == bentoml.models.list("iris") == [model]
    assert Path(model.path).is_relative_to(home.models)
    assert bentoml.list() == bentoml.bentos.list() == []
    assert bentoml.models.delete("iris") == model


def test_a_model_that_a_bento_needs_stays(save: Save) -> None:
    model = save("iris", {"w": "1"})
    with current.bento_store().create("shop") as draft:
        draft.info = BentoInfo(tag=bentoml.Tag("shop"), models=(ModelRef.of(model.info),))
    with pytest.raises(BentoMLException, match="can't be deleted"):
        bentoml.models.delete("iris")
    assert bentoml.get("shop") == draft.saved
    bentoml.delete("shop")
    assert bentoml.models.delete("iris") == model


def test_pins_hold_until_others_are_used(home: Home, save: Save) -> None:
    one, two = save("iris", {"w": "1"}), save("iris", {"w": "2"})
    current.use(home, {"iris:latest": one.tag})
    assert bentoml.models.get("iris:latest") == one
    current.use(home)
    assert bentoml.models.get("iris:latest") == two


def test_the_environment_says_where_the_default_store_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    current._current.home = None
    monkeypatch.setenv("BENTOML_HOME", str(tmp_path / "elsewhere"))
    with bentoml.models.create("iris"):
        pass
    assert (tmp_path / "elsewhere" / "models" / "iris" / "latest").exists()


def test_a_name_with_several_versions_is_not_enough_to_delete(save: Save) -> None:
    save("iris", {"w": "1"})
    save("iris", {"w": "2"})
    with pytest.raises(BentoMLException, match="several versions"):
        bentoml.models.delete("iris")
    assert len(bentoml.models.list("iris")) == 2
