"""Telling people what takes long."""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["is_quiet", "step", "talk"]

_PATIENCE = 2.0  # seconds after which a step is worth a line


def is_quiet() -> bool:
    """Say whether `--quiet` was given: then nothing is said but what went wrong."""
    return not logging.getLogger("bentoml").isEnabledFor(logging.INFO)


@contextmanager
def step(words: str) -> Iterator[None]:
    """Say on stderr what is going on, once it has gone on for a while."""
    timer = threading.Timer(_PATIENCE, lambda: print(f"{words} ...", file=sys.stderr, flush=True))
    timer.daemon = True
    if not is_quiet():
        timer.start()
    try:
        yield
    finally:
        timer.cancel()


def talk(words: str) -> None:
    """Say a line on stderr, unless `--quiet` was given."""
    if not is_quiet():
        print(words, file=sys.stderr, flush=True)
