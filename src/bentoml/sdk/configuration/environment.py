"""Environment: the variables that the services of one process declare, where the process does not have them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ...exceptions import BentoMLConfigException
from ..service import Service

__all__ = ["MissingVariables", "declared_variables"]


class MissingVariables(BentoMLConfigException):
    """A service needs environment variables that nobody has set; the message names each."""


def declared_variables(service: Service[Any], env: Mapping[str, str]) -> dict[str, str]:
    """Return the variables to set before a service and what it depends on run; those of the process stay as they are.

    Raises:
        MissingVariables: one is declared without a value, and the process has none either.
    """
    values: dict[str, str] = {}
    needed: dict[str, str] = {}
    for by, variable in _declarations(service):
        name, value = str(variable["name"]), variable.get("value")
        if variable.get("stage") == "build" or name in env:
            continue
        if value:
            values.setdefault(name, str(value))
        else:
            needed.setdefault(name, by)
    if missing := {name: by for name, by in needed.items() if name not in values}:
        raise MissingVariables(
            "\n".join(
                f"Environment variable `{name}` is required but not set: service `{by}` declares it without a value; "
                "set it where the server starts, or give it a value in `envs`"
                for name, by in missing.items()
            )
        )
    return values


def _declarations(service: Service[Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield each declaration with the service that makes it; a bento holds those of its build file as well."""
    if service.bento is not None:
        yield from ((service.name, variable) for variable in service.bento.info.envs)
    for one in service.all_services().values():
        yield from ((one.name, variable) for variable in one.envs)
