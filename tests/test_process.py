"""Programs: what is told of them holds no password."""

from __future__ import annotations

import logging
import os
import signal
import sys
import time
from pathlib import Path

import pytest

from bentoml.process import CommandFailed, follow, run, without_credentials

URL = "https://user:secret@example.org/simple"


def test_passwords_are_not_told(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "bentoml")
    code = "import sys; sys.exit('no answer of ' + sys.argv[1])"
    with pytest.raises(CommandFailed) as raised:
        run([sys.executable, "-c", code, URL])
    assert "no answer of https://***@example.org/simple" in str(raised.value)
    assert "secret" not in str(raised.value) + caplog.text


def test_other_texts_stay_as_they_are() -> None:
    assert without_credentials("a@b http://c/d@e") == "a@b http://c/d@e"


def test_what_a_program_leaves_running_is_not_waited_for() -> None:
    code = "import subprocess, sys; print(subprocess.Popen(['sleep', '100']).pid)"
    os.kill(int(run([sys.executable, "-c", code])), signal.SIGKILL)


def test_each_line_is_told_when_it_comes(tmp_path: Path) -> None:
    """The program goes on only once it was told of its first line."""
    told: list[str] = []

    def tell(line: str) -> None:
        told.append(line)
        (tmp_path / "told").touch()

    wait = "while not os.path.exists(sys.argv[1]): time.sleep(0.01)"
    code = f"import os, sys, time\nprint('{URL}', flush=True)\n{wait}\nsys.exit('it failed')"
    with pytest.raises(CommandFailed, match=r"(?s)exit code 1\n.*it failed") as raised:
        follow([sys.executable, "-c", code, str(tmp_path / "told")], tell=tell)
    assert told == ["https://***@example.org/simple", "it failed"]
    assert "secret" not in str(raised.value)


def test_following_what_is_not_there_or_is_stopped() -> None:
    with pytest.raises(CommandFailed, match="command not found"):
        follow(["no-such-program-5309"], tell=print)

    def stop(line: str) -> None:
        raise KeyboardInterrupt

    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        follow([sys.executable, "-uc", "import time; print(1); time.sleep(100)"], tell=stop)
    assert time.monotonic() - began < 60
