"""BuildConfig: what `bentofile.yaml`, or `[tool.bentoml.build]` of `pyproject.toml`, says of a bento."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Mapping
from datetime import date
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypeVar, get_args

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

T = TypeVar("T")

Stage = Literal["all", "build", "runtime"]

_NO_TEXT = re.compile(r"[\x00\ud800-\udfff]")  # halves of a pair are no characters

# Each pattern keeps its value one word in a Dockerfile, in an argument list and in a URL; see docs/reference/bentofile.md.
_SERVICE = re.compile(r"([\w-]+(\.[\w-]+)*|[\w.-]*/[\w./-]*)(:\w+(\.\w+)*)?")
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


class EnvVar(NamedTuple):
    """An environment variable; one of stage ``build`` is a secret whose value is never part of a bento."""

    name: str
    value: str = ""
    stage: Stage = "all"


class BuildConfig(NamedTuple):
    """Everything that a build file can say; ``name`` empty means the service's own name."""

    service: str = ""
    name: str = ""
    description: str = ""
    labels: Mapping[str, str] = {}
    include: tuple[str, ...] = ("*",)
    exclude: tuple[str, ...] = ()
    models: tuple[ModelSpec, ...] = ()
    envs: tuple[EnvVar, ...] = ()
    args: Mapping[str, Any] = {}
    python: PythonConfig = PythonConfig()
    docker: DockerConfig = DockerConfig()
    conda: CondaConfig = CondaConfig()


def load_config(folder: Path, file: Path | None = None) -> BuildConfig:
    """Read the build file of a project: ``file``, else its ``bentofile.yaml``, else its ``pyproject.toml``, else defaults.

    Raises:
        BentoMLConfigException: the file is missing or wrong; the message names each mistake.
    """
    if file is None:
        places = (folder / "bentofile.yaml", folder / "pyproject.toml")
        file = next((place for place in places if place.exists() or place.is_symlink()), None)
    if file is None:
        return BuildConfig()
    data = read_document(file)
    if file.suffix != ".toml":
        return parse_config(data, source=file.name, folder=folder)
    data = _from_pyproject(data, has_src=(folder / "src").is_dir())
    config = parse_config(data, source=file.name, folder=folder)
    return config._replace(python=config.python._replace(is_pyproject=True))


def _with_files(data: Mapping[str, Any], folder: Path, mistakes: list[str]) -> dict[str, Any]:
    """Return the data with the files that it names read: ``description: "file: path"``, ``docker.env: path`` and
    ``conda.environment_yml``; one that cannot be read, or lies outside the project, is a mistake."""
    data = dict(data)
    description, docker, conda = (data.get(key) for key in ("description", "docker", "conda"))
    root = Fields({}, "", mistakes)
    if isinstance(description, str) and description.startswith("file:"):
        place = description.removeprefix("file:").strip()
        data["description"] = _read(root, "description", lambda: read_text(under(folder, place)))
    if isinstance(docker, Mapping) and isinstance(env := docker.get("env"), str):
        lines = _read(root, "docker.env", lambda: read_dotenv(read_text(under(folder, env))))
        data["docker"] = {**docker, "env": lines}
    if isinstance(conda, Mapping) and isinstance(conda.get("environment_yml"), str):
        data["conda"] = _read(root, "conda.environment_yml", lambda: _conda_environment(folder, conda))
    return data


def _read(fields: Fields, key: str, read: Callable[[], T]) -> T | None:
    try:
        return read()
    except (BentoMLConfigException, InvalidArgument) as e:
        fields.mistake(key, f"names a file that cannot be used: {e}")
        return None


def _conda_environment(folder: Path, conda: Mapping[str, Any]) -> dict[str, Any]:
    """Return what an `environment.yml` says, but for what is true of the machine alone that it was written on."""
    name = str(conda["environment_yml"])
    environment = read_document(under(folder, name))
    if others := sorted(key for key in conda if key != "environment_yml" and conda[key]):
        logger.warning(
            "conda.%s is not used, as conda.environment_yml names `%s`", ", conda.".join(others), name
        )
    return {key: value for key, value in environment.items() if key not in ("name", "prefix")}


def parse_config(data: Mapping[str, Any], *, source: str, folder: Path | None = None) -> BuildConfig:
    """Check plain data and return the configuration; ``source`` is the name that mistakes are reported under.

    The files that it may name (a description, variables, an `environment.yml`) are read from the project's ``folder``.

    Raises:
        BentoMLConfigException: with every mistake.
    """
    mistakes: list[str] = []
    if folder is not None:
        data = _with_files(data, folder, mistakes)
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
    dependencies = project.get("dependencies", [])
    if not isinstance(dependencies, list) or not all(isinstance(line, str) for line in dependencies):
        raise BentoMLConfigException(
            "pyproject.toml: `project.dependencies` has to be a list of requirements"
        )
    if isinstance(python, Mapping):
        packages = python.get("packages", [])
        packages = [packages] if isinstance(packages, str) else packages
        if isinstance(packages, list):
            python = {**python, "packages": [*packages, *dependencies]}
        build["python"] = {"is_src_layout": has_src, **python}
    return build


def _table(data: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = data.get(key, {})
    if not isinstance(value, Mapping):
        raise BentoMLConfigException(f"pyproject.toml: `{key}` has to be a table")
    return value


def _name(fields: Fields) -> str:
    name = fields.plain("name")
    try:
        return Tag(name).name if name else ""
    except ValueError as e:
        fields.mistake("name", f"is not a name for a bento: {e}")
        return ""


def _description(fields: Fields) -> str:
    value = fields.raw("description")
    if value is None or (isinstance(value, str) and not _NO_TEXT.search(value)):
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
    if value is not None and not (isinstance(value, Mapping) and all(isinstance(key, str) for key in value)):
        fields.mistake("args", "has to be a mapping of names to values")
        return {}
    for name, item in (value or {}).items():
        if (wrong := _no_data(item)) is not None:
            fields.mistake(
                f"args.{name}", f"holds a value of type `{type(wrong).__name__}`, which a bento cannot record"
            )
    return dict(value or {})


def _no_data(value: object) -> object | None:
    """Return the first value in a value that is more than text, numbers, dates, lists and mappings of them."""
    match value:
        case None | str() | bytes() | bool() | int() | float() | date():
            return None
        case list() | tuple():
            return next((wrong for item in value if (wrong := _no_data(item)) is not None), None)
        case dict():
            return next(
                (wrong for pair in value.items() if (wrong := _no_data(list(pair))) is not None), None
            )
    return value
