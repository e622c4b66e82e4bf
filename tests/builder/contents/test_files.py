from __future__ import annotations

import os
import random
import stat
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from pathspec import GitIgnoreSpec

from bentoml.builder.contents.files import _names, copy_files, find_files, without_src
from bentoml.exceptions import BentoMLException, InvalidArgument


def make(folder: Path, *paths: str) -> Path:
    for path in paths:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(path)
    return folder


def found(project: Path, include: tuple[str, ...] = ("*",), exclude: tuple[str, ...] = ()) -> list[str]:
    return [file.path for file in find_files(project, include, exclude)]


def test_everything_is_found_sorted_but_for_what_is_never_part(tmp_path: Path) -> None:
    make(
        tmp_path,
        *("service.py", "b/z.txt", "b.txt", "b/a.txt", ".hidden", "bentofile.lock", ".bentofile.lock.0a1b"),
        *(".git/config", "x/.venv/y.py", "venv/y.py", "b/__pycache__/a.pyc", "b/.DS_Store"),
    )
    assert found(tmp_path) == [".hidden", "b.txt", "b/a.txt", "b/z.txt", "service.py"]


def test_an_image_that_was_written_into_the_project_is_no_part_of_it(tmp_path: Path) -> None:
    make(
        tmp_path,
        "service.py",
        "image/oci-layout",
        "image/index.json",
        "image/blobs/sha256/0a",
        "data/index.json",
    )
    assert found(tmp_path) == ["data/index.json", "service.py"]


def test_names_mean_what_they_mean_in_a_gitignore() -> None:
    """They are not left to the library that knows all patterns, and give the same answers."""
    chance = random.Random(0)
    for _ in range(1000):
        patterns = ["".join(chance.choices("ab.*-", k=chance.randrange(1, 5))) for _ in range(2)]
        names, spec = _names(patterns), GitIgnoreSpec.from_lines(patterns)
        path = "/".join(
            chance.choice("ab-") + "".join(chance.choices("ab.-", k=chance.randrange(4))) for _ in range(3)
        )
        assert names is not None
        assert names.match_file(path) == spec.match_file(path), (patterns, path)
    for other in ("/a", "a/", "a/b", "!a", "#a", "a?", "[ab]", "a b", "a\\*", "ä", ""):
        assert _names(["*.py", other]) is None, other


@pytest.mark.parametrize(
    ("include", "exclude", "expected"),
    [
        (("*.py",), (), ["a.py", "lib/b.py", "tests/t.py"]),
        (("/a.py", "data/"), (), ["a.py", "data/big.bin", "data/small.csv"]),
        (("*",), ("*.py",), ["data/big.bin", "data/small.csv"]),
        (("*.py",), ("tests/",), ["a.py", "lib/b.py"]),
        (("*",), ("data/*", "!data/small.csv"), ["a.py", "data/small.csv", "lib/b.py", "tests/t.py"]),
        (("*.py", "!t.py"), (), ["a.py", "lib/b.py"]),
        (("none",), (), []),
    ],
    ids=str,
)
def test_patterns_are_those_of_gitignore(
    tmp_path: Path, include: tuple[str, ...], exclude: tuple[str, ...], expected: list[str]
) -> None:
    make(tmp_path, "a.py", "lib/b.py", "tests/t.py", "data/big.bin", "data/small.csv")
    assert found(tmp_path, include, exclude) == expected


def test_a_bentoignore_holds_below_its_folder_and_the_deeper_one_decides(tmp_path: Path) -> None:
    make(
        tmp_path,
        "a.log",
        "keep.log",
        "sub/b.log",
        "sub/c.txt",
        "sub/deep/d.log",
        "sub/deep/e.txt",
        "other/c.txt",
    )
    (tmp_path / ".bentoignore").write_text("*.log\n!keep.log\n")
    (tmp_path / "sub" / ".bentoignore").write_text("/c.txt\n!b.log\n")
    expected = [".bentoignore", "keep.log", "other/c.txt", "sub/.bentoignore", "sub/b.log", "sub/deep/d.log"]
    (tmp_path / "sub" / "deep" / ".bentoignore").write_text("e.txt\n!d.log\n")
    assert found(tmp_path) == [*expected[:5], "sub/deep/.bentoignore", "sub/deep/d.log"]


