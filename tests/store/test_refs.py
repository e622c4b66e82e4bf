from __future__ import annotations

from pathlib import Path

import pytest

from bentoml import Tag
from bentoml.exceptions import BentoMLException
from bentoml.store import refs


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for version in ("aab1", "aac2", "b", "bb", ".hidden"):
        (tmp_path / version).mkdir()
    (tmp_path / "file").touch()
    return tmp_path


def resolve(tag: str, folder: Path, newest: str | None = None) -> str | None:
    found = refs.resolve(Tag.from_str(tag), folder, lambda: newest)
    return None if found is None else found.version


@pytest.mark.parametrize(
    ("tag", "version"),
    [
        ("x:aab1", "aab1"),
        ("x:aab", "aab1"),
        ("x:b", "b"),
        ("x:bb", "bb"),
        ("x:c", None),
        ("x:file", None),
        ("x:aab12", None),
    ],
)
def test_a_version_or_its_unique_beginning(folder: Path, tag: str, version: str | None) -> None:
    assert resolve(tag, folder) == version


def test_several_matches_are_listed(folder: Path) -> None:
    with pytest.raises(BentoMLException, match="Multiple versions found for `x:aa`: x:aab1, x:aac2"):
        resolve("x:aa", folder)


@pytest.mark.parametrize("tag", ["x", "x:latest"])
def test_latest_is_what_its_file_names_or_else_the_newest(folder: Path, tag: str) -> None:
    assert resolve(tag, folder) is None
    assert resolve(tag, folder, newest="b") == "b"
    refs.write_latest(folder, "aab1")
    assert resolve(tag, folder, newest="b") == "aab1"
    (folder / "aab1").rmdir()
    assert resolve(tag, folder, newest="b") == "b"
    refs.write_latest(folder, None)
    assert not (folder / "latest").exists()


@pytest.mark.parametrize("content", ["aab1\n", "", "../../elsewhere", "."])
def test_the_file_is_not_believed(folder: Path, content: str) -> None:
    (folder / "latest").write_text(content)
    assert refs.read_latest(folder) == ("aab1" if content == "aab1\n" else None)


def test_a_name_that_does_not_exist_has_no_versions(tmp_path: Path) -> None:
    assert refs.versions(tmp_path / "none") == []
    (tmp_path / "file").touch()
    with pytest.raises(BentoMLException, match="cannot be listed"):
        refs.versions(tmp_path / "file")


def test_a_file_that_is_no_text_does_not_help(folder: Path) -> None:
    (folder / "latest").write_bytes(b"\xff\xfe")
    assert refs.read_latest(folder) is None


def test_a_folder_in_the_place_of_the_file_does_not_help_and_is_no_version(folder: Path) -> None:
    (folder / "latest").mkdir()
    assert refs.read_latest(folder) is None
    assert refs.tag_of("x", "latest") is None


def test_a_file_in_the_place_of_the_store_is_told(tmp_path: Path) -> None:
    (tmp_path / "models").write_text("")
    with pytest.raises(BentoMLException, match="cannot be read: Not a directory"):
        refs.read_latest(tmp_path / "models" / "iris")
