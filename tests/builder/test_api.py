from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import bentoml
from bentoml.builder.api import build_from_arguments, build_project, split_target
from bentoml.config import Home
from bentoml.exceptions import BentoMLConfigException, InvalidArgument
from bentoml.store import current

MINIMAL = Path(__file__).parents[1] / "projects" / "minimal"


@pytest.mark.parametrize(
    ("target", "folder", "service"),
    [
        (".", ".", ""),
        ("src", "src", ""),
        ("service:Iris", ".", "service:Iris"),
        ("src/service.py:Iris", ".", "src/service.py:Iris"),
        ("nowhere", ".", "nowhere"),
    ],
)
def test_a_target_is_a_folder_or_a_service(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, target: str, folder: str, service: str
) -> None:
    (tmp_path / "src").mkdir()
    monkeypatch.chdir(tmp_path)
    assert split_target(target) == (Path(folder), service)


def test_arguments_stand_for_a_build_file(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("# Read me\n")
    (tmp_path / "service.py").write_text((MINIMAL / "service.py").read_text())
    (tmp_path / "bentofile.yaml").write_text("this: is not read\n")
    bento = build_from_arguments(
        "service:GreetingCardService",
        home=Home(tmp_path / ".home"),
        env=os.environ,
        build_ctx=tmp_path,
        name="card",
        labels={"a": "b"},
        description="file: README.md",
        include=["*.py"],
        python={"packages": ["numpy"], "lock_packages": False},
        docker=None,
    )
    assert bento.tag.name == "card"
    assert bento.info.labels == {"a": "b"}
    assert bento.doc == "# Read me\n"
    assert "numpy" in Path(bento.path_of("env/python/requirements.txt")).read_text().splitlines()
    assert not Path(bento.path_of("src/bentofile.yaml")).exists()


def test_mistakes_in_arguments_are_named(tmp_path: Path) -> None:
    with pytest.raises(
        BentoMLConfigException, match=r"build\(\): `lables` is not a known key; did you mean `labels`\?"
    ):
        build_from_arguments("service", home=Home(tmp_path), env={}, build_ctx=tmp_path, lables={})
    with pytest.raises(BentoMLConfigException, match="the command: `name` is not a name for a bento"):
        build_project(tmp_path, home=Home(tmp_path), env={}, name="a b")
    with pytest.raises(InvalidArgument, match="is not a folder"):
        build_from_arguments("service", home=Home(tmp_path), env={}, build_ctx=tmp_path / "nowhere")


def test_the_public_functions_build_into_the_store_in_use(tmp_path: Path) -> None:
    before = (current._current.home, current._current.pins)
    current.use(Home(tmp_path / ".home"))
    try:
        (tmp_path / "service.py").write_text((MINIMAL / "service.py").read_text())
        (tmp_path / "prod.yaml").write_text("name: prod\npython: {lock_packages: false}\n")
        one = bentoml.build(
            "service:GreetingCardService",
            name="one",
            build_ctx=tmp_path,
            python={"lock_packages": False},
            args={"a": 1},
        )
        two = bentoml.bentos.build_bentofile("prod.yaml", build_ctx=tmp_path, version="v2", labels={"a": "b"})
        assert (one.tag.name, one.info.args) == ("one", {"a": 1})
        assert (str(two.tag), two.info.labels) == ("prod:v2", {"a": "b"})
        assert set(bentoml.list()) == {one, two}
    finally:
        current._current.home, current._current.pins = before
    assert {"build", "build_bentofile", "get"} <= {*dir(bentoml.bentos)}
    with pytest.raises(AttributeError, match="no_such"):
        bentoml.bentos.no_such  # noqa: B018


def test_the_store_does_not_load_the_builder() -> None:
    code = "import sys, bentoml; bentoml.list, bentoml.models.list; print('bentoml.builder' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