def test_an_excluded_folder_is_never_listed(tmp_path: Path) -> None:
    make(
        tmp_path,
        "a.py",
        "lib/b.py",
        ".venv/lib/x/y.py",
        "data/deep/z",
        "lib/cache/deep/q",
        "lib/__pycache__/b.pyc",
    )
    (tmp_path / "lib" / ".bentoignore").write_text("cache/\n")
    listed: list[str] = []

    def counting(path: str) -> os._ScandirIterator[str]:
        listed.append(os.path.relpath(path, tmp_path))
        return os.scandir(path)

    find_files(tmp_path, exclude=["data/"], scandir=counting)
    assert sorted(listed) == [".", "lib"]


@pytest.mark.parametrize(
    ("exclude", "is_listed"),
    [
        (("data/*",), False),
        (("/data/**",), False),
        (("lib/", "data/* "), False),
        (("data/*", "!keep"), True),
        (("*/data/*",), True),
        (("dat/*",), True),
    ],
    ids=str,
)
def test_a_folder_whose_content_is_excluded_is_not_listed_either(
    tmp_path: Path, exclude: tuple[str, ...], is_listed: bool
) -> None:
    make(tmp_path, "data/x", "data/keep")
    listed: list[str] = []

    def counting(path: str) -> os._ScandirIterator[str]:
        listed.append(os.path.relpath(path, tmp_path))
        return os.scandir(path)

    find_files(tmp_path, exclude=exclude, scandir=counting)
    assert ("data" in listed) is is_listed


def test_a_bentoignore_may_include_again_what_lies_beside_it(tmp_path: Path) -> None:
    make(tmp_path, "data/x", "data/keep")
    (tmp_path / "data" / ".bentoignore").write_text("!keep\n")
    assert found(tmp_path, exclude=("data/*",)) == ["data/keep"]


@pytest.mark.slow
def test_two_hundred_thousand_excluded_files_cost_nothing(tmp_path: Path) -> None:
    make(tmp_path, "service.py", "data/cache/x")
    folder = os.open(tmp_path / "data" / "cache", os.O_RDONLY)
    for n in range(200_000):
        os.close(os.open(f"f{n}", os.O_CREAT, dir_fd=folder))
    os.close(folder)
    (tmp_path / "data" / ".bentoignore").write_text("cache/\n")
    find_files(tmp_path)  # loads the library of patterns
    seconds = []
    for _ in range(3):  # the collector of garbage may come between
        start = time.process_time()
        assert [file.path for file in find_files(tmp_path)] == ["data/.bentoignore", "service.py"]
        seconds.append(time.process_time() - start)
    assert min(seconds) < 0.05


def test_links_inside_are_kept_as_links(tmp_path: Path) -> None:
    make(tmp_path, "data/a.txt", "lib/b.py")
    (tmp_path / "lib" / "a.txt").symlink_to("../data/a.txt")
    (tmp_path / "folder").symlink_to("data")
    (tmp_path / ".venv").symlink_to("/usr")
    files = {file.path: file.link for file in find_files(tmp_path)}
    assert files == {"data/a.txt": None, "folder": "data", "lib/a.txt": "../data/a.txt", "lib/b.py": None}


@pytest.mark.parametrize(
    "target", ["/etc/hostname", "../outside", "outward/outside", "missing", "data/ignored.txt"]
)
def test_a_link_that_would_show_nothing_or_too_much_is_refused(tmp_path: Path, target: str) -> None:
    project = make(tmp_path / "project", "data/ignored.txt", "a.py")
    (tmp_path / "outside").write_text("secret")
    (project / "link").symlink_to(target)
    (project / "outward").symlink_to("..")
    with pytest.raises(InvalidArgument, match="`link`"):
        find_files(project, exclude=["data/", "outward"])
    assert found(project, exclude=("data/", "outward", "link")) == ["a.py"]


