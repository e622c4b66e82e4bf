"""How the tests of commands run one in this process."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from bentoml.cli.main import run


@dataclass(frozen=True)
class Done:
    """What a command printed, but for the steps that take long on a slow machine, and with which code it ended."""

    code: int
    out: str
    err: str

    @property
    def lines(self) -> list[str]:
        """The lines of stdout."""
        return self.out.splitlines()


Command = Callable[..., Done]


def command(capsys: pytest.CaptureFixture[str]) -> Command:
    """Return a function that runs ``bentoml`` with arguments."""

    def bentoml(*arguments: str) -> Done:
        level = logging.getLogger("bentoml").level
        with pytest.raises(SystemExit) as stop:
            run([*arguments])
        logging.getLogger("bentoml").setLevel(level)
        shown = capsys.readouterr()
        assert isinstance(stop.value.code, int)
        said = [line for line in shown.err.splitlines(keepends=True) if not line.endswith(" ...\n")]
        return Done(stop.value.code, shown.out, "".join(said))

    return bentoml
