"""However large a model is, exporting and importing it takes little memory."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

CHILD = """
import json, resource, sys
from pathlib import Path
from bentoml.config import Home
from bentoml.store.archives.exporting import export
from bentoml.store.archives.importing import import_item
from bentoml.store.archives.places import open_place
from bentoml.store.models import Model, ModelStore

peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
folder = Path(sys.argv[1])
model = ModelStore(Home(folder / "home")).get("large")
found = [peak()]
path = export(model, open_place(folder / sys.argv[2]))
found.append(peak())
import_item(Model, open_place(path), home=Home(folder / "here"))
found.append(peak())
print(json.dumps(found))
"""
SAVE = """
import os, sys
from pathlib import Path
from bentoml.config import Home
from bentoml.store.models import ModelStore

with ModelStore(Home(Path(sys.argv[1], "home"))).create("large") as model:
    with open(model.path_of("noise"), "wb") as file:
        for _ in range(200):
            file.write(os.urandom(1 << 20))
    with open(model.path_of("zeros"), "wb") as file:
        file.truncate(200 << 20)
"""


@pytest.mark.slow
@pytest.mark.parametrize("ending", ["bentomodel", "gz", "tar", "zip", "zst"])
def test_memory_stays_flat(tmp_path: Path, ending: str) -> None:
    run = [sys.executable, "-c"]
    subprocess.run([*run, SAVE, str(tmp_path)], check=True)
    done = subprocess.run(
        [*run, CHILD, str(tmp_path), f"x.{ending}"], check=True, capture_output=True, text=True
    )
    before, exported, imported = json.loads(done.stdout)
    assert max(exported, imported) - before < 60, (before, exported, imported)
    assert os.path.getsize(tmp_path / f"x.{ending}") > 200 << 20
