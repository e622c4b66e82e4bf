"""Environment: the variables that the services of one process declare, where the process does not have them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..exceptions import BentoMLConfigException
from .service import Service

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
    for one in service.all_services().values():
        for variable in one.envs:
            name = variable["name"]
            if variable["stage"] == "build" or name in env:
                continue
            if variable["value"]:
                values.setdefault(name, variable["value"])
            else:
                needed.setdefault(name, one.name)
    if missing := {name: by for name, by in needed.items() if name not in values}:
        raise MissingVariables(
            "\n".join(
                f"Environment variable `{name}` is required but not set: service `{by}` declares it without a value; "
                "set it where the server starts, or give it a value in `envs`"
                for name, by in missing.items()
            )
        )
    return values
