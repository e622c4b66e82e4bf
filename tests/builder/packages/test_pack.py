"""Code that a project requires becomes wheels: the same content the same bytes, wherever and whenever they are made."""

from __future__ import annotations

import os
import tarfile
import zipfile
from pathlib import Path

import pytest
from tests.builder.handmade import wheel
from tests.builder.source_packages import git, package, repository

from bentoml.builder.packages.lock import LockMode
from bentoml.builder.packages.pack import Packer, pinned_commits
from bentoml.builder.packages.sources import PathSource, Source, parse_source
from bentoml.builder.packages.uv_resolver import temporary
from bentoml.exceptions import BentoMLException

ENV = {"PATH": os.environ["PATH"], "HOME": "/nowhere", "GIT_CONFIG_NOSYSTEM": "1"}


def source(line: str) -> Source:
    found = parse_source(line)
    assert found is not None
    return found


def packer(project: Path, cache: str = "cache", *, offline: bool = False) -> Packer:
    return Packer(project, project.parent / cache, temporary, ENV, offline=offline)


def test_a_folder_becomes_the_same_wheel_wherever_it_is_built(tmp_path: Path) -> None:
    package(tmp_path / "one" / "libs" / "demo", requires="anyio>=4")
    package(tmp_path / "two" / "libs" / "demo", requires="anyio>=4")
    (tmp_path / "two" / "libs" / "demo" / "__pycache__").mkdir()
    before = os.umask(0o077)
    try:
        first = packer(tmp_path / "one", "a").pack(source("demo[x] @ ./libs/demo"), {})
    finally:
        os.umask(before)
    second = packer(tmp_path / "two", "b").pack(source("./libs/demo"), {})
    assert first.file.name == "demo-1.0-py3-none-any.whl"
    assert first.file.read_bytes() == second.file.read_bytes()
    assert first.identity == second.identity
    assert first.requirement == f"demo[x] @ {first.file.as_uri()}"
    assert sorted(p.name for p in (tmp_path / "one" / "libs" / "demo").iterdir()) == [
        *("backend.py", "demo.py", "pyproject.toml", "run.sh"),
    ], "nothing is written beside the user's files"
    with zipfile.ZipFile(first.file) as archive:
        assert archive.namelist()[-1] == "demo-1.0.dist-info/RECORD"
        assert b"Generator: bentoml\n" in archive.read("demo-1.0.dist-info/WHEEL")
        modes = {info.filename: info.external_attr >> 16 & 0o777 for info in archive.infolist()}
        assert (modes["run.sh"], modes["demo.py"]) == (0o755, 0o644)


def test_the_project_itself_may_be_a_package_whatever_its_folder_is_called(tmp_path: Path) -> None:
    first, second = package(tmp_path / "one"), package(tmp_path / "two")
    (second / "bentofile.lock").write_text("made by the build itself")
    assert (
        packer(first, "a").pack(source("."), {}).identity
        == packer(second, "b").pack(source("."), {}).identity
    )


def test_other_content_is_another_wheel(tmp_path: Path) -> None:
    project = tmp_path / "project"
    package(project / "demo", value=1)
    first = packer(project).pack(source("./demo"), {})
    package(project / "demo", value=2)
    second = packer(project).pack(source("./demo"), {})
    assert first.identity != second.identity
    assert first.file != second.file


def test_an_archive_of_source_is_built(tmp_path: Path) -> None:
    folder = package(tmp_path / "demo-1.0")
    with tarfile.open(tmp_path / "demo-1.0.tar.gz", "w:gz") as archive:
        archive.add(folder, "demo-1.0")
    assert packer(tmp_path).pack(source("./demo-1.0.tar.gz"), {}).name == "demo"


def test_a_wheel_is_taken_as_it_is(tmp_path: Path) -> None:
    made = wheel(tmp_path / "wheels", "demo", tag="cp311-cp311-manylinux_2_28_aarch64")
    taken = packer(tmp_path).pack(PathSource("x", "wheels/" + made.name), {})
    assert taken.file.read_bytes() == made.read_bytes()
    assert (taken.name, taken.version) == ("demo", "1.0")


