from __future__ import annotations

import logging
from pathlib import Path

import pytest
from tests.builder.handmade import pins, wheel

from bentoml.builder.build_file.config import PythonConfig
from bentoml.builder.contents.context import check_links, largest, tell_size
from bentoml.builder.contents.files import SourceFile, find_files
from bentoml.builder.packages.project import ProjectRequirements
from bentoml.exceptions import InvalidArgument


def test_the_largest_files_come_first(tmp_path: Path) -> None:
    for name, size in {"a": 5, "b": 7, "c": 5, "d": 1}.items():
        (tmp_path / name).write_bytes(bytes(size))
    files = find_files(tmp_path)
    assert [(file.path, file.size) for file in largest(files, 3)] == [("b", 7), ("a", 5), ("c", 5)]
    assert len(largest(files)) == 4


def test_a_large_project_is_told_with_its_ten_largest_files(caplog: pytest.LogCaptureFixture) -> None:
    files = [SourceFile(f"f{n:02}", Path(), size=(n + 1) << 20) for n in range(20)]
    tell_size(files)
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    lines = record.getMessage().splitlines()
    assert "the project is 220.2 MB in 20 files" in lines[0]
    assert [line.split()[-1] for line in lines[1:]] == [f"f{n:02}" for n in range(19, 9, -1)]


def test_a_small_project_is_told_to_the_curious_only(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "bentoml")
    tell_size([SourceFile("a", Path(), size=10), SourceFile("b", Path())])
    assert [record.levelno for record in caplog.records] == [logging.DEBUG]


def test_a_large_file_is_worth_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    tell_size([SourceFile("weights.bin", Path(), size=(10 << 20) + 1)])
    assert "`weights.bin` is larger than 10 MiB" in caplog.text


def test_a_locked_wheel_that_would_stay_behind_is_named(tmp_path: Path) -> None:
    needed, other = wheel(tmp_path / "wheels", "needed"), wheel(tmp_path / "wheels", "other")
    requirements = ProjectRequirements((), python=PythonConfig(find_links=("wheels",)))
    without_other = find_files(tmp_path, exclude=(f"wheels/{other.name}",))
    check_links(tmp_path, requirements, without_other, pins(needed))
    for files in (find_files(tmp_path, exclude=("wheels/",)), find_files(tmp_path, include=("*.py",))):
        with pytest.raises(
            InvalidArgument, match=r"`wheels/needed.*`, which the image installs, would not be part"
        ):
            check_links(tmp_path, requirements, files, pins(needed))


def test_without_a_lock_every_wheel_counts(tmp_path: Path) -> None:
    wheel(tmp_path / "wheels", "any")
    requirements = ProjectRequirements((), python=PythonConfig(find_links=("./wheels",), lock_packages=False))
    check_links(tmp_path, requirements, find_files(tmp_path), "")
    with pytest.raises(InvalidArgument, match=r"any-1\.0"):
        check_links(tmp_path, requirements, [], "")


def test_a_folder_of_links_has_to_be_there(tmp_path: Path) -> None:
    requirements = ProjectRequirements((), python=PythonConfig(find_links=("https://h/links", "wheels")))
    with pytest.raises(InvalidArgument, match="`wheels`, which is no folder"):
        check_links(tmp_path, requirements, [], "")
