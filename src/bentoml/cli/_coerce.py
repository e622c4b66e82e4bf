"""Spare light commands the validation library, which typer loads to convert even a string into a string (60 ms)."""

from __future__ import annotations

import math
import re
from typing import Any

import typer

__all__ = ["spare_conversion"]

_NUMBER = re.compile("[+-]?[0-9]{1,4000}")


def spare_conversion(param: Any) -> None:
    """Let an option or argument pass on what needs no conversion; typer converts, or refuses, all the rest."""
    if hasattr(param, "get_runtime_param"):  # typer converted with click before it had this
        param.get_runtime_param = _Quick(param, param.get_runtime_param).get


class _Quick:
    def __init__(self, param: Any, thorough: Any) -> None:
        self._annotation = param.type_descriptor.annotation
        choices = param.type_descriptor.choices or ()
        self._choices = tuple(c for c in choices if type(c) is str)  # not the members of an Enum
        info = param.type_descriptor.parameter_info
        self._plain = getattr(info, "parser", None) is None
        self._least = -math.inf if info.min is None else info.min
        self._most = math.inf if info.max is None else info.max
        self._thorough = thorough

    def get(self) -> _Quick:
        return self

    def coerce(self, value: Any, *, param: Any, ctx: Any) -> Any:
        if value in (None, ()):
            return () if param.multiple or param.nargs == -1 else None
        if not self._plain:
            return self._thorough().coerce(value, param=param, ctx=ctx)
        if isinstance(value, str):
            if self._annotation is str or value in self._choices:
                return value
            if self._annotation is int:
                return self._number(value, param=param, ctx=ctx)
            if self._choices:
                expected = ", ".join(f"`{choice}`" for choice in self._choices)
                raise typer.BadParameter(f"`{value}` is not one of {expected}", ctx=ctx, param=param)
        if self._annotation is int and type(value) is int and self._is_allowed(value):  # a default
            return value
        if (
            self._annotation == list[str]
            and type(value) in (list, tuple)
            and {type(v) for v in value} <= {str}
        ):
            return list(value)
        return self._thorough().coerce(value, param=param, ctx=ctx)

    def _number(self, text: str, *, param: Any, ctx: Any) -> int:
        if _NUMBER.fullmatch(text) and self._is_allowed(int(text)):
            return int(text)
        least = f" from {self._least}" if math.isfinite(self._least) else ""
        most = f" to {self._most}" if math.isfinite(self._most) else ""
        raise typer.BadParameter(f"`{text}` is not a whole number{least}{most}", ctx=ctx, param=param)

    def _is_allowed(self, number: int) -> bool:
        return self._least <= number <= self._most
