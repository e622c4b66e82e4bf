"""Errors as long as people read them: what somebody pasted is shown by its start and its end."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

import typer

__all__ = ["short_errors", "shortened"]

_WORD = re.compile(r"\S{1001,}")  # no path has as many characters, and no command without blanks
_WORD_SHOWN = 400
_SHOWN = 20_000
# `BadParameter` is a `UsageError`, which is a `ClickException`: what typer shows to people, whatever it calls their module
_ShownError: type[Exception] = typer.BadParameter.__mro__[2]


def shortened(message: str) -> str:
    """Return a message without the middle of each word, and of the whole, that is too long to be read."""
    return _cut(_WORD.sub(lambda word: _cut(word[0], _WORD_SHOWN), message), _SHOWN)


def _cut(text: str, shown: int) -> str:
    left_out = len(text) - shown
    if left_out <= 0:
        return text
    return f"{text[: shown // 2]}... {left_out} characters ...{text[-shown // 2 :]}"


@contextmanager
def short_errors() -> Iterator[None]:
    """Shorten the message of an error of typer's on its way to whoever shows it."""
    try:
        yield
    except _ShownError as e:
        e.message = shortened(e.message)  # type: ignore[attr-defined]  # all of them have one
        raise
