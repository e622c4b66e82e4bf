"""How this library runs another program: an argument list, never a shell string."""

from __future__ import annotations

import logging
import re
import shlex
import subprocess
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO

from .exceptions import BentoMLException

__all__ = ["CommandFailed", "follow", "run", "without_credentials"]

logger = logging.getLogger(__name__)

_LAST_LINES = 40
_CREDENTIALS = re.compile(r"://[^/\s@]*@")


def without_credentials(text: str) -> str:
    """Return a text without the user names and passwords of its URLs."""
    return _CREDENTIALS.sub("://***@", text)


class CommandFailed(BentoMLException):
    """A program ended with an error; ``returncode`` and ``output`` say how."""

    def __init__(self, argv: Sequence[str], returncode: int, output: str) -> None:
        tail = "\n".join(output.strip().splitlines()[-_LAST_LINES:])
        said = f"`{shlex.join(argv)}` ended with exit code {returncode}\n{tail}"
        super().__init__(without_credentials(said).rstrip())
        self.argv = tuple(argv)
        self.returncode = returncode
        self.output = output


def run(
    argv: Sequence[str],
    *,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    input: bytes | None = None,
    timeout: float | None = None,
) -> str:
    """Run a program to its end and return what it wrote to stdout.

    Raises:
        CommandFailed: it ended with an exit code other than 0, was not found (127) or took longer than ``timeout``
            seconds (124); the message holds the command and the last lines of its output.
    """
    logger.debug("running %s", without_credentials(shlex.join(argv)))
    with (
        TemporaryFile() as stdout,
        TemporaryFile() as stderr,
    ):  # a pipe ends with the last child of the program
        try:
            done = subprocess.run(
                list(argv), cwd=cwd, env=env, input=input, stdin=subprocess.DEVNULL if input is None else None,
                stdout=stdout, stderr=stderr, timeout=timeout, check=False,
            )  # fmt: skip
        except FileNotFoundError as e:
            raise CommandFailed(argv, 127, f"{argv[0]}: command not found") from e
        except subprocess.TimeoutExpired as e:
            raise CommandFailed(argv, 124, f"no end within {timeout} seconds") from e
        if done.returncode:
            raise CommandFailed(argv, done.returncode, _text(stderr) or _text(stdout))
        return _text(stdout)


def follow(argv: Sequence[str], *, env: Mapping[str, str] | None = None, tell: Callable[[str], None]) -> None:
    """Run a program to its end, and tell each line that it writes, to stdout or stderr, when it comes.

    Raises:
        CommandFailed: it ended with an exit code other than 0, or was not found (127).
    """
    logger.debug("running %s", without_credentials(shlex.join(argv)))
    last: deque[str] = deque(maxlen=_LAST_LINES)
    try:
        program = subprocess.Popen(
            list(argv), env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
    except FileNotFoundError as e:
        raise CommandFailed(argv, 127, f"{argv[0]}: command not found") from e
    with program:
        try:
            for line in program.stdout or ():
                last.append(without_credentials(line.decode(errors="replace").rstrip()))
                tell(last[-1])
        except BaseException:
            program.kill()
            raise
    if program.returncode:
        raise CommandFailed(argv, program.returncode, "\n".join(last))


def _text(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read().decode(errors="replace")