def test_what_is_no_file_is_refused_and_can_be_excluded(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(BentoMLException, match="`pipe`"):
        find_files(tmp_path)
    assert find_files(tmp_path, exclude=["pipe"]) == []


def test_a_name_that_is_not_utf8_is_refused(tmp_path: Path) -> None:
    (tmp_path / os.fsdecode(b"caf\xe9")).write_text("")
    with pytest.raises(BentoMLException, match="UTF-8"):
        find_files(tmp_path)


@pytest.fixture(params=[0o000, 0o077])
def umask(request: pytest.FixtureRequest) -> Iterator[None]:
    before = os.umask(request.param)
    yield
    os.umask(before)


@pytest.mark.usefixtures("umask")
def test_copies_have_fixed_modes(tmp_path: Path) -> None:
    project = make(tmp_path / "project", "a.py", "sub/run.sh")
    (project / "sub/run.sh").chmod(0o700)
    (project / "link").symlink_to("a.py")
    copy_files(find_files(project), tmp_path / "copy")
    modes = {name: stat.S_IMODE((tmp_path / "copy" / name).stat().st_mode) for name in ("a.py", "sub/run.sh")}
    assert modes == {"a.py": 0o644, "sub/run.sh": 0o755}
    assert os.readlink(tmp_path / "copy" / "link") == "a.py"
    assert (tmp_path / "copy" / "sub/run.sh").read_text() == "sub/run.sh"


def test_the_src_layout_loses_its_folder(tmp_path: Path) -> None:
    make(tmp_path, "src/pkg/a.py", "src/b.py", "data/x", "readme")
    (tmp_path / "src/pkg/x").symlink_to("../../data/x")
    (tmp_path / "b").symlink_to("src/b.py")
    files = {file.path: file.link for file in without_src(find_files(tmp_path))}
    assert files == {
        "b": "b.py",
        "b.py": None,
        "data/x": None,
        "pkg/a.py": None,
        "pkg/x": "../data/x",
        "readme": None,
    }


def test_two_files_for_one_place_are_refused(tmp_path: Path) -> None:
    make(tmp_path, "src/a.py", "a.py")
    with pytest.raises(InvalidArgument, match=r"`a\.py` and `src/a\.py`"):
        without_src(find_files(tmp_path))


@pytest.mark.parametrize("pattern", ["!", "\\"])
def test_a_pattern_that_means_nothing(tmp_path: Path, pattern: str) -> None:
    with pytest.raises(InvalidArgument, match="`exclude`: "):
        find_files(tmp_path, exclude=[pattern])
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / ".bentoignore").write_text(pattern)
    with pytest.raises(InvalidArgument, match=r"`sub/\.bentoignore`: "):
        find_files(tmp_path)


def test_a_bentoignore_may_start_with_a_byte_order_mark_and_must_be_text(tmp_path: Path) -> None:
    (tmp_path / "a.log").write_text("")
    (tmp_path / ".bentoignore").write_bytes(b"\xef\xbb\xbf*.log\r\n")
    assert found(tmp_path) == [".bentoignore"]
    (tmp_path / ".bentoignore").write_bytes(b"\xff\n")
    with pytest.raises(BentoMLException, match=r"\.bentoignore` is not UTF-8 text"):
        found(tmp_path)


def test_a_link_to_itself_is_refused(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(InvalidArgument, match="loop"):
        find_files(tmp_path)


def test_folders_that_are_nested_too_deeply_are_refused(tmp_path: Path) -> None:
    start, limit = os.getcwd(), sys.getrecursionlimit()
    try:
        os.chdir(tmp_path)
        for _ in range(limit + 10):
            os.mkdir("d")
            os.chdir("d")
        with pytest.raises(BentoMLException, match="nested"):
            find_files(tmp_path)
        for _ in range(limit + 10):
            os.chdir("..")
            os.rmdir("d")
    finally:
        os.chdir(start)
