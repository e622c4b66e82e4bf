from __future__ import annotations

from pathlib import Path
from typing import get_args

import pytest

from bentoml.builder.build_file.config import load_config
from bentoml.builder.scaffold import TEMPLATES, default_name, scaffold
from bentoml.cli.start import Template
from bentoml.exceptions import BentoMLException, InvalidArgument


def test_the_command_offers_each_template_and_each_has_its_files(tmp_path: Path) -> None:
    assert set(get_args(Template)) == set(TEMPLATES)
    for template in TEMPLATES:
        written = {path.name for path in scaffold(tmp_path / template, template, "flowers")}
        assert {"service.py", "bentofile.yaml", "requirements.txt", "README.md", "test_service.py"} <= written
        assert load_config(tmp_path / template).name == "flowers"
        for path in (tmp_path / template).iterdir():
            assert "PROJECT_NAME" not in path.read_text("utf-8")


@pytest.mark.parametrize(
    ("folder", "name"),
    [
        ("My Project!", "my_project"),
        ("iris-v2", "iris_v2"),
        ("__", "service"),
        ("Größe", "gr_e"),
        ("a" * 80, "a" * 63),
    ],
)
def test_a_folder_gives_a_name_that_a_bento_may_have(tmp_path: Path, folder: str, name: str) -> None:
    assert default_name(tmp_path / folder) == name
    scaffold(tmp_path / "x", "plain", name)


def test_a_folder_that_is_not_empty_is_refused_and_stays_as_it_is(tmp_path: Path) -> None:
    for number in range(7):
        (tmp_path / f"file{number}").write_text("mine")
    with pytest.raises(BentoMLException, match=r"is not empty: it holds `file0`, .*`file4` and 2 more"):
        scaffold(tmp_path, "plain", "x")
    assert len(list(tmp_path.iterdir())) == 7


def test_a_repository_that_was_just_made_is_empty(tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    assert scaffold(tmp_path, "plain", "x")


@pytest.mark.parametrize("name", ["../x", "a b", "-x", "x" * 64])
def test_a_name_that_breaks_the_grammar_leaves_nothing(tmp_path: Path, name: str) -> None:
    with pytest.raises(InvalidArgument, match="lower-case letters"):
        scaffold(tmp_path / "new", "plain", name)
    assert not (tmp_path / "new").exists()


def test_what_is_no_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    (tmp_path / "link").symlink_to(tmp_path / "nothing")
    for name, why in {"file": "is a file", "link": "is a link to nothing"}.items():
        with pytest.raises(BentoMLException, match=why):
            scaffold(tmp_path / name, "plain", "x")
    assert (tmp_path / "file").read_text() == "mine"
