"""Run another program, and let nothing of it outlive the parent: ``leash.py PARENT_PID PROGRAM ARGUMENTS...``.

It is run by its path, without this package: what matters is that it is small. It stays between the two: SIGTERM is passed
on to the program and whatever that has started, SIGUSR1 kills them all, and so does the end of the parent, however that ends.
It ends when they all have. Only Linux tells of the end of a parent and hands over orphans; elsewhere the rest holds.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from contextlib import suppress
from types import FrameType

_PR_SET_PDEATHSIG = 1  # prctl(2)
_PR_SET_CHILD_SUBREAPER = 36


def main() -> None:
    """Start the program, wait for its end and that of what it leaves, and end as it did."""
    parent, *argv = sys.argv[1:]
    own = os.getpid()
    _prctl(_PR_SET_PDEATHSIG, signal.SIGUSR1)
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)
    if os.getppid() != int(parent):  # the promise came too late
        sys.exit(1)
    signals = {signal.SIGTERM, signal.SIGUSR1}
    signal.pthread_sigmask(signal.SIG_BLOCK, signals)  # until there is somebody to pass them on to
    program = os.fork()
    if program == 0:
        os.setpgid(0, 0)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, signals)
        _become(argv, own)
    with suppress(OSError):  # the program may have done so, and more
        os.setpgid(program, program)
    ending = _pass_on(program)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, signals)
    _, status = os.waitpid(program, 0)
    if not ending:
        _kill_group(program, signal.SIGKILL)  # what it leaves would be in the way of the next one
    with suppress(ChildProcessError):
        while True:
            os.wait()
    _end_as(os.waitstatus_to_exitcode(status))


def _pass_on(group: int) -> list[int]:
    """Hand signals to a group from now on; the list gets those that came."""
    came: list[int] = []

    def passed(number: int, _: FrameType | None) -> None:
        came.append(number)
        _kill_group(group, signal.SIGTERM if number == signal.SIGTERM else signal.SIGKILL)

    signal.signal(signal.SIGTERM, passed)
    signal.signal(signal.SIGUSR1, passed)
    for number in (signal.SIGINT, signal.SIGHUP):  # of a terminal: its parent says how to end
        signal.signal(number, signal.SIG_IGN)
    return came


def _become(argv: list[str], parent: int) -> None:
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)  # it outlives execve(2)
    if sys.platform == "linux" and os.getppid() != parent:
        os._exit(1)
    try:
        os.execvp(argv[0], argv)
    except OSError as e:
        sys.stderr.write(f"`{argv[0]}` cannot be run: {e.strerror}\n")
        sys.stderr.flush()
        os._exit(1)


def _kill_group(group: int, number: int) -> None:
    with suppress(ProcessLookupError):
        os.killpg(group, number)


def _end_as(code: int) -> None:
    if code < 0:
        with suppress(OSError):  # nobody may change what SIGKILL does
            signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    sys.exit(code)


def _prctl(option: int, value: int) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(option, value, 0, 0, 0)


if __name__ == "__main__":
    main()
