"""The digests of base images in the lock: found once, kept, moved on request."""

from __future__ import annotations

from pathlib import Path

import pytest

from bentoml.builder.oci.model import Platform
from bentoml.builder.packages.lock import Lock, LockMode, read_lock_file
from bentoml.builder.packages.lock_bases import base_digests
from bentoml.exceptions import BentoMLException
from bentoml.store.digest import Digest

ONE, TWO = Digest.of(b"one"), Digest.of(b"two")
AMD64, ARM64 = Platform(), Platform("linux", "arm64")


class Finder:
    def __init__(self, *answers: Digest | None) -> None:
        self.answers = list(answers)
        self.asked: list[tuple[str, Platform]] = []

    def __call__(self, reference: str, platform: Platform) -> Digest | None:
        self.asked.append((reference, platform))
        return self.answers.pop(0)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "bentofile.lock"


def test_a_digest_is_found_once_and_kept(file: Path) -> None:
    finder = Finder(ONE)
    for mode in ("reuse", "reuse", "locked"):
        digests = base_digests("python:3.11-slim", [AMD64], file, finder, mode)
        assert digests == {AMD64: ONE}
    assert finder.asked == [("python:3.11-slim", AMD64)]
    assert f'[bases]\n"python:3.11-slim" = "{ONE}"\n' in file.read_text()
    lock = read_lock_file(file)
    assert Lock.parse(str(lock)) == lock


def test_update_moves_it_and_drops_the_bases_of_before(file: Path) -> None:
    base_digests("python:3.10-slim", [AMD64], file, Finder(ONE), "reuse")
    base_digests("python:3.11-slim", [AMD64], file, Finder(ONE), "reuse")
    assert list(read_lock_file(file).bases) == ["python:3.10-slim", "python:3.11-slim"]
    assert base_digests("python:3.11-slim", [AMD64], file, Finder(TWO), "update") == {AMD64: TWO}
    assert read_lock_file(file).bases == {"python:3.11-slim": TWO}


def test_what_is_as_it_was_is_not_written_again(file: Path) -> None:
    base_digests("python:3.11-slim", [AMD64], file, Finder(ONE), "reuse")
    before = file.stat()
    base_digests("python:3.11-slim", [AMD64], file, Finder(ONE), "update")
    assert (file.stat().st_ino, file.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_what_cannot_be_found_has_no_pin_and_no_entry(file: Path) -> None:
    assert base_digests("python:3.11-slim", [AMD64], file, Finder(None), "reuse") == {}
    assert not file.exists()


@pytest.mark.parametrize("mode", ["reuse", "locked"])
def test_locked_asks_nobody_where_no_base_was_ever_pinned(file: Path, mode: LockMode) -> None:
    finder = Finder(None)
    assert base_digests("python:3.11-slim", [AMD64], file, finder, mode) == {}
    assert len(finder.asked) == (mode == "reuse")


def test_a_base_that_cannot_be_pinned_leaves_a_lock_that_holds(file: Path) -> None:
    base_digests("python:3.11-slim", [AMD64], file, Finder(ONE), "reuse")
    assert base_digests("mine:1", [AMD64], file, Finder(None), "reuse") == {}
    assert base_digests("mine:1", [AMD64], file, Finder(), "locked") == {}
    assert read_lock_file(file).bases == {}


def test_two_build_files_share_a_lock(file: Path) -> None:
    for base in ("one:1", "two:1", "one:1"):
        base_digests(base, [AMD64], file, Finder(ONE), "reuse")
    assert base_digests("two:1", [AMD64], file, Finder(), "locked") == {AMD64: ONE}


def test_locked_fails_where_the_pin_would_move(file: Path) -> None:
    base_digests("python:3.11-slim", [AMD64], file, Finder(ONE), "reuse")
    before = file.read_bytes()
    with pytest.raises(BentoMLException, match=r"no digest of base image `python:3.12-slim`.*--locked"):
        base_digests("python:3.12-slim", [AMD64], file, Finder(), "locked")
    assert file.read_bytes() == before


@pytest.mark.parametrize("reference", ["debs:bookworm", "debs:bookworm:curl", "docker://mine:1"])
def test_some_bases_are_another_on_each_platform(file: Path, reference: str) -> None:
    finder = Finder(ONE, TWO)
    assert base_digests(reference, [AMD64, ARM64], file, finder, "reuse") == {AMD64: ONE, ARM64: TWO}
    assert read_lock_file(file).bases == {f"{reference} linux/amd64": ONE, f"{reference} linux/arm64": TWO}
    assert base_digests(reference, [ARM64], file, Finder(ONE), "update") == {ARM64: ONE}
    assert read_lock_file(file).bases[f"{reference} linux/amd64"] == ONE, (
        "which this build does not ask about"
    )


def test_a_registry_is_asked_once_for_all_platforms(file: Path) -> None:
    finder = Finder(ONE)
    found = base_digests("python:3.11-slim", [AMD64, ARM64], file, finder, "reuse")
    assert found == {AMD64: ONE, ARM64: ONE} and len(finder.asked) == 1


@pytest.mark.parametrize(
    "reference",
    [f"python:3.11@{ONE}", f"debs:bookworm@{ONE}", "oci:folder", "oci-archive:a.tar", "docker-archive:a.tar:x",
     "rootfs:folder"],
)  # fmt: skip
def test_what_names_its_digest_or_is_a_file_needs_none(file: Path, reference: str) -> None:
    assert base_digests(reference, [AMD64], file, Finder(), "update") == {}
    assert not file.exists()


@pytest.mark.parametrize("table", ['"python:3.11-slim" = "latest"', '"a" = 1', '"a" = "sha256:00"', "a = {}"])
def test_a_lock_with_senseless_digests_is_refused(file: Path, table: str) -> None:
    file.write_text(f"version = 1\n\n[bases]\n{table}\n")
    with pytest.raises(BentoMLException, match="is not a lock that can be read"):
        base_digests("python:3.11-slim", [AMD64], file, Finder(ONE), "reuse")
