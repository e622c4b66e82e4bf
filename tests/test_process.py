"""Programs: what is told of them holds no password."""

from __future__ import annotations

import logging
import sys
import time

import pytest

from bentoml.process import CommandFailed, run, without_credentials

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
    code = "import subprocess, sys; subprocess.Popen(['sleep', '3']); print('done')"
    began = time.monotonic()
    assert run([sys.executable, "-c", code]) == "done\n"
    assert time.monotonic() - began < 2
