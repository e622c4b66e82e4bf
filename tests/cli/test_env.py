from __future__ import annotations

import platform
import subprocess

import pytest
from tests.cli.commands import Command, command

import bentoml as library


@pytest.fixture
def bentoml(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Command:
    monkeypatch.setenv("BENTOML_HOME", "/a home/it's")
    monkeypatch.setenv("BENTO_CLOUD_API_KEY", "canary-1")
    monkeypatch.setenv("UV_INDEX_URL", "https://me:canary-2@packages.example/simple")
    monkeypatch.setenv("OTHER", "canary-3")
    return command(capsys)


def test_markdown_for_a_bug_report(bentoml: Command) -> None:
    done = bentoml("env")
    assert done.code == 0 and done.err == ""
    assert f"`bentoml`: {library.__version__}  \n`python`: {platform.python_version()}" in done.out
    assert "UV_INDEX_URL=https://***@packages.example/simple" in done.out.replace("'", "")
    assert "\npyyaml==" in done.out.lower()
    assert done.out.count("```") == 4


def test_bash_reads_it(bentoml: Command) -> None:
    program = (
        bentoml("env", "-o", "bash").out
        + '\nprintf "%s|%s|%s" "$BENTOML_HOME" "$python" "${#pip_packages[@]}"'
    )
    said = subprocess.run(["bash", "-c", program], capture_output=True, text=True, check=True).stdout
    home, python, count = said.split("|")
    assert (home, python) == ("/a home/it's", platform.python_version())
    assert int(count) > 20


@pytest.mark.parametrize("output", ["md", "bash"])
def test_no_secret_is_shown(bentoml: Command, output: str) -> None:
    done = bentoml("env", "-o", output)
    assert "BENTO_CLOUD_API_KEY=" in done.out
    assert "canary" not in done.out
    assert bentoml("env", "-o", "json").code == 2
