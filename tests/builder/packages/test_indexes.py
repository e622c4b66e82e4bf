from __future__ import annotations

import os
from pathlib import Path

import pytest

from bentoml.builder.build_file.config import PythonConfig
from bentoml.builder.packages.indexes import Indexes, pip_settings


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    """An environment whose pip configuration is in a file of its own."""
    (tmp_path / "pip.conf").write_text(
        """
[global]
index_url = https://one.example/simple
extra-index-url =
    https://two.example/simple
    https://three.example/simple
[install]
find-links = wheels
[download]
index-url = https://never.example
"""
    )
    return {
        "PIP_CONFIG_FILE": str(tmp_path / "pip.conf"),
        "HOME": str(tmp_path),
        "XDG_CONFIG_DIRS": str(tmp_path),
    }


def test_pip_files_and_variables_in_their_order(tmp_path: Path, env: dict[str, str]) -> None:
    user = tmp_path / ".config" / "pip"
    user.mkdir(parents=True)
    (user / "pip.conf").write_text("[global]\nindex-url = https://user.example/simple\n")
    settings = pip_settings({**env, "PIP_FIND_LINKS": "/variable"})
    assert settings["index-url"] == "https://user.example/simple"
    assert settings["extra-index-url"].split() == [
        "https://two.example/simple",
        "https://three.example/simple",
    ]
    assert settings["find-links"] == "/variable"


def test_pip_can_be_told_to_read_no_file(env: dict[str, str]) -> None:
    assert pip_settings({**env, "PIP_CONFIG_FILE": os.devnull, "PIP_CERT": "/ca"}) == {"cert": "/ca"}


def test_a_broken_pip_file_is_passed_over(tmp_path: Path, env: dict[str, str]) -> None:
    (tmp_path / "pip.conf").write_text("no section\n")
    assert pip_settings({**env, "PIP_NO_INDEX": "1"})["no-index"] == "1"


def test_the_build_file_goes_before_pip(tmp_path: Path) -> None:
    pip = {
        "index-url": "https://pip.example",
        "extra-index-url": "https://a https://b",
        "find-links": "w",
        "cert": "c",
    }
    config = PythonConfig(index_url="https://file.example", find_links=("wheels", "https://links.example"))
    indexes = Indexes.choose(config, pip, tmp_path)
    assert indexes == Indexes(
        index_url="https://file.example",
        extra_index_url=("https://a", "https://b"),
        find_links=(str(tmp_path / "wheels"), "https://links.example"),
        cert="c",
        best_match=True,
    )
    assert not Indexes.choose(PythonConfig(extra_index_url=("https://x",)), pip, tmp_path).best_match
