"""Options of an engine's build command: read as people write them, written as words of a command line."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from ...exceptions import InvalidArgument

__all__ = ["Option", "each", "option_words", "outputs", "parse_options"]

Option = str | int | Path | Sequence[str] | Mapping[str, str] | None  # a bool is an int

_GIVEN = re.compile(r"(?:--)?([a-z][a-z0-9]*(?:[-_][a-z0-9]+)*)(?:[=:](.*))?", re.DOTALL)
_KEY = re.compile(r"[a-z][a-z0-9]*(?:_[a-z0-9]+)*")
_OWN = {"tag": "--image-tag", "t": "--image-tag", "f": "--opt file=PATH"}
_MAY_STAND_ALONE = ("--pull",)  # flags that take a value behind `=` alone


def parse_options(given: Sequence[str]) -> dict[str, Option]:
    """Return options by name: ``NAME=VALUE`` or ``NAME:VALUE``, each may be repeated; ``NAME`` alone is a bare flag.

    Raises:
        InvalidArgument: one is not written like that.
    """
    found: dict[str, list[str]] = {}
    flags: dict[str, Option] = {}
    for text in given:
        match = _GIVEN.fullmatch(text)
        if match is None:
            raise InvalidArgument(
                f"`--opt {text}` is no option; it looks like `--opt target=NAME`, `--opt build-arg:NAME=VALUE` or `--opt no-cache`"
            )
        key = match[1].replace("-", "_")
        if match[2] is None:
            flags[key] = True
        else:
            found.setdefault(key, []).append(match[2])
    if both := sorted(flags.keys() & found.keys()):
        raise InvalidArgument(f"`--opt {both[0]}` is given with a value and without one")
    return {**flags, **{key: tuple(values) for key, values in found.items()}}


def option_words(options: Mapping[str, Option]) -> list[str]:
    """Return the words of a command line: ``no_cache=True`` is ``--no-cache``, a tuple repeats its flag, a mapping gives pairs.

    Raises:
        InvalidArgument: a name is no name of an option, or is one that is said in another way.
    """
    words: list[str] = []
    for key, value in options.items():
        flag = f"--{_checked(key).replace('_', '-')}"
        if value is True:
            words.append(flag)
        else:
            for text in each(key, value):
                is_joined = text in ("true", "false") or flag in _MAY_STAND_ALONE
                words.extend([f"{flag}={text}"] if is_joined else [flag, text])
    return words


def each(key: str, value: Option) -> Iterator[str]:
    """Yield each value of an option as text; of a flag that is not set, none.

    Raises:
        InvalidArgument: a value cannot be a word of a command line.
    """
    match value:
        case None | False:
            return
        case Mapping():
            items: Sequence[object] = [f"{name}={item}" for name, item in value.items()]
        case str() | int() | Path():
            items = [value]
        case _:
            items = value
    for item in items:
        text = str(item)
        if "\0" in text:
            raise InvalidArgument(f"option `{key}` holds a NUL character")
        yield text


def outputs(options: Mapping[str, Option]) -> list[dict[str, str]]:
    """Return what each `output` says, by its keys; a path alone is a folder for the files of the image."""
    return [
        dict(word.partition("=")[::2] for word in text.split(",")) if "=" in text else {"dest": text}
        for text in each("output", options.get("output"))
    ]


def _checked(key: str) -> str:
    if key in _OWN:
        raise InvalidArgument(f"option `{key}` is said in another way: `{_OWN[key]}`")
    if not _KEY.fullmatch(key):
        raise InvalidArgument(f"`{key}` is no name of an option; it has lower-case letters, digits and `_`")
    return key
