"""BuildConfig: what `bentofile.yaml`, or `[tool.bentoml.build]` of `pyproject.toml`, says of a bento."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, get_args

from ...exceptions import BentoMLConfigException, InvalidArgument
from ...paths import under
from ...tag import Tag
from ..contents.model_specs import ModelSpec, read_models
from .config_conda import CondaConfig, read_conda
from .config_docker import VARIABLE, DockerConfig, read_docker
from .config_python import PythonConfig, read_python
from .documents import read_document, read_text
from .dotenv import read_dotenv
from .fields import Fields

__all__ = [
    "BuildConfig",
    "CondaConfig",
    "DockerConfig",
    "EnvVar",
    "ModelSpec",
    "PythonConfig",
    "load_config",
    "parse_config",
    "read_build",
]

logger = logging.getLogger(__name__)

Stage = Literal["all", "build", "runtime"]

# Each pattern keeps its value one word in a Dockerfile, in an argument list and in a URL; see docs/reference/bentofile.md.
_SERVICE = re.compile(r"[\w./-]+(:[\w.]+)?")
_LEADING_DOT = re.compile(r"^(!?)\./+")  # `./x`, which means nothing to git, is meant as `/x`

_SHOWN = 50  # mistakes

_BUILD_KEYS = (
    "service",
    "name",
    "description",
    "labels",
    "include",
    "exclude",
    "models",
    "envs",
    "args",
    "python",
    "docker",
    "conda",
)


@dataclass(frozen=True, slots=True)
class EnvVar:
    """An environment variable; one of stage ``build`` is a secret whose value is never part of a bento."""

    name: str
    value: str = ""
    stage: Stage = "all"


@dataclass(frozen=True, slots=True)
class BuildConfig:
    """Everything that a build file can say; ``name`` empty means the service's own name."""

    service: str = ""
    name: str = ""
    description: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    include: tuple[str, ...] = ("*",)
    exclude: tuple[str, ...] = ()
    models: tuple[ModelSpec, ...] = ()
    envs: tuple[EnvVar, ...] = ()
    args: Mapping[str, Any] = field(default_factory=dict)
    python: PythonConfig = field(default_factory=PythonConfig)
    docker: DockerConfig = field(default_factory=DockerConfig)
    conda: CondaConfig = field(default_factory=CondaConfig)


def load_config(folder: Path, file: Path | None = None) -> BuildConfig:
    """Read the build file of a project: ``file``, else its ``bentofile.yaml``, else its ``pyproject.toml``, else defaults.

    Raises:
        BentoMLConfigException: the file is missing or wrong; the message names each mistake.
    """
    if file is None:
        found = (path for name in ("bentofile.yaml", "pyproject.toml") if (path := folder / name).is_file())
        file = next(found, None)
    if file is None:
        return BuildConfig()
    data = read_document(file)
    if file.suffix != ".toml":
        return parse_config(with_files(data, folder), source=file.name)
    data = _from_pyproject(data, has_src=(folder / "src").is_dir())
    config = parse_config(with_files(data, folder), source=file.name)
    return replace(config, python=replace(config.python, is_pyproject=True))


