"""A bento keeps the versions that aliases named when it was built, and is not served once a bit of it flips."""

from __future__ import annotations

import json
import urllib.request
from pathlib import Path

import pytest
from tests.store.flips import flip, flip_unseen
from tests.support import Project

from bentoml import Tag
from bentoml.config import Home
from bentoml.store.bentos import Bento, BentoStore
from bentoml.store.models import Model, ModelStore

pytestmark = pytest.mark.slow

SERVICE = """
import bentoml

at_import = bentoml.models.get("rose@live")

@bentoml.service
class Shop:
    iris = bentoml.models.BentoModel("iris@prod")
    lily = bentoml.models.get("lily@best")

    @bentoml.api
    def versions(self) -> list[str]:
        models = [self.iris, self.lily, bentoml.models.get("iris@prod"), bentoml.models.get("rose@live"), at_import]
        return [str(model.tag) for model in models]
"""


@pytest.fixture
def project(tmp_path: Path) -> Project:
    folder = tmp_path / "project"
    folder.mkdir()
    bentofile = 'service: "service:Shop"\ninclude: ["service.py"]\nmodels: ["rose@live"]\n'
    return Project(folder, tmp_path / "home").write(service_py=SERVICE, bentofile_yaml=bentofile)


def save(project: Project, tag: str) -> Model:
    with ModelStore(Home(project.home)).create(tag) as model:
        Path(model.path_of("w")).write_text(tag)
    return model


def built(project: Project) -> Bento:
    """Build with version v1 of all models, then move all aliases to v2."""
    store = ModelStore(Home(project.home))
    for version in ("v1", "v2"):
        for alias in ("iris@prod", "lily@best", "rose@live"):
            store.set_alias(alias, save(project, f"{alias.partition('@')[0]}:{version}").tag)
        if version == "v1":
            done = project.bentoml("build", "-o", "tag")
            assert done.returncode == 0, done.stderr
    return BentoStore(Home(project.home)).get("shop")


def test_a_bento_keeps_what_aliases_named(project: Project) -> None:
    bento = built(project)
    assert {(str(ref.tag), ref.alias) for ref in bento.info.all_models} == {
        ("iris:v1", "iris@prod"), ("lily:v1", "lily@best"), ("rose:v1", "rose@live"),
    }  # fmt: skip
    BentoStore(Home(project.home)).set_alias("shop@live", bento.tag)
    with project.serve("shop@live") as url:
        request = urllib.request.Request(f"{url}/versions", b"{}", {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=60) as answer:
            assert json.load(answer) == ["iris:v1", "lily:v1", "iris:v1", "rose:v1", "rose:v1"]


@pytest.mark.parametrize("target", ["bento", "manifest", "model", "rotten model"])
def test_a_flipped_bit_stops_serve_and_containerize(project: Project, target: str) -> None:
    bento = built(project)
    match target:
        case "bento":
            flip(bento.path_of("src/service.py"))
        case "manifest":
            flip(bento.path_of("bento.yaml"), at=20)
        case "model":
            flip(ModelStore(Home(project.home)).get(Tag("rose", "v1")).path_of("w"))
        case "rotten model":
            flip_unseen(ModelStore(Home(project.home)).get(Tag("rose", "v1")).path_of("w"))
            assert project.bentoml("verify").returncode == 1
    for words in (["serve", str(bento.tag)], ["serve", bento.path], ["containerize", str(bento.tag)]):
        done = project.bentoml(*words)
        assert done.returncode == 1, words
        assert "is damaged: `" in done.stderr + done.stdout, words
        assert "Traceback" not in done.stderr + done.stdout
    done = project.bentoml("verify")
    assert done.returncode == 1 and len(done.stdout.splitlines()) == 1
