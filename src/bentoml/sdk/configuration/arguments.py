"""Arguments: values from outside that the code of a service reads while it is imported."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any, TypeVar, overload

from pydantic import TypeAdapter, ValidationError

from ...exceptions import InvalidArgument
from ..context import server_context

__all__ = ["WrongArguments", "give_arguments", "importing", "plain", "use_arguments"]

logger = logging.getLogger(__name__)

T = TypeVar("T")


class WrongArguments(InvalidArgument):
    """What was given does not fit what the service takes; the message names every value that does not."""


class _Given:
    """The arguments of this process."""

    arguments: Mapping[str, Any] = {}


def give_arguments(arguments: Mapping[str, Any]) -> None:
    """Say what ``use_arguments`` returns from now on."""
    _Given.arguments = dict(arguments)


@overload
def use_arguments(model: None = None) -> SimpleNamespace: ...
@overload
def use_arguments(model: type[T]) -> T: ...
def use_arguments(model: type[T] | None = None) -> T | SimpleNamespace:
    """Return the arguments of ``--arg`` and ``--arg-file``, of the build file's ``args`` or of the bento.

    ``model`` is a pydantic model, or a dataclass or TypedDict, that says which there are: their types and defaults. A value
    of ``--arg`` is a text that is read as the type asks for. Without a model each argument is an attribute.

    Raises:
        InvalidArgument: what was given does not fit the model.
    """
    if model is None:
        return SimpleNamespace(**_Given.arguments)
    try:
        return TypeAdapter(model).validate_python(_Given.arguments)
    except ValidationError as e:
        mistakes = "".join(
            f"\n  - `{'.'.join(map(str, error['loc']))}`: {error['msg']}" for error in e.errors()
        )
        raise WrongArguments(
            f"Argument error. Please provide correct arguments via --arg option:{mistakes}"
        ) from e


def plain(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return arguments as JSON has them: what YAML knows beside that, such as dates, becomes text."""
    data: dict[str, Any] = json.loads(json.dumps(arguments, default=str))
    return data


@contextmanager
def importing() -> Iterator[None]:
    """Import what only the server has: ``with bentoml.importing(): import torch``.

    In a worker a missing library is an error as ever. Elsewhere, as where a bento is built, the name stays unknown.
    """
    try:
        yield
    except ImportError as e:
        if server_context.worker_index is not None:
            raise
        logger.info("%s; it is needed where the service is served", e)