def with_files(data: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """Return the data with the files that it names read: ``description: "file: path"``, ``docker.env: path`` and
    ``conda.environment_yml``.

    Raises:
        BentoMLConfigException: a file cannot be read or lies outside the project.
    """
    data = dict(data)
    description, docker = data.get("description"), data.get("docker")
    if isinstance(description, str) and description.startswith("file:"):
        data["description"] = _read(folder, description.removeprefix("file:").strip(), "description")
    if isinstance(docker, Mapping) and isinstance(docker.get("env"), str):
        data["docker"] = {**docker, "env": read_dotenv(_read(folder, docker["env"], "docker.env"))}
    conda = data.get("conda")
    if isinstance(conda, Mapping) and isinstance(conda.get("environment_yml"), str):
        data["conda"] = _conda_environment(folder, conda)
    return data


def _conda_environment(folder: Path, conda: Mapping[str, Any]) -> dict[str, Any]:
    """Return what an `environment.yml` says, but for what is true of the machine alone that it was written on."""
    name = str(conda["environment_yml"])
    try:
        environment = read_document(under(folder, name))
    except InvalidArgument as e:
        raise BentoMLConfigException(f"`conda.environment_yml`: {e}") from e
    if others := sorted(key for key in conda if key != "environment_yml" and conda[key]):
        logger.warning(
            "conda.%s is not used, as conda.environment_yml names `%s`", ", conda.".join(others), name
        )
    return {key: value for key, value in environment.items() if key not in ("name", "prefix")}


def parse_config(data: Mapping[str, Any], *, source: str) -> BuildConfig:
    """Check plain data and return the configuration; ``source`` is the name that mistakes are reported under.

    Raises:
        BentoMLConfigException: with every mistake.
    """
    mistakes: list[str] = []
    config = read_build(Fields(data, "", mistakes))
    if mistakes:
        count = f"{len(mistakes)} mistakes" if len(mistakes) > 1 else "a mistake"
        lines = [f"{source} has {count}:", *(f"  {source}: {m}" for m in mistakes[:_SHOWN])]
        more = [f"  and {len(mistakes) - _SHOWN} more"] if len(mistakes) > _SHOWN else []
        raise BentoMLConfigException("\n".join([*lines, *more]))
    return config


def read_build(fields: Fields) -> BuildConfig:
    """Read a build file; what is wrong is noted there."""
    fields.check_keys(_BUILD_KEYS)
    config = BuildConfig(
        service=fields.text("service", _SERVICE, "it looks like `module:Class` or `file.py:Class`"),
        name=_name(fields),
        description=_description(fields),
        labels=fields.pairs("labels"),
        include=_patterns(fields, "include") or ("*",),
        exclude=_patterns(fields, "exclude"),
        models=read_models(fields),
        envs=_envs(fields),
        args=_args(fields),
        python=read_python(fields.section("python")),
        docker=read_docker(fields.section("docker")),
        conda=read_conda(fields.section("conda")),
    )
    if config.conda and config.docker.distro == "alpine":
        fields.mistake("conda", "needs glibc, which `docker.distro: alpine` lacks; take `debian`")
    return config


def _from_pyproject(data: Mapping[str, Any], *, has_src: bool) -> dict[str, Any]:
    """Return `[tool.bentoml.build]` with the name and the dependencies of `[project]`."""
    project = _table(data, "project")
    build = dict(_table(_table(_table(data, "tool"), "bentoml"), "build"))
    if "name" in project:
        build.setdefault("name", project["name"])
    python = build.get("python", {})
    if isinstance(python, Mapping):
        packages, dependencies = python.get("packages", []), project.get("dependencies", [])
        if isinstance(packages, list) and isinstance(dependencies, list):
            python = {**python, "packages": [*packages, *dependencies]}
        build["python"] = {"is_src_layout": has_src, **python}
    return build


def _table(data: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = data.get(key, {})
    if not isinstance(value, Mapping):
        raise BentoMLConfigException(f"pyproject.toml: `{key}` has to be a table")
    return value


def _read(folder: Path, relative: str, key: str) -> str:
    try:
        return read_text(under(folder, relative))
    except InvalidArgument as e:
        raise BentoMLConfigException(f"`{key}`: {e}") from e


def _name(fields: Fields) -> str:
    name = fields.plain("name")
    try:
        return Tag(name).name if name else ""
    except ValueError as e:
        fields.mistake("name", f"is not a name for a bento: {e}")
        return ""


def _description(fields: Fields) -> str:
    value = fields.raw("description")
    if value is None or (isinstance(value, str) and "\0" not in value):
        return value or ""
    fields.mistake("description", "has to be text, or `file: PATH`")
    return ""


def _patterns(fields: Fields, key: str) -> tuple[str, ...]:
    patterns = fields.texts(key)
    for pattern in patterns:
        if ".." in pattern.lstrip("!").split("/"):
            fields.mistake(
                key, f"holds {pattern!r}, which leaves the project; move the build file up or the files in"
            )
    return tuple(_LEADING_DOT.sub(r"\1/", pattern) for pattern in patterns)


def _envs(fields: Fields) -> tuple[EnvVar, ...]:
    variables = []
    for item in fields.sections("envs"):
        item.check_keys(("name", "value", "stage"))
        name = item.text(
            "name", VARIABLE, "the name of a variable has letters, digits and `_`", required=True
        )
        value = item.plain("value")
        stage = item.choice("stage", get_args(Stage), "all")
        if stage == "build" and value:
            item.mistake(
                "value", "would put a build secret into the bento; leave it away and set the variable instead"
            )
        variables.append(EnvVar(name, value, stage))  # type: ignore[arg-type]  # one of Stage
    return tuple(variables)


def _args(fields: Fields) -> dict[str, Any]:
    value = fields.raw("args")
    if value is None or (isinstance(value, Mapping) and all(isinstance(key, str) for key in value)):
        return dict(value or {})
    fields.mistake("args", "has to be a mapping of names to values")
    return {}
