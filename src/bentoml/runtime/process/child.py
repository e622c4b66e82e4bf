"""One worker process as the supervisor sees it."""

from __future__ import annotations

import logging
import signal
import socket
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress

from .frames import Channel, Failed, Frame, Loaded, Ping, Pong, Ready

__all__ = ["Child"]

logger = logging.getLogger(__name__)

_PING_EVERY = 10.0
_SILENT_AFTER = 60.0


class Child:
    """Start a worker process and keep what it says about itself; times are those of ``time.monotonic``."""

    def __init__(self, index: int, command: Sequence[str], env: Mapping[str, str]) -> None:
        ours, theirs = socket.socketpair()
        with theirs:
            try:
                argv = [*command, str(theirs.fileno())]
                self._process = subprocess.Popen(argv, env=dict(env), pass_fds=[theirs.fileno()])
            except BaseException:
                ours.close()
                raise
        ours.setblocking(False)
        self.index = index
        self.channel = Channel(ours)
        self.failure: Failed | None = None
        self.talks = True
        self.loaded = False
        self.ready_since: float | None = None
        self._heard = 0.0
        self._pinged: float | None = None
        self._reported = False

    def __str__(self) -> str:
        return f"worker {self.index} (process {self.pid})"

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    def read(self, now: float) -> list[Frame]:
        """Return the frames that are there, keeping what they say about the process itself."""
        with suppress(BlockingIOError):
            while self.talks:
                self.talks = self.channel.read()
        frames = list(self.channel.frames())
        for frame in frames:
            match frame:
                case Loaded():
                    self.loaded = True
                case Ready():
                    self.ready_since = self._heard = now
                case Failed():
                    self.failure = frame
                case Pong():
                    self._heard, self._pinged = now, None
                    if self._reported:
                        self._reported = False
                        logger.warning("%s answers again", self)
                case _:
                    pass
        return frames

    def check_pulse(self, now: float) -> None:
        """Ask a ready process now and then whether its event loop turns; report one that leaves that open for long.

        It is not killed: code that loads a model or holds the interpreter's lock may well be at work.
        """
        if self._pinged is not None:
            if now - self._pinged > _SILENT_AFTER and not self._reported:
                self._reported = True
                logger.warning(
                    "%s has not answered for %g s: something blocks its event loop", self, _SILENT_AFTER
                )
        elif self.ready_since is not None and now - self._heard > _PING_EVERY:
            self._pinged = now
            self.channel.send(Ping())

    def stop(self) -> None:
        """Ask the process to end: at once if it is starting, after its requests if it serves."""
        self._process.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """End the process now."""
        self._process.kill()

    def ended(self) -> bool:
        """Tell whether the process has ended, and collect it."""
        return self._process.poll() is not None

    def finish(self, timeout: float) -> None:
        """Wait for the end, kill the process if it does not come in time, and close the channel."""
        try:
            self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self.channel.close()

    def reason(self) -> str:
        """Say how the process ended."""
        code = self._process.returncode
        if code >= 0:
            return f"ended with exit code {code}"
        try:
            return f"was ended by signal {signal.Signals(-code).name}"
        except ValueError:
            return f"was ended by signal {-code}"
