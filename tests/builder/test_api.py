from __future__ import annotations

import os
from pathlib import Path

import pytest

from bentoml.builder.api import build_from_arguments, build_project, split_target
from bentoml.config import Home
from bentoml.exceptions import BentoMLConfigException, InvalidArgument

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
