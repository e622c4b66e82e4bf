"""Archives that BentoML 1.4 made are read here, and ours there: each format, models, bentos of both kinds."""

from __future__ import annotations

from pathlib import Path

import pytest
from benchmarks._harness import Environment, environments
from tests.store.saving import Save
from tests.store.test_interop import Theirs

from bentoml.config import Home
from bentoml.store.archives.exporting import export
from bentoml.store.archives.importing import import_item
from bentoml.store.archives.places import open_place
from bentoml.store.bentos import Bento
from bentoml.store.models import Model, ModelStore

pytestmark = pytest.mark.slow  # installs and runs BentoML

ENDINGS = ("bentomodel", "gz", "xz", "bz2", "tar", "zip")
SAVE = """
import bentoml, os
with bentoml.models.create("iris:v1", labels={"a": "b"}, metadata={"n": 1}, custom_objects={"k": [1]}) as model:
    os.mkdir(model.path_of("sub"))
    for name in ("w", "größe"):
        open(model.path_of("sub/" * (name != "w") + name), "w").write(name * 1000)
"""
READ = """
import bentoml, sys
model = bentoml.models.import_model(sys.argv[1])
print(model.tag, model.info.labels, model.custom_objects, open(model.path_of("sub/größe")).read() == "größe" * 1000)
"""
SERVICE = """
import bentoml

@bentoml.service
class Shop:
    model = bentoml.models.BentoModel("iris:v1")

    @bentoml.api
    def echo(self, text: str) -> str:
        return text
"""


@pytest.fixture(scope="module")
def environment() -> Environment:
    return environments(names=("bentoml",))["bentoml"]


@pytest.fixture
def theirs(environment: Environment, tmp_path: Path) -> Theirs:
    """BentoML, on another machine."""
    return Theirs(environment, Home(tmp_path / "theirs"))


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_model_of_theirs(theirs: Theirs, home: Home, tmp_path: Path, ending: str) -> None:
    theirs.run(SAVE)
    theirs.bentoml("models", "export", "iris:v1", str(tmp_path / f"x.{ending}"))
    (received,) = import_item(Model, open_place(tmp_path / f"x.{ending}"), home=home, trust=True)
    assert isinstance(received.item, Model)
    assert received.item.custom_objects == {"k": [1]}
    assert received.item.info.metadata == {"n": 1}
    assert Path(received.item.path_of("sub/größe")).read_text() == "größe" * 1000


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_model_of_ours(theirs: Theirs, save: Save, tmp_path: Path, ending: str) -> None:
    files = {"w": "w" * 1000, "sub/größe": "größe" * 1000}
    model = save("iris:v1", files, labels={"a": "b"}, custom_objects={"k": [1]})
    path = export(model, open_place(tmp_path / f"x.{ending}"))
    assert theirs.run(READ, path) == "iris:v1 {'a': 'b'} {'k': [1]} True\n"


@pytest.mark.parametrize("features", ["", "no_image"], ids=["of today", "of before 1.4"])
def test_a_bento_there_and_back(theirs: Theirs, home: Home, tmp_path: Path, features: str) -> None:
    theirs.run(SAVE)
    project = tmp_path / "project"
    project.mkdir()
    (project / "service.py").write_text(SERVICE)
    (project / "bentofile.yaml").write_text('service: "service:Shop"\npython: {lock_packages: false}\n')
    theirs.bentoml("build", "--version", "v1", folder=project, env={"BENTOML_ENABLE_FEATURES": features})
    theirs.bentoml("export", "shop:v1", str(tmp_path / "theirs.bento"))
    received = import_item(Bento, open_place(tmp_path / "theirs.bento"), home=home)
    assert [str(one.item.tag) for one in received] == ["iris:v1", "shop:v1"]
    bento = received[-1].item
    assert isinstance(bento, Bento)
    assert (bento.entry_service, bento.digest is not None) == ("Shop", True)
    path = export(bento, open_place(tmp_path / "ours.bento"), models=ModelStore(home).list())
    theirs.bentoml("delete", "-y", "shop:v1")
    theirs.bentoml("models", "delete", "-y", "iris:v1")
    theirs.bentoml("import", path)
    assert "name: shop" in theirs.bentoml("get", "shop:v1")
    assert "name: iris" in theirs.bentoml("models", "get", "iris:v1")
