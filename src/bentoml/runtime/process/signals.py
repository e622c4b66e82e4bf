"""Signals as bytes that a selector can wait for, so that the loop acts and no handler ever does."""

from __future__ import annotations

import os
import select
import signal
import threading
from collections.abc import Iterable
from contextlib import suppress
from types import TracebackType

__all__ = ["SignalPipe", "do_nothing", "end_with"]


class SignalPipe:
    """Catch signals while the block runs; ``read()`` tells which came, and other threads can ``wake()`` the reader."""

    WOKEN = 0

    def __init__(self, signals: Iterable[signal.Signals]) -> None:
        heard = (
            signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN
        )  # under nohup the end of a terminal is no end
        self._signals = tuple(s for s in signals if s != signal.SIGHUP or heard)
        self._before: dict[signal.Signals, object] = {}

    def __enter__(self) -> SignalPipe:
        self._reader, self._writer = os.pipe()
        for end in (self._reader, self._writer):
            os.set_blocking(end, False)
        self._wakeup_before = signal.set_wakeup_fd(self._writer, warn_on_full_buffer=False)
        self._before = {number: signal.signal(number, do_nothing) for number in self._signals}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, e: BaseException | None, tb: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]  # what signal.signal returned before
        signal.set_wakeup_fd(self._wakeup_before)
        os.close(self._reader)
        os.close(self._writer)
        self._writer = -1  # the number will soon mean another file

    def fileno(self) -> int:
        """Return the file descriptor to wait for."""
        return self._reader

    def read(self) -> bytes:
        """Return the numbers of the signals that came since the last read, `WOKEN` for a call of ``wake()``."""
        try:
            return os.read(self._reader, 4096)
        except BlockingIOError:
            return b""

    def wake(self) -> None:
        """Wake the reader from another thread."""
        with suppress(OSError):  # full: it will wake anyway; closed: nobody is left to wake
            os.write(self._writer, bytes([self.WOKEN]))


def end_with(descriptor: int) -> None:
    """Send this process SIGTERM when the other end of a socket closes, also while its main thread is busy.

    The other end closes however its process ends, kill -9 included.
    """

    def watch() -> None:
        poll = select.poll()
        poll.register(descriptor, 0)  # a hang-up is reported unasked
        poll.poll()
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, name="bentoml-supervisor", daemon=True).start()


def do_nothing(number: int, frame: object) -> None:
    """Handle a signal by doing nothing; unlike SIG_IGN this is not inherited by the programs that a process starts."""
