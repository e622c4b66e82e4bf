"""What the supervisor knows of one process."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterator

import pytest
from tests.runtime.running import until

from bentoml.runtime.process.child import Child
from bentoml.runtime.process.frames import Failed, Frame, Pong, Ready

# Says that it is ready, answers what comes after two questions, and fails after a third.
SCRIPT = r"""
import socket, sys
control = socket.socket(fileno=int(sys.argv[-1]))
control.send(b'{"frame": "Ready"}\n')
control.recv(100)
control.send(b'{"frame": "Pong"}\n')
control.recv(100)
control.send(b'{"frame": "Failed", "exit_code": 4, "message": "why"}\n')
sys.exit(4)
"""


@pytest.fixture
def child() -> Iterator[Child]:
    child = Child(2, [sys.executable, "-S", "-c", SCRIPT], os.environ)
    yield child
    child.kill()
    child.finish(10)


def hear(child: Child, now: float) -> list[Frame]:
    heard: list[Frame] = []

    def something() -> bool:
        heard.extend(child.read(now))
        return bool(heard) or not child.talks

    until(something, lambda: "it says nothing")
    return heard


def test_from_ready_to_its_last_word(child: Child, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING, logger="bentoml")
    assert hear(child, 100.0) == [Ready()]
    assert child.ready_since == 100.0
    child.check_pulse(105.0)
    child.check_pulse(111.0)  # asks
    child.check_pulse(150.0)
    assert caplog.messages == []
    child.check_pulse(172.0)
    child.check_pulse(173.0)
    assert caplog.messages == [
        f"worker 2 (process {child.pid}) has not answered for 60 s: something blocks its event loop"
    ]
    assert hear(child, 180.0) == [Pong()]
    assert caplog.messages[1:] == [f"worker 2 (process {child.pid}) answers again"]
    child.check_pulse(191.0)  # asks again
    until(child.ended, lambda: "it runs")
    assert hear(child, 192.0) == [Failed(4, "why")]
    assert child.failure == Failed(4, "why") and not child.talks
    assert child.reason() == "ended with exit code 4"


def test_how_it_ended(child: Child) -> None:
    child.stop()
    until(child.ended, lambda: "it runs")
    assert child.reason() == "was ended by signal SIGTERM"


def test_a_program_that_is_not_there() -> None:
    with pytest.raises(FileNotFoundError):
        Child(1, ["/nowhere/python"], {})