@pytest.mark.parametrize("ref", ["main", "v1", "", "annotated"])
def test_a_git_repository_is_packed_at_one_commit(tmp_path: Path, ref: str) -> None:
    package(tmp_path / "origin" / "py")
    commit = repository(tmp_path / "origin")
    git(tmp_path / "origin", "tag", "v1")
    git(tmp_path / "origin", "tag", "--annotate", "--message", "x", "annotated")
    wanted = source(f"demo @ git+file://{tmp_path}/origin{f'@{ref}' if ref else ''}#subdirectory=py")
    commits = pinned_commits([wanted], {}, "reuse", ENV, offline=False)
    assert list(commits.values()) == [commit]
    packed = packer(tmp_path / "project").pack(wanted, commits)
    assert packed.name == "demo"
    package(tmp_path / "origin" / "py", value=2)
    newer = repository(tmp_path / "origin")
    assert (
        packer(tmp_path / "project", "other").pack(wanted, commits).file.read_bytes()
        == packed.file.read_bytes()
    )
    moved = pinned_commits([wanted], commits, "update", ENV, offline=False)
    assert list(moved.values()) == [newer if ref in ("main", "") else commit]


def test_a_commit_that_no_branch_holds_is_found(tmp_path: Path) -> None:
    package(tmp_path / "origin")
    commit = repository(tmp_path / "origin")
    git(tmp_path / "origin", "commit", "--quiet", "--amend", "--message", "other")
    wanted = source(f"git+file://{tmp_path}/origin@{commit}")
    commits = pinned_commits([wanted], {}, "locked", ENV, offline=True)
    assert packer(tmp_path / "project").pack(wanted, commits).name == "demo"


@pytest.mark.parametrize(
    ("mode", "offline", "said"), [("locked", False, "--locked"), ("reuse", True, "--offline")]
)
def test_a_branch_that_the_lock_does_not_know(mode: LockMode, offline: bool, said: str) -> None:
    wanted = source("demo @ git+https://h.invalid/r@main")
    with pytest.raises(BentoMLException, match=f"`https://h.invalid/r@main`.*`{said}`"):
        pinned_commits([wanted], {}, mode, ENV, offline=offline)
    known = {"https://h.invalid/r@main": "0" * 40}
    assert pinned_commits([wanted], known, mode, ENV, offline=offline) == known


def test_offline_takes_what_was_packed_before_and_nothing_else(tmp_path: Path) -> None:
    package(tmp_path / "origin")
    repository(tmp_path / "origin")
    wanted = source(f"git+file://{tmp_path}/origin@main")
    commits = pinned_commits([wanted], {}, "reuse", ENV, offline=False)
    with pytest.raises(BentoMLException, match="was not packed on this machine yet"):
        packer(tmp_path / "project", offline=True).pack(wanted, commits)
    packer(tmp_path / "project").pack(wanted, commits)
    assert packer(tmp_path / "project", offline=True).pack(wanted, commits).name == "demo"


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("git+file://{}/none@main", r"(?s)git cannot read `file://.*/none`:.*"),
        ("git+file://{}/origin@none", "has no branch or tag `none`"),
        ("git+file://{}/origin@v1-but-longer", "has no branch or tag"),
    ],
)
def test_a_repository_that_does_not_answer(tmp_path: Path, line: str, said: str) -> None:
    package(tmp_path / "origin")
    repository(tmp_path / "origin")
    with pytest.raises(BentoMLException, match=said):
        pinned_commits([source(line.format(tmp_path))], {}, "reuse", ENV, offline=False)


def test_a_link_in_a_repository_leads_nowhere_else(tmp_path: Path) -> None:
    package(tmp_path / "origin")
    (tmp_path / "origin" / "out").symlink_to("/")
    repository(tmp_path / "origin")
    wanted = source(f"git+file://{tmp_path}/origin@main#subdirectory=out")
    commits = pinned_commits([wanted], {}, "reuse", ENV, offline=False)
    with pytest.raises(BentoMLException, match="has no folder `out`"):
        packer(tmp_path / "project").pack(wanted, commits)


def test_what_cannot_be_packed_is_told(tmp_path: Path) -> None:
    package(tmp_path / "native", "native", tag="cp311-cp311-linux_x86_64")
    package(tmp_path / "other", "other")
    (tmp_path / "empty").mkdir()
    (tmp_path / "x-1-py3-none-any.whl").write_text("no zip")
    for line, said in [
        ("./native", "compiled for this machine; build the wheel for the image's platform"),
        ("./none", "is not there"),
        ("wrong @ ./other", "names `wrong`, but the package there is `other`"),
        ("./x-1-py3-none-any.whl", "it is no zip archive"),
        ("./empty", "(?s)cannot be packed as a wheel:.*"),
    ]:
        with pytest.raises(BentoMLException, match=said):
            packer(tmp_path).pack(source(line), {})
