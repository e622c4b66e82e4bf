"""References to models: attributes of a class that are the model on its instances."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.sdk.services import of

import bentoml
from bentoml.config import Home
from bentoml.exceptions import BentoMLException, NotFound
from bentoml.models import BentoModel
from bentoml.store import current


@pytest.fixture
def digits(tmp_path: Path) -> bentoml.Model:
    current.use(Home(tmp_path))
    with bentoml.models.create("digits") as model:
        Path(model.path, "weights").write_text("1")
    return model


def test_a_model_by_its_tag(digits: bentoml.Model) -> None:
    @bentoml.service
    class Classifier:
        model = BentoModel("digits:latest")

        @bentoml.api
        def weights(self) -> str:
            return Path(self.model.path_of("weights")).read_text()

    assert Classifier().weights() == "1"
    assert [str(model.tag) for model in of(Classifier).models] == [str(digits.tag)]
    assert of(Classifier).inner.model.tag == bentoml.Tag("digits", "latest")


def test_a_model_by_an_alias(digits: bentoml.Model) -> None:
    current.model_store().set_alias("digits@prod", digits.tag)

    @bentoml.service
    class Classifier:
        model = BentoModel("Digits@prod")

    (found,) = of(Classifier).models
    assert (found, found.alias) == (digits, "digits@prod")
    assert of(Classifier).inner.model.tag == "digits@prod"
    assert of(Classifier).inner.model.to_info().alias == "digits@prod"
    with pytest.raises(BentoMLException, match="Invalid alias"):
        BentoModel("digits@../x")


def test_a_reference_is_a_value(digits: bentoml.Model) -> None:
    assert BentoModel("digits") == BentoModel(bentoml.Tag("digits")) != BentoModel("digits:1")
    assert len({BentoModel("digits"), BentoModel("digits")}) == 1
    assert BentoModel("digits").resolve().tag == digits.tag
    info = BentoModel("digits").to_info(alias="d")
    assert (info.tag, info.alias) == (digits.tag, "d")
    with pytest.raises(AttributeError):
        BentoModel("digits").tag = bentoml.Tag("other")  # type: ignore[misc]  # it is frozen


def test_a_model_that_is_not_there_is_missed_when_it_is_used(digits: bentoml.Model) -> None:
    @bentoml.service
    class Classifier:
        model = BentoModel("no-such-model")

    assert of(Classifier).name == "Classifier"
    with pytest.raises(NotFound, match="no-such-model"):
        _ = Classifier().model
    with pytest.raises(NotFound, match="no-such-model"):
        _ = of(Classifier).models


def test_a_tag_that_is_none() -> None:
    with pytest.raises(ValueError, match="No Such"):
        BentoModel("No Such")
