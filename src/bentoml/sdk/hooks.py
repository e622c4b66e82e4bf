"""Hooks: functions of a service that run once when it is deployed, or when a worker starts and stops."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, Literal, TypeVar

__all__ = ["HookKind", "hooks_of", "on_deployment", "on_shutdown", "on_startup"]

HookKind = Literal["deployment", "startup", "shutdown"]

F = TypeVar("F", bound=Callable[..., Any])

_MARK = "__bentoml_hook__"
_NEEDED = (
    inspect.Parameter.POSITIONAL_ONLY,
    inspect.Parameter.POSITIONAL_OR_KEYWORD,
    inspect.Parameter.KEYWORD_ONLY,
)


def on_deployment(func: Callable[..., Any]) -> staticmethod[..., Any]:
    """Run a function once before the workers start; it takes no ``self``."""
    function = func.__func__ if isinstance(func, staticmethod) else func
    made = staticmethod(_marked(function, "deployment"))
    setattr(made, _MARK, getattr(function, _MARK))  # for another `@staticmethod` around this one
    return made


def on_startup(func: F) -> F:
    """Run a method, sync or async, in each worker after ``__init__`` and before it takes requests."""
    return _marked(func, "startup")


def on_shutdown(func: F) -> F:
    """Run a method, sync or async, in each worker when it stops."""
    return _marked(func, "shutdown")


def hooks_of(cls: type, kind: HookKind) -> list[tuple[str, Callable[..., Any]]]:
    """Return a class's hooks of one kind, base classes first, in the order in which they are written.

    Deployment hooks take no argument, the others take the instance. A hook that a subclass overrides is its own
    no longer, and a method may be a hook of several kinds.
    """
    names = dict.fromkeys(name for base in reversed(cls.__mro__) for name in vars(base))
    found = ((name, getattr(cls, name, None)) for name in names)
    marked = [(name, func) for name, func in found if kind in getattr(func, _MARK, ())]
    return [(name, func if kind == "deployment" else _of_instance(cls, name, func)) for name, func in marked]  # type: ignore[misc,arg-type]  # marked


def _of_instance(cls: type, name: str, func: Callable[..., Any]) -> Callable[..., Any]:
    """Return a hook that takes the instance, also where the method does not."""
    if isinstance(inspect.getattr_static(cls, name), staticmethod | classmethod):
        return lambda instance: func()
    return func


def _marked(func: F, kind: HookKind) -> F:
    function = func.__func__ if isinstance(func, staticmethod | classmethod) else func
    if not inspect.isroutine(function):
        raise TypeError(f"@bentoml.on_{kind} goes on a method, not on `{func!r}`")
    most = 0 if kind == "deployment" else 1
    needed = [
        p
        for p in inspect.signature(function).parameters.values()
        if p.default is p.empty and p.kind in _NEEDED
    ]
    if len(needed) > most:
        takes = "at most its instance" if most else "no argument: it runs before there is an instance"
        raise TypeError(
            f"@bentoml.on_{kind} goes on a function that takes {takes}, unlike `{function.__qualname__}`"
        )
    setattr(function, _MARK, (*getattr(function, _MARK, ()), kind))
    return func
