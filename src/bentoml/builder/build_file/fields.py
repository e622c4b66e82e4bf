"""Reading typed values out of plain data: each mistake is noted with its key, and reading goes on."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from types import NoneType
from typing import Any

from ...nearest import nearest
from ...process import without_credentials

__all__ = ["CONTROL", "Fields"]

CONTROL = re.compile(r"[\x00-\x1f\x7f\x85\u2028\u2029\ud800-\udfff]")  # halves of a pair are no characters
_KINDS = {
    dict: "a mapping",
    list: "a list",
    str: "a string",
    bool: "true or false",
    int: "a number",
    float: "a number",
    date: "a date",
    datetime: "a time",
    NoneType: "null, which is what YAML makes of nothing",
}
_LONGEST = 10_000  # characters of a value


class Fields:
    """Read one mapping of a build file; what is wrong is added to ``mistakes`` and read as if it were not there."""

    def __init__(self, data: object, path: str, mistakes: list[str]) -> None:
        self.path = path
        self.mistakes = mistakes
        self._data: Mapping[Any, Any] = data if isinstance(data, Mapping) else {}
        self._is_mapping = isinstance(data, Mapping)
        if data is not None and not self._is_mapping:
            self.mistake("", f"has to be a mapping, not {_kind(data)}")

    def mistake(self, key: str, message: str) -> None:
        """Note that the value of a key is not acceptable."""
        self.mistakes.append(f"`{_short(self._name(key), 100)}` {_short(without_credentials(message), 1000)}")

    def __contains__(self, key: str) -> bool:
        return self._data.get(key) is not None

    def check_keys(self, known: Iterable[str]) -> None:
        """Note each key that is not known, with the one that it is nearest to."""
        known = list(known)
        for key in self._data:
            if key in known:
                continue
            near = nearest(str(key), known)
            hint = (
                f"did you mean `{near}`?" if near else f"known keys are {', '.join(f'`{k}`' for k in known)}"
            )
            self.mistake(str(key), f"is not a known key; {hint}")

    def section(self, key: str) -> Fields:
        """Return the mapping under a key."""
        return Fields(self._data.get(key), self._name(key), self.mistakes)

    def sections(self, key: str, text_as: str = "") -> list[Fields]:
        """Return the mappings listed under a key; a string stands for a mapping with the one key ``text_as``."""
        return [
            Fields(
                {text_as: item} if text_as and isinstance(item, str) else item,
                self._name(f"{key}[{i}]"),
                self.mistakes,
            )
            for i, item in enumerate(self._list(key))
        ]

    def raw(self, key: str) -> Any:
        """Return a value as it is."""
        return self._data.get(key)

    def text(
        self, key: str, pattern: re.Pattern[str] | None = None, rule: str = "", *, required: bool = False
    ) -> str:
        """Return a string without control characters that starts with no dash; empty if it is missing."""
        value = self._data.get(key)
        if required and value in (None, "") and self._is_mapping:
            self.mistake(key, "is missing" if value is None else "is empty")
            return ""
        return "" if value is None else self._text(key, value, pattern, rule, False)

    def texts(self, key: str, pattern: re.Pattern[str] | None = None, rule: str = "") -> tuple[str, ...]:
        """Return a list of strings; a string alone is a list of one."""
        items = [(f"{key}[{i}]", item) for i, item in enumerate(self._list(key))]
        return tuple(text for name, item in items if (text := self._text(name, item, pattern, rule, False)))

    def pairs(self, key: str) -> dict[str, str]:
        """Return a mapping of strings to strings; numbers are written as strings."""
        value = self._data.get(key)
        if value is not None and not isinstance(value, Mapping):
            self.mistake(key, f"has to be a mapping, not {_kind(value)}")
        if not isinstance(value, Mapping):
            return {}
        return {
            self._text(f"{key} (the key {name!r})", _plain(name), None, "", False): self._text(
                f"{key}.{name}", _plain(item), None, "", True
            )
            for name, item in value.items()
        }

    def plain(self, key: str) -> str:
        """Return a string or a number as a string; it may start with a dash."""
        value = _plain(self._data.get(key))
        return "" if value is None else self._text(key, value, None, "", True)

    def choice(self, key: str, choices: Sequence[str], default: str) -> str:
        """Return one of a few strings."""
        value = self._data.get(key, default)
        if value in choices:
            return str(value)
        self.mistake(key, f"is {value!r}; it is one of {', '.join(f'`{c}`' for c in choices)}")
        return default

    def flag(self, key: str, default: bool) -> bool:
        """Return true or false."""
        value = self._data.get(key)
        if value is None or isinstance(value, bool):
            return default if value is None else value
        self.mistake(key, f"has to be true or false, not {_kind(value)}")
        return default

    def _list(self, key: str) -> list[Any]:
        value = self._data.get(key)
        if value is None or isinstance(value, list | tuple):
            return list(value or ())
        if isinstance(value, str):
            return [value]
        self.mistake(key, f"has to be a list, not {_kind(value)}")
        return []

    def _text(self, key: str, value: object, pattern: re.Pattern[str] | None, rule: str, free: bool) -> str:
        problem = None
        if not isinstance(value, str):
            problem = f"has to be a string, not {_kind(value)}; put it in quotes"
        elif len(value) > _LONGEST:
            problem = f"has {len(value)} characters; no value needs more than {_LONGEST}"
        elif CONTROL.search(value):
            problem = f"must not hold line breaks or control characters: {value!r}"
        elif value.startswith("-") and not free:
            problem = f"must not start with a dash, as an option does: {value!r}" + (
                f"; {rule}" if rule else ""
            )
        elif pattern is not None and not pattern.fullmatch(value):
            problem = f"is {value!r}; {rule}"
        if problem is None:
            return str(value)
        self.mistake(key, problem)
        return ""

    def _name(self, key: str) -> str:
        return f"{self.path}.{key}".strip(".") or "the build file"


def _kind(value: object) -> str:
    return _KINDS.get(type(value), f"`{type(value).__name__}`")


def _short(text: str, length: int) -> str:
    return text if len(text) <= length else f"{text[:length]} ..."


def _plain(value: object) -> object:
    """Return a number as text; what YAML makes of `yes` or `2024-01-01` is not what was written, so it stays."""
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value
