"""The examples, served and called as their READMEs say."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import PIL.Image
import pytest
from tests.support import Project

import bentoml
from bentoml.builder.build_file.config import load_config

EXAMPLES = Path(__file__).parent.parent.parent / "examples"
NAMES = sorted(folder.name for folder in EXAMPLES.iterdir() if (folder / "service.py").is_file())


@contextmanager
def served(name: str, tmp_path: Path) -> Iterator[tuple[str, Project]]:
    """Serve an example with a store of its own, from its folder."""
    project = Project(EXAMPLES / name, tmp_path / "home")
    project.env["PYTHONDONTWRITEBYTECODE"] = "1"
    with project.serve() as url:
        yield url, project


def client(project: Project, *arguments: str) -> str:
    """Return what the example's own client prints."""
    done = subprocess.run(
        [sys.executable, "client.py", *arguments], cwd=project.folder, env=project.env, text=True,
        stdout=subprocess.PIPE, check=True,
    )  # fmt: skip
    return done.stdout


@pytest.mark.parametrize("name", NAMES)
def test_each_example_is_complete(name: str) -> None:
    assert {"README.md", "bentofile.yaml", "client.py"} <= {p.name for p in (EXAMPLES / name).iterdir()}
    config = load_config(EXAMPLES / name)
    assert config.labels["example"] == name
    assert config.service.startswith("service:")


def test_the_index_names_each_example() -> None:
    index = (EXAMPLES / "README.md").read_text()
    assert [name for name in NAMES if f"({name}/README.md)" not in index] == []


@pytest.mark.slow
def test_stream(tmp_path: Path) -> None:
    with served("stream", tmp_path) as (url, project):
        assert client(project, url).startswith("Once upon a time Mole trained a small model, ")
        with bentoml.SyncHTTPClient(url) as caller:
            start = time.monotonic()
            pieces = caller.tell(pause=1)
            assert next(pieces) == "Once "
            assert time.monotonic() - start < 12, (
                "the first word comes long before the last, which takes 17 s"
            )
            pieces.close()
            with pytest.raises(bentoml.exceptions.InvalidArgument, match="pause"):
                list(caller.tell(pause=2))


@pytest.mark.slow
def test_tasks(tmp_path: Path) -> None:
    with served("tasks", tmp_path) as (url, project):
        first, *others = client(project, url, str(tmp_path / "pictures")).splitlines()
        assert first.endswith(": canceled")
        assert [line.partition(": ")[2] for line in others] == ["100 x 80", "200 x 160", "300 x 240"]
        with PIL.Image.open(tmp_path / "pictures" / "300.png") as picture:
            assert picture.getpixel((190, 120)) == 0, "inside"
            assert picture.getpixel((2, 2)) == 255, "far outside"


@pytest.mark.slow
def test_images(tmp_path: Path) -> None:
    PIL.Image.new("RGB", (300, 200), "red").save(tmp_path / "red.jpg")
    PIL.Image.new("RGBA", (50, 90), "blue").save(tmp_path / "blue.png")
    files = [str(tmp_path / "red.jpg"), str(tmp_path / "blue.png")]
    with served("images", tmp_path) as (url, project):
        sheet = tmp_path / "sheet.png"
        assert client(project, url, str(sheet), *files) == f"{sheet}: 128 x 64\n"
        with PIL.Image.open(sheet) as picture:
            red, blue = picture.getpixel((10, 10)), picture.getpixel((100, 10))
        assert isinstance(red, tuple) and isinstance(blue, tuple)
        assert red[0] > 240 and red[2] < 15
        assert blue == (0, 0, 255)
        with bentoml.SyncHTTPClient(url) as caller:
            small = caller.thumbnail(picture=tmp_path / "red.jpg", side=30)
            assert (small.size, small.format) == ((30, 20), "PNG")
            with pytest.raises(bentoml.exceptions.InvalidArgument, match="picture"):
                caller.thumbnail(picture=b"no picture")


@pytest.mark.slow
def test_composition(tmp_path: Path) -> None:
    with served("composition", tmp_path) as (url, project):
        assert client(project, url, "a small model", "a large model") == "50% alike\n"
        with bentoml.SyncHTTPClient(url) as caller:
            assert caller.compare(one="", other="") == 1.0
            assert caller.compare(one="Yes, yes!", other="yes") == 0.5
            assert set(caller.endpoints) == {"compare"}, "the other service is inside"
