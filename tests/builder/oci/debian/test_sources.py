"""From where packages of a base come, and with whose keys."""

from __future__ import annotations

from pathlib import Path

import pytest

from bentoml.builder.oci.debian.base_files import BaseFiles
from bentoml.builder.oci.debian.sources import chosen_sources

BASE = BaseFiles(
    {
        "etc/os-release": b"ID=debian\nVERSION_CODENAME=bookworm\n",
        "etc/apt/sources.list": b"deb [signed-by=/usr/share/keyrings/a.gpg] http://base.example/debian bookworm main\n",
        "usr/share/keyrings/a.gpg": b"key",
        "etc/apt/trusted.gpg.d/b.gpg": b"other",
    },
    set(),
    {},
)


@pytest.fixture
def etc(tmp_path: Path) -> Path:
    (tmp_path / "apt").mkdir()
    (tmp_path / "apt/sources.list").write_text("deb http://mirror.example/debian bookworm main\n")
    return tmp_path / "apt"


def test_the_mirrors_of_this_machine_where_it_is_the_same_distribution(etc: Path, tmp_path: Path) -> None:
    found = chosen_sources(BASE, tmp_path / "s", etc=etc, own="debian")
    assert found is not None
    assert "http://mirror.example/debian" in found.text
    assert found.trusted is None


@pytest.mark.parametrize("own", ["ubuntu", "fedora", ""])
def test_those_of_the_base_elsewhere(etc: Path, tmp_path: Path, own: str) -> None:
    found = chosen_sources(BASE, tmp_path / "s", etc=etc, own=own)
    assert found is not None and found.trusted is not None
    assert "http://base.example/debian" in found.text
    assert f"Signed-By: {tmp_path}/s/usr/share/keyrings/a.gpg" in found.text
    assert (tmp_path / "s/usr/share/keyrings/a.gpg").read_bytes() == b"key"
    assert [path.name for path in found.trusted.iterdir()] == ["b.gpg"]


def test_a_machine_that_names_none(tmp_path: Path) -> None:
    found = chosen_sources(BASE, tmp_path / "s", etc=tmp_path / "none", own="debian")
    assert found is not None and found.trusted is not None


def test_nobody_names_one(tmp_path: Path) -> None:
    bare = BaseFiles({"etc/os-release": b"ID=debian\nVERSION_CODENAME=bookworm\n"}, set(), {})
    assert chosen_sources(bare, tmp_path / "s", etc=tmp_path / "none", own="debian") is None
