"""Checks: what one value of a configuration may be, in words and as code."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from .resources import parse_cpu, parse_gpu, parse_memory, parse_size

__all__ = ["Check"]


class Check(NamedTuple):
    """``read`` returns the value as it is kept, or raises ``ValueError``; ``expected`` says what it takes."""

    expected: str
    read: Callable[[Any], Any]


def _integer(value: Any, least: int = 1, most: float = math.inf) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise ValueError
    return value


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError
    return value


def _seconds(value: Any) -> float:
    if _number(value) <= 0:
        raise ValueError
    return value  # type: ignore[no-any-return]  # a number, checked above


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError
    return value


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value.isprintable():
        raise ValueError
    return value


def _one_of(value: Any, *choices: str) -> str:
    if value not in choices:
        raise ValueError
    return str(value)


def _several(value: Any, read: Callable[[Any], Any]) -> tuple[Any, ...]:
    if not isinstance(value, list | tuple):
        raise ValueError
    return tuple(read(item) for item in value)


def _long_text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError
    return value


def _labels(value: Any) -> Mapping[str, str]:
    return {_text(name): _text(label) for name, label in _mapping(value).items()}


def _command(value: Any) -> tuple[str, ...]:
    words = _several(value, _long_text)
    if not words or not words[0]:
        raise ValueError
    return words


def _growing(value: Any) -> tuple[float, ...]:
    numbers = _several(value, _number)
    if list(numbers) != sorted(set(numbers)):
        raise ValueError
    return numbers


def _pattern(value: Any) -> str:
    try:
        return re.compile(_text(value)).pattern
    except re.error as e:
        raise ValueError from e


def _patterns(value: Any) -> tuple[str, ...]:
    """Return regular expressions: a list of them, or one text with commas between them."""
    given = value.split(",") if isinstance(value, str) else value
    return tuple(p for p in _several(given, lambda v: _pattern(v).strip()) if p)


def _matching(value: Any, pattern: str) -> str:
    if not re.fullmatch(pattern, _text(value)):
        raise ValueError
    return str(value)


def _within(value: Any, least: float, most: float) -> float:
    if not least <= _number(value) <= most:
        raise ValueError
    return value  # type: ignore[no-any-return]  # a number, checked above


def _above_one(value: Any) -> float:
    if _number(value) <= 1:
        raise ValueError
    return value  # type: ignore[no-any-return]  # a number, checked above


def _mapping(value: Any) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise ValueError
    return dict(value)


POSITIVE = Check("a whole number above 0", _integer)
COUNT = Check("a whole number", lambda v: _integer(v, 0))
BACKLOG = Check("a whole number above 64", lambda v: _integer(v, 65))
PORT = Check("a port from 0 to 65535", lambda v: _integer(v, 0, 65535))
PORTS = Check("a list of ports", lambda v: _several(v, PORT.read))
WORKERS = Check("a whole number above 0 or `cpu_count`", lambda v: v if v == "cpu_count" else _integer(v))
NUMBER = Check("a number", _number)
NUMBERS = Check("a list of growing numbers", _growing)
SECONDS = Check("a number above 0", _seconds)
FLAG = Check("true or false", _flag)
TEXT = Check("one line of text", _text)
TEXTS = Check("a list of texts", lambda v: (_text(v),) if isinstance(v, str) else _several(v, _text))
LONG_TEXT = Check("a text", _long_text)
LABELS = Check("a mapping of texts to texts", _labels)
COMMAND = Check("a list of texts, the program first", _command)
STAGE = Check("`all`, `build` or `runtime`", lambda v: _one_of(v, "all", "build", "runtime"))
MAPPING = Check("a mapping", _mapping)
CPU = Check('a number of cores such as 2, "2" or "200m"', parse_cpu)
MEMORY = Check('an amount such as "512Mi", "500MiB", "4GiB" or "2G", or a number of GiB', parse_memory)
SIZE = Check('a number of bytes, also as "64KiB", "10MiB" or "4GB"', parse_size)
AUTH = Check("`api_key` or `jwt`", lambda v: _one_of(v, "api_key", "jwt"))
GPU = Check("a number above 0, and a whole one above 1", parse_gpu)
FACTOR = Check("a number above 1", _above_one)
SHARE = Check("a number from 0 to 1", lambda v: _within(v, 0, 1))
LENGTH = Check("a whole number, or -1 for any", lambda v: _integer(v, -1))
PATTERN = Check("a regular expression", _pattern)
PATTERNS = Check("a list of regular expressions, or one text with commas between them", _patterns)
FORMAT = Check(
    "a format of whole numbers such as `032x` or `d`", lambda v: _matching(v, "0?[0-9]{0,3}[xXdo]")
)
METRIC = Check(
    "the beginning of a metric's name: letters, digits, `_`",
    lambda v: _matching(v, "[a-zA-Z_:][a-zA-Z0-9_:]*"),
)
PATH = Check("a path that begins with `/`", lambda v: _matching(v, "/[^?#]*"))
PREFIX = Check("a path", lambda v: _matching(v, r"[^?#\s]*"))
OTLP = Check("`http` or `grpc`", lambda v: _one_of(str(v).removesuffix("/protobuf"), "http", "grpc"))
COMPRESSION = Check("`gzip`, `deflate` or `none`", lambda v: _one_of(v, "gzip", "deflate", "none"))
EXPORTER = Check(
    "`zipkin`, `jaeger`, `otlp` or `in_memory`", lambda v: _one_of(v, "zipkin", "jaeger", "otlp", "in_memory")
)
