from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bentoml.builder.build_file.config import parse_config
from bentoml.builder.contents.model_specs import ModelSpec, model_info
from bentoml.config import Home
from bentoml.exceptions import BentoMLConfigException, NotFound
from bentoml.store.models import ModelStore


@pytest.fixture
def models(tmp_path: Path) -> ModelStore:
    store = ModelStore(Home(tmp_path))
    for version, labels, metadata in [
        ("v1", {"stage": "prod", "team": "a"}, {"accuracy": 0.9}),
        ("v2", {"stage": "test"}, {"accuracy": 0.8}),
        ("v3", {"stage": "test", "team": "b"}, {}),
    ]:
        with store.create(f"iris:{version}", labels=labels, metadata=metadata) as model:
            Path(model.path, "x").write_text(version)
    return store


@pytest.mark.parametrize(
    ("spec", "version"),
    [
        (ModelSpec("iris"), "v3"),
        (ModelSpec("iris:latest"), "v3"),
        (ModelSpec("iris:v2"), "v2"),
        (ModelSpec("iris", filter="label:stage=prod"), "v1"),
        (ModelSpec("iris:latest", filter="label:stage=test"), "v3"),
        (ModelSpec("iris", filter="label:team"), "v3"),
        (ModelSpec("iris", filter="label:stage=test metadata:accuracy=0.8"), "v2"),
        (ModelSpec("iris", filter="metadata:accuracy"), "v2"),
        (ModelSpec("iris:v1", filter="label:stage=prod"), "v1"),
    ],
    ids=str,
)
def test_which_model_is_meant(models: ModelStore, spec: ModelSpec, version: str) -> None:
    assert model_info(spec, models).version == version


@pytest.mark.parametrize(
    "spec",
    [
        ModelSpec("iris", filter="label:stage=none"),
        ModelSpec("iris:v1", filter="label:stage=test"),
        ModelSpec("rose"),
    ],
    ids=str,
)
def test_none_is_meant(models: ModelStore, spec: ModelSpec) -> None:
    with pytest.raises(NotFound):
        model_info(spec, models)


def test_an_alias_of_the_store_names_a_model(models: ModelStore) -> None:
    models.set_alias("iris@prod", "iris:v1")
    (spec,) = parse_config({"models": ["iris@prod"]}, source="x").models
    assert model_info(spec, models).version == "v1"


@pytest.mark.parametrize(
    ("entry", "key"),
    [
        ({"tag": "iris", "filter": "stage=prod"}, "models[0].filter"),
        ({"tag": "iris", "filter": "label:"}, "models[0].filter"),
        ({"tag": "iris", "alias": "../x"}, "models[0].alias"),
        ({"tag": "iris@"}, "models[0]"),
        ({"tag": "iris@latest"}, "models[0]"),
        ({"tag": "iris:v1:v2"}, "models[0]"),
        ({"tag": "iris", "filtre": "x"}, "models[0].filtre"),
    ],
)
def test_what_is_no_model_is_refused_by_name(entry: dict[str, Any], key: str) -> None:
    with pytest.raises(BentoMLConfigException) as caught:
        parse_config({"models": [entry]}, source="x")
    assert f"`{key}` " in str(caught.value)
