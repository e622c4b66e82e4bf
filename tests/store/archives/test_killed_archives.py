"""Export and import are killed at any point: nothing is half there, and nothing is left once somebody comes by."""

from __future__ import annotations

import os
import random
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from bentoml.config import Home
from bentoml.store.archives.exporting import export
from bentoml.store.archives.importing import import_item
from bentoml.store.archives.places import open_place
from bentoml.store.models import Model, ModelStore

_DRAFT = re.compile(r"^\.(.+)\.[0-9a-f]{12}$")

EXPORTER = """
import sys
from pathlib import Path
from bentoml.config import Home
from bentoml.store.archives.exporting import export
from bentoml.store.archives.places import open_place
from bentoml.store.models import ModelStore

model = ModelStore(Home(Path(sys.argv[1]))).get("iris")
print("ready", flush=True)
while True:
    for ending in ("bentomodel", "zip", "tar", "gz"):
        print("begun", flush=True)
        export(model, open_place(sys.argv[2] + "/iris." + ending))
        print("done", flush=True)
"""
IMPORTER = """
import sys
from pathlib import Path
from bentoml.config import Home
from bentoml.store.archives.importing import import_item
from bentoml.store.archives.places import open_place
from bentoml.store.models import Model, ModelStore

home = Home(Path(sys.argv[1]))
print("ready", flush=True)
while True:
    import_item(Model, open_place(sys.argv[2]), home=home)
    ModelStore(home).delete("iris")
"""


def kill_in_the_middle(script: str, *arguments: str) -> str:
    """Let a script work for a moment; return what it said then."""
    argv = [sys.executable, "-c", script, *arguments]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None and child.stdout.readline() == "ready\n"
        time.sleep(random.uniform(0, 0.1))
        os.kill(child.pid, signal.SIGKILL)
        return child.stdout.read()


@pytest.fixture
def iris(models: ModelStore) -> Model:
    with models.create("iris:v1") as model:
        for number in range(5):
            Path(model.path, f"{number}").write_bytes(os.urandom(1_000_000) + bytes(300_000))
    return model


@pytest.mark.slow
def test_an_export_is_whole_or_not_there(iris: Model, home: Home, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    expected = {
        f"iris.{ending}": Path(export(iris, open_place(tmp_path / f"whole.{ending}"))).read_bytes()
        for ending in ("bentomodel", "zip", "tar", "gz")
    }
    interrupted = 0
    for _ in range(40):
        interrupted += kill_in_the_middle(EXPORTER, str(home.root), str(out)).endswith("begun\n")
        for path in out.iterdir():
            name = _DRAFT.sub(r"\1", path.name)  # which it has for a moment where it replaces another
            assert path.read_bytes() == expected[name], "whatever has a name is whole"
            path.unlink()
    assert interrupted > 10, "the kills must hit the middle, or this test shows nothing"


@pytest.mark.slow
def test_an_import_is_whole_or_not_there(iris: Model, home: Home, tmp_path: Path) -> None:
    path = export(iris, open_place(tmp_path / "iris.bentomodel"))
    there = Home(tmp_path / "there")
    interrupted = 0
    for _ in range(40):
        kill_in_the_middle(IMPORTER, str(there.root), path)
        interrupted += any(there.staging.glob("*.lock"))
        for model in ModelStore(there).list():
            model.check(thoroughly=True)
            assert model.digest == iris.digest
    assert interrupted > 10, "the kills must hit the middle, or this test shows nothing"
    (received,) = import_item(Model, open_place(path), home=there)
    received.item.check(thoroughly=True)
    assert list(there.staging.iterdir()) == []
