"""Become another program that ends when its parent ends, however that ends: ``leash.py PARENT_PID PROGRAM ARGUMENTS...``.

It is run by its path, without this package: what matters is that it is quick. Only Linux knows such a promise; elsewhere
the program is started all the same.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1  # prctl(2); it outlives execve(2)


def main() -> None:
    """Make the promise, look whether it came too late, and become the program."""
    parent, *argv = sys.argv[1:]
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != int(parent):
            sys.exit(1)
    try:
        os.execvp(argv[0], argv)
    except OSError as e:
        sys.exit(f"`{argv[0]}` cannot be run: {e.strerror}")


if __name__ == "__main__":
    main()
