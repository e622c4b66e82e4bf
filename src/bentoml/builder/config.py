"""BuildConfig: what `bentofile.yaml`, or `[tool.bentoml.build]` of `pyproject.toml`, says of a bento."""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

from ..exceptions import BentoMLConfigException, BentoMLException, InvalidArgument
from ..paths import under
from ..tag import Tag
from .documents import read_document, read_text
from .fields import Fields
from .requirements import problem_of

__all__ = [
    "BuildConfig",
    "DockerConfig",
    "EnvVar",
    "ModelSpec",
    "PythonConfig",
    "load_config",
    "parse_config",
]

logger = logging.getLogger(__name__)

Stage = Literal["all", "build", "runtime"]
Distro = Literal["debian", "alpine", "ubi8", "amazonlinux"]

# Each pattern keeps its value one word in a Dockerfile, in an argument list and in a URL; see docs/reference/bentofile.md.
_SERVICE = re.compile(r"[\w./-]+(:[\w.]+)?")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_IMAGE = re.compile(r"[A-Za-z0-9][\w./:@~+-]*", re.ASCII)
_SYSTEM_PACKAGE = re.compile(r"[A-Za-z0-9][A-Za-z0-9+.:~_=-]*")
_INDEX_URL = re.compile(r"(https?|file)://[^\s@'\"\\]+")
_FIND_LINKS = re.compile(r"https?://[^\s@'\"\\]+|(?!/|~|.*\.\.)[\w][\w./-]*|\./[\w./-]*")
_LEADING_DOT = re.compile(r"^(!?)\./+")  # `./x`, which means nothing to git, is meant as `/x`
_PYTHON = re.compile(r"3\.(1[1-9])(\.\d+)?")

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
)
_PYTHON_KEYS = (
    "packages", "requirements_txt", "lock_packages", "index_url", "extra_index_url", "find_links", "trusted_host",
    "no_index", "is_src_layout",
)  # fmt: skip
_DOCKER_KEYS = ("base_image", "distro", "python_version", "system_packages", "env")
_PLANNED_BUILD = {"conda": "list what it installs under `python.packages` and `docker.system_packages`"}
_PLANNED_PYTHON = {
    "pack_git_packages": "requirements from git are not packed; publish them to an index",
    "pip_args": "use `index_url`, `extra_index_url`, `find_links`, `trusted_host` and `no_index`",
    "wheels": "put the wheels in a folder and name it in `find_links`",
}
_PLANNED_DOCKER = {
    "cuda_version": "the CUDA wheels of torch and others bring CUDA; else name an image with CUDA in `base_image`",
    "dockerfile_template": "name an image made by your own Dockerfile in `base_image`",
    "setup_script": "name an image in which the script has run in `base_image`",
}


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """A model of the store that the bento needs; ``alias`` is another name under which its code may ask for it."""

    tag: Tag
    alias: str | None = None
    filter: str | None = None


@dataclass(frozen=True, slots=True)
class EnvVar:
    """An environment variable; one of stage ``build`` is a secret whose value is never part of a bento."""

    name: str
    value: str = ""
    stage: Stage = "all"


@dataclass(frozen=True, slots=True)
class PythonConfig:
    """What Python packages are installed, and where they come from."""

    packages: tuple[str, ...] = ()
    requirements_txt: str = ""
    lock_packages: bool = True
    index_url: str = ""
    extra_index_url: tuple[str, ...] = ()
    find_links: tuple[str, ...] = ()
    trusted_host: tuple[str, ...] = ()
    no_index: bool = False
    is_src_layout: bool = False


@dataclass(frozen=True, slots=True)
class DockerConfig:
    """What lies under the Python packages in the image; an empty ``base_image`` means the distribution's own."""

    base_image: str = ""
    distro: Distro = "debian"
    python_version: str = f"{sys.version_info.major}.{sys.version_info.minor}"
    system_packages: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)


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
    if file.suffix == ".toml":
        data = _from_pyproject(data, has_src=(folder / "src").is_dir())
    return parse_config(with_files(data, folder), source=file.name)


