"""The `conda` section of a build file: packages that conda installs, below those of Python's own indexes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from ..packages.requirements import problem_of
from ..packages.sources import parse_source
from .fields import Fields

__all__ = ["CONDA_KEYS", "CondaConfig", "read_conda"]

_CHANNEL = re.compile(r"[A-Za-z0-9][\w./-]*|https?://[^\s@'\"\\]+", re.ASCII)
_DEPENDENCY = re.compile(r"[A-Za-z0-9][\w./:\[\]<>=!~*,|+ '\"-]*", re.ASCII)
_RULE = "it looks like `numpy`, `numpy=2` or `channel::numpy>=2`"

CONDA_KEYS = ("environment_yml", "channels", "dependencies", "pip")


class CondaConfig(NamedTuple):
    """What conda installs; ``environment_yml`` is the path of a file that says it, whose content `parse_config` puts here."""

    channels: tuple[str, ...] = ()
    dependencies: tuple[str, ...] = ()
    pip: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.dependencies or self.pip)

    def environment(self) -> dict[str, Any]:
        """Return the content of conda's `environment.yml`."""
        pip = [{"pip": list(self.pip)}] if self.pip else []
        return {
            "channels": list(self.channels or ("conda-forge",)),
            "dependencies": [*self.dependencies, *pip],
        }


def read_conda(fields: Fields) -> CondaConfig:
    """Read the section; what is wrong is noted there."""
    fields.check_keys(CONDA_KEYS)
    if "environment_yml" in fields:
        fields.mistake("environment_yml", "has to be the path of a file of the project")
    dependencies, nested = _dependencies(fields)
    pip = fields.texts("pip")
    if nested and pip:
        fields.mistake("pip", "stands beside a `pip` in `dependencies`; put all of it into one of them")
    for line in (*pip, *nested):
        if problem := _pip_problem(line):
            fields.mistake("pip", f"holds {line!r}: {problem}")
    return CondaConfig(
        channels=fields.texts(
            "channels", _CHANNEL, "it is the name or the URL of a channel, without a user name"
        ),
        dependencies=dependencies,
        pip=pip or nested,
    )


def _dependencies(fields: Fields) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return conda's own packages, and those of pip that stand between them as ``{pip: [...]}``."""
    listed = fields.raw("dependencies")
    if not isinstance(listed, list | tuple):
        return fields.texts("dependencies", _DEPENDENCY, _RULE), ()
    own = [item for item in listed if not isinstance(item, Mapping)]
    pip: list[str] = []
    for item in (item for item in listed if isinstance(item, Mapping)):
        inner = Fields(item, f"{fields.path}.dependencies", fields.mistakes)
        inner.check_keys(("pip",))
        pip.extend(inner.texts("pip"))
    plain = Fields({"dependencies": own}, fields.path, fields.mistakes)
    return plain.texts("dependencies", _DEPENDENCY, _RULE), tuple(pip)


def _pip_problem(line: str) -> str | None:
    if line.startswith("-"):
        return "an option is no requirement"
    if parse_source(line):
        return "code is packed into the bento where it stands under `python.packages`"
    return problem_of(line)
