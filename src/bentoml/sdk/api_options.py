"""The options of ``@bentoml.api`` and ``@bentoml.task``: what each may be."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from pydantic import BaseModel

from ..nearest import nearest

__all__ = [
    "check_options",
    "checked_batch_dim",
    "checked_batch_size",
    "checked_flag",
    "checked_latency",
    "checked_name",
    "checked_route",
    "checked_spec",
]

_OPTIONS = (
    "route",
    "name",
    "input_spec",
    "output_spec",
    "batchable",
    "batch_dim",
    "max_batch_size",
    "max_latency_ms",
    "url_inputs",
)


def check_options(decorator: str, given: Iterable[str]) -> None:
    """Raise ``TypeError`` for an option that there is not."""
    for name in given:
        if name not in _OPTIONS:
            near = nearest(name, _OPTIONS)
            hint = f"did you mean `{near}`?" if near else f"there are {', '.join(f'`{o}`' for o in _OPTIONS)}"
            raise TypeError(f"{decorator} has no option `{name}`; {hint}")


def checked_name(name: Any) -> str:
    """Return the name of an API, which is part of its default route."""
    if not isinstance(name, str) or not name.isprintable() or set(name) & set(" /?#"):
        raise ValueError(f"the name of an API is a text without spaces, `/`, `?` and `#`, not `{name!r}`")
    return name


def checked_route(route: Any) -> str:
    """Return a path that a request may ask for."""
    if not isinstance(route, str) or not route.startswith("/"):
        raise ValueError(f"route must start with a leading slash, not `{route}`")
    if not route.isprintable() or set(route) & set("?#"):
        raise ValueError(f"route is a path, without `?` and `#`, not `{route!r}`")
    return route


def checked_flag(option: str, value: Any) -> bool:
    """Return true or false."""
    if not isinstance(value, bool):
        raise ValueError(f"{option} is True or False, not `{value!r}`")
    return value


def checked_batch_size(size: Any) -> int:
    """Return how many items go into one call at most."""
    if not _is_integer(size) or size <= 1:
        raise ValueError(f"max_batch_size must be greater than 1, not `{size!r}`")
    return int(size)


def checked_latency(milliseconds: Any) -> float:
    """Return how long an item may wait."""
    if isinstance(milliseconds, bool) or not isinstance(milliseconds, int | float) or not milliseconds > 0:
        raise ValueError(f"max_latency_ms must be a number above 0, not `{milliseconds!r}`")
    return milliseconds


def checked_batch_dim(dim: Any) -> tuple[int, int]:
    """Return along which dimension arguments are joined, and results are split."""
    pair = (dim, dim) if _is_integer(dim) else dim
    if not isinstance(pair, tuple | list) or len(pair) != 2 or not all(map(_is_integer, pair)):
        raise ValueError(f"batch_dim is a dimension, or a pair of them for input and output, not `{dim!r}`")
    return pair[0], pair[1]


def checked_spec(spec: Any) -> type[BaseModel] | None:
    """Return the model whose fields are the arguments."""
    if spec is not None and not (isinstance(spec, type) and issubclass(spec, BaseModel)):
        raise TypeError(f"input_spec is a pydantic model class, not `{spec!r}`")
    return spec


def _is_integer(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
