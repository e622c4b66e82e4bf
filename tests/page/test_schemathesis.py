"""The OpenAPI document against what the server really does: schemathesis makes requests from the one and checks the other."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from tests.support import Project

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
CONFIG = Path(__file__).with_name("schemathesis.toml")
HOOKS = Path(__file__).with_name("schemathesis_hooks.py")


@pytest.mark.parametrize(
    ("folder", "examples", "least"),
    [
        ("tests/projects/gallery", 25, 1000),
        ("examples/composition", 60, 100),
        ("examples/digits", 60, 60),
    ],
)
def test_the_document_is_true(folder: str, examples: int, least: int, tmp_path: Path) -> None:
    project = Project(ROOT / folder, tmp_path / "home")
    project.env["PYTHONDONTWRITEBYTECODE"] = "1"
    if (project.folder / "train.py").exists():
        subprocess.run([sys.executable, "train.py"], cwd=project.folder, env=project.env, check=True)
    with project.serve(".") as url:
        done = subprocess.run(
            [
                *(sys.executable, "-m", "schemathesis.cli", "--config-file", CONFIG),
                *("run", f"{url}/docs.json", "--checks", "all", "--max-examples", str(examples), "--no-color"),
            ],
            cwd=tmp_path, env=project.env | {"SCHEMATHESIS_HOOKS": str(HOOKS)}, capture_output=True, text=True, timeout=280,
        )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    made = re.search(r"(\d+) generated", done.stdout)
    assert made is not None and int(made[1]) >= least, done.stdout