def with_files(data: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """Return the data with the files that it names read: ``description: "file: path"`` and ``docker.env: path``.

    Raises:
        BentoMLConfigException: a file cannot be read or lies outside the project.
    """
    data = dict(data)
    description, docker = data.get("description"), data.get("docker")
    if isinstance(description, str) and description.startswith("file:"):
        data["description"] = _read(folder, description.removeprefix("file:").strip(), "description")
    if isinstance(docker, Mapping) and isinstance(docker.get("env"), str):
        lines = (line.strip() for line in _read(folder, docker["env"], "docker.env").splitlines())
        data["docker"] = {**docker, "env": [line for line in lines if line and not line.startswith("#")]}
    return data


def parse_config(data: Mapping[str, Any], *, source: str) -> BuildConfig:
    """Check plain data and return the configuration; ``source`` is the name that mistakes are reported under.

    Raises:
        BentoMLConfigException: with every mistake.
    """
    mistakes: list[str] = []
    fields = Fields(data, "", mistakes)
    fields.check_keys(_BUILD_KEYS, _PLANNED_BUILD)
    config = BuildConfig(
        service=fields.text("service", _SERVICE, "it looks like `module:Class` or `file.py:Class`"),
        name=_name(fields),
        description=_description(fields),
        labels=fields.pairs("labels"),
        include=_patterns(fields, "include") or ("*",),
        exclude=_patterns(fields, "exclude"),
        models=_models(fields),
        envs=_envs(fields),
        args=_args(fields),
        python=_python(fields.section("python")),
        docker=_docker(fields.section("docker")),
    )
    if mistakes:
        count = f"{len(mistakes)} mistakes" if len(mistakes) > 1 else "a mistake"
        raise BentoMLConfigException(
            "\n".join([f"{source} has {count}:", *(f"  {source}: {m}" for m in mistakes)])
        )
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


def _models(fields: Fields) -> tuple[ModelSpec, ...]:
    specs = []
    for item in fields.sections("models", text_as="tag"):
        item.check_keys(("tag", "filter", "alias"))
        text = item.text("tag", required=True)
        if not text:
            continue
        try:
            specs.append(
                ModelSpec(Tag.from_str(text), item.text("alias") or None, item.text("filter") or None)
            )
        except (ValueError, BentoMLException) as e:
            item.mistake("", f"names no model: {e}")
    return tuple(specs)


def _envs(fields: Fields) -> tuple[EnvVar, ...]:
    variables = []
    for item in fields.sections("envs"):
        item.check_keys(("name", "value", "stage"))
        name = item.text(
            "name", _VARIABLE, "the name of a variable has letters, digits and `_`", required=True
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


def _python(fields: Fields) -> PythonConfig:
    fields.check_keys(_PYTHON_KEYS, _PLANNED_PYTHON)
    packages = fields.texts("packages")
    for package in packages:
        if problem := problem_of(package):
            fields.mistake("packages", f"holds {package!r}: {problem}")
    url_rule = "an index is an http(s) or file URL without a user name; keep credentials in a netrc file"
    no_index = fields.flag("no_index", False)
    if no_index and ("index_url" in fields or "extra_index_url" in fields):
        logger.warning("python.no_index is set: index_url and extra_index_url are not used")
    return PythonConfig(
        packages=packages,
        requirements_txt=fields.text("requirements_txt"),
        lock_packages=fields.flag("lock_packages", True),
        index_url=fields.text("index_url", _INDEX_URL, url_rule),
        extra_index_url=fields.texts("extra_index_url", _INDEX_URL, url_rule),
        find_links=fields.texts(
            "find_links",
            _FIND_LINKS,
            "it is a folder of the project, relative to it, or a URL without a user name",
        ),
        trusted_host=fields.texts(
            "trusted_host", re.compile(r"[A-Za-z0-9.:_-]+"), "it is a host, or host:port"
        ),
        no_index=no_index,
        is_src_layout=fields.flag("is_src_layout", False),
    )


def _docker(fields: Fields) -> DockerConfig:
    fields.check_keys(_DOCKER_KEYS, _PLANNED_DOCKER)
    default = DockerConfig()
    return DockerConfig(
        base_image=fields.text(
            "base_image", _IMAGE, "it looks like `registry/repository:tag`, without spaces"
        ),
        distro=fields.choice("distro", get_args(Distro), "debian"),  # type: ignore[arg-type]  # one of Distro
        python_version=_python_version(fields) or default.python_version,
        system_packages=fields.texts("system_packages", _SYSTEM_PACKAGE, "it is no name of a package"),
        env=_docker_env(fields),
    )


def _python_version(fields: Fields) -> str:
    value = fields.plain("python_version")
    match = _PYTHON.fullmatch(value)
    if value and match is None:
        rule = "the runtime needs 3.11 or later" + (
            "; write it in quotes, as '3.10' is not 3.1" if value == "3.1" else ""
        )
        fields.mistake("python_version", f"is {value!r}; {rule}")
    if match and match[2]:
        logger.warning(
            "docker.python_version %s: the patch level is the base image's; using 3.%s", value, match[1]
        )
    return f"3.{match[1]}" if match else ""


def _docker_env(fields: Fields) -> dict[str, str]:
    if isinstance(fields.raw("env"), list):
        lines = fields.texts("env", re.compile(r"[^=]+=.*"), "it looks like `NAME=value`")
        variables = dict(line.partition("=")[::2] for line in lines)
    else:
        variables = fields.pairs("env")
    for name in variables:
        if not _VARIABLE.fullmatch(name):
            fields.mistake("env", f"holds {name!r}; the name of a variable has letters, digits and `_`")
    return variables
