"""The command table: names, help, misspellings, exit codes."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from importlib import import_module
from pathlib import Path

import pytest

import bentoml
from bentoml.cli.main import COMMANDS, run
from bentoml.config import Home
from bentoml.store.models import ModelStore


def bentoml_command(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "bentoml", *arguments], capture_output=True, text=True)


@pytest.mark.parametrize("flag", ["--version", "-v"])
def test_version(flag: str) -> None:
    done = bentoml_command(flag)
    assert (done.returncode, done.stdout) == (0, f"bentoml, version {bentoml.__version__}\n")


@pytest.mark.parametrize("flag", ["--help", "-h"])
def test_help_lists_every_command(flag: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        run([flag])
    assert stop.value.code == 0
    shown = capsys.readouterr().out
    for name, entry in COMMANDS.items():
        assert (f"  {name} " in shown) is not entry.hidden


@pytest.mark.parametrize("name", COMMANDS)
def test_each_command_loads_and_explains_itself(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    entry = COMMANDS[name]
    for leaf in entry.commands.values() or [entry]:
        assert hasattr(import_module(f"bentoml.cli.{leaf.module}"), leaf.attribute)
    with pytest.raises(SystemExit) as stop:
        run([name, "-h"])
    assert stop.value.code == 0
    shown = capsys.readouterr().out
    assert shown.startswith(f"Usage: bentoml {name} ")
    assert "--do-not-track" not in shown


def test_a_misspelling_is_a_usage_error_with_a_suggestion() -> None:
    done = bentoml_command("contanerize")
    assert done.returncode == 2
    assert "No such command 'contanerize'. Did you mean 'containerize'?" in done.stderr


def test_an_error_names_its_command(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "bentoml", "models", "get", "nothing:here"],
        capture_output=True,
        text=True,
        env={"BENTOML_HOME": str(tmp_path), "PATH": ""},
    )
    assert done.returncode == 1
    assert done.stderr.startswith("Error: [models] `get` failed: ")
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("command", "usage"),
    [
        ("models get", "[OPTIONS] TAG"),
        ("models list", "[OPTIONS] [NAME]"),
        ("models delete", "[OPTIONS] TARGETS..."),
        ("build", "[OPTIONS] [BUILD_CTX]"),
    ],
)
def test_help_names_arguments_as_usual(command: str, usage: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        run([*command.split(), "--help"])
    shown = capsys.readouterr().out
    assert shown.startswith(f"Usage: bentoml {command} {usage}\n")
    assert "<str>" not in shown
    assert "{" not in shown


def test_help_of_a_group_cuts_nothing_off(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        run(["models", "--help"])
    assert "..." not in capsys.readouterr().out.partition("Commands:")[2]


def test_another_choice_is_refused_without_loading_the_validation_library() -> None:
    code = (
        "import sys\nfrom bentoml.cli.main import run\ntry: run(['models', 'list', '-o', 'xml'])\n"
        "except SystemExit as e: print(e.code, 'pydantic' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout == "2 False\n"
    assert done.stderr.endswith("`xml` is not one of `table`, `json`, `yaml`\n")


def test_a_full_disk_behind_stdout_is_told_in_one_line(tmp_path: Path) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "bentoml", "models", "list"],
            env={"BENTOML_HOME": str(tmp_path)},
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
        )
    assert (done.returncode, done.stderr) == (1, "Error: [models] `list` failed: No space left on device\n")


def test_a_reader_that_went_away_is_no_matter_to_speak_of(tmp_path: Path) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        [sys.executable, "-m", "bentoml", "models", "list"],
        env={"BENTOML_HOME": str(tmp_path)},
        stdout=writer,
        stderr=subprocess.PIPE,
        text=True,
    )
    os.close(writer)
    assert (done.returncode, done.stderr) == (1, "")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_who_is_told_to_end_tidies_up_first(tmp_path: Path, number: int) -> None:
    here, there = Home(tmp_path / "here"), Home(tmp_path / "there")
    with ModelStore(here).create("iris") as model:
        Path(model.path_of("w")).write_bytes(os.urandom(10_000_000))
    archive = model.export(tmp_path / "iris.tar.bz2")
    argv = [sys.executable, "-m", "bentoml", "models", "import", archive]
    env = {**os.environ, "BENTOML_HOME": str(there.root)}
    code = 0
    while code == 0:  # it had ended before it was told to
        shutil.rmtree(there.root, ignore_errors=True)
        with subprocess.Popen(argv, env=env, stderr=subprocess.PIPE) as importing:
            while not any(there.staging.glob("*/item/w")) and importing.poll() is None:
                time.sleep(0.01)
            importing.send_signal(number)
            assert importing.stderr is not None
            code, said = importing.wait(), importing.stderr.read()
    assert (code, said) == (128 + number, b"")
    assert os.listdir(there.staging) == []


@pytest.mark.parametrize("command", ["build .", "models export words words.bentomodel", "models verify"])
def test_names_that_the_encoding_of_this_machine_lacks(tmp_path: Path, command: str) -> None:
    home = Home(tmp_path / "home")
    with ModelStore(home).create("words") as model:
        Path(model.path_of("größe.txt")).write_text("1")
    (tmp_path / "bentofile.yaml").write_text("service: größe:Service\n")
    (tmp_path / "größe.py").write_text("")
    ascii_only = {"PYTHONUTF8": "0", "LC_ALL": "C", "PYTHONCOERCECLOCALE": "0"}
    done = subprocess.run(
        [sys.executable, "-m", "bentoml", *command.split()],
        cwd=tmp_path,
        env={**os.environ, "BENTOML_HOME": str(home.root), **ascii_only},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert "Error" in done.stderr and "PYTHONUTF8=1" in done.stderr
    assert "Traceback" not in done.stderr
    assert "rename" not in done.stderr
    assert not (tmp_path / "words.bentomodel").exists()
