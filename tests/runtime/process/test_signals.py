"""Signals as bytes."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import threading

from bentoml.runtime.process.signals import SignalPipe


def test_signals_and_calls_wake_the_reader() -> None:
    before = signal.getsignal(signal.SIGUSR1)
    with SignalPipe([signal.SIGUSR1]) as pipe:
        assert pipe.read() == b""
        os.kill(os.getpid(), signal.SIGUSR1)
        assert select.select([pipe], [], [], 5)[0]
        assert pipe.read() == bytes([signal.SIGUSR1])
        thread = threading.Thread(target=pipe.wake)
        thread.start()
        thread.join()
        assert pipe.read() == bytes([SignalPipe.WOKEN])
    assert signal.getsignal(signal.SIGUSR1) == before
    pipe.wake()  # nobody reads any more: not an error


def test_what_nohup_ignores_stays_ignored() -> None:
    program = (
        "import signal; from bentoml.runtime.process.signals import SignalPipe\n"
        "signal.signal(signal.SIGHUP, signal.SIG_IGN)\n"
        "with SignalPipe([signal.SIGHUP, signal.SIGTERM]): print(signal.getsignal(signal.SIGHUP) is signal.SIG_IGN)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120)
    assert done.stdout == "True\n"
