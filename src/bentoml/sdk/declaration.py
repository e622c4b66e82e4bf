"""Declaration: what a service says of itself beside its settings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from .configuration import checks
from .configuration.sections import key

__all__ = ["Declaration"]


@dataclass(frozen=True)
class Declaration:
    """The arguments of ``@bentoml.service`` that are neither settings nor variables."""

    name: str = key(checks.TEXT, "")
    description: str | None = key(checks.LONG_TEXT)
    path_prefix: str = key(checks.PREFIX, "")
    labels: Mapping[str, str] | None = key(checks.LABELS)
    cmd: tuple[str, ...] | None = key(checks.COMMAND)
