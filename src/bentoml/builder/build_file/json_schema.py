"""The JSON Schema of a build file, which the parser itself yields: it reads an empty file and each key that it asks for is noted."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

from ..docker.cuda import CUDA_VERSIONS
from .config import read_build
from .config_docker import PYTHON_VERSION
from .fields import CONTROL, Fields

__all__ = ["DESCRIPTIONS", "bentofile_schema", "pyproject_schema"]

Schema = dict[str, Any]

_DRAFT = "http://json-schema.org/draft-07/schema#"  # the one that editors know best
_END = r"(?![\s\S])"  # what `$` means to ECMAScript, and not to Python
_TEXT = rf"(?![\s\S]*{CONTROL.pattern})"
_SCALAR: Schema = {"type": ["string", "number"], "pattern": f"^{_TEXT}"}
_PAIRS: Schema = {
    "type": "object",
    "propertyNames": {"pattern": f"^(?!-){_TEXT}"},
    "additionalProperties": _SCALAR,
}

DESCRIPTIONS = {
    "service": "The service: `module:Class` or `file.py:Class`. Default: the service in `service.py`.",
    "name": "The bento's name. Default: the service's name in snake case.",
    "description": "The README of the bento, as text or as `file: PATH`. Default: the project's README.md.",
    "labels": "Labels for people and programs; those that the service declares are added.",
    "include": "Files of the project that belong to the bento, as in `.gitignore`. Default: all.",
    "exclude": "Files taken away from `include`, as in `.gitignore`.",
    "models": "Models of the store that no class attribute of a service names.",
    "models.tag": "A tag of the model store, or an alias: `iris:latest`, `iris@prod`.",
    "models.filter": "Take the newest that fits: `label:KEY`, `label:KEY=VALUE`, `metadata:KEY` or `metadata:KEY=VALUE`.",
    "models.alias": "Another name by which `bentoml.models.get` finds the model in the bento.",
    "envs": "Environment variables of the services.",
    "envs.name": "The name of the variable.",
    "envs.value": "Its value; none for a secret of the image build.",
    "envs.stage": "`all` (default), `runtime`, or `build`: a secret that only the image build sees.",
    "args": "Arguments of the service, for `bentoml.use_arguments`.",
    "python": "What Python packages are installed, and where they come from.",
    "python.packages": "Requirements, as pip writes them.",
    "python.requirements_txt": "A requirements file of the project.",
    "python.lock_file": "The `uv.lock` or `pylock.toml` of the project, whose pins are taken.",
    "python.lock_packages": "Lock the requirements with their hashes in bentofile.lock. Default: true.",
    "python.resolver": "What finds the versions: `uv` (default), or `pip-tools`.",
    "python.pack_git_packages": "Pack requirements from git as wheels into the bento. Default: true.",
    "python.wheels": "Wheels of the project that are installed, by their paths.",
    "python.pip_args": "Options of pip.",
    "python.index_url": "The package index. Default: what pip's configuration says.",
    "python.extra_index_url": "More indexes; the first one that knows a package decides.",
    "python.find_links": "Folders of the project, or pages, that hold wheels.",
    "python.trusted_host": "Hosts that may be asked without a valid certificate.",
    "python.no_index": "Use no index, only `find_links`. Default: false.",
    "python.is_src_layout": "Copy what lies in `src/` as if it lay beside it. Default: false; true for a pyproject.toml with a folder `src`.",
    "docker": "What lies under the Python packages in the image.",
    "docker.base_image": "The image to build upon. Default: that of `distro`.",
    "docker.distro": "The distribution of the image. Default: debian.",
    "docker.python_version": "3.11 or later, in quotes. Default: the version that runs `bentoml build`.",
    "docker.cuda_version": "The CUDA of the base image; the wheels of torch and others bring their own. Default: none.",
    "docker.system_packages": "Packages of the distribution.",
    "docker.env": "Environment variables of the image: a mapping, a list of NAME=value, or the path of a file of such lines.",
    "docker.setup_script": "A script of the project that is run in the image, as root, before packages are installed.",
    "docker.dockerfile_template": "A Jinja2 template of the project that extends the Dockerfile of the bento.",
    "docker.compile": "Have the bytecode of Python and its packages in the image, so that a container starts sooner. Default: false.",
    "conda": "Packages that conda installs; such an image has to be built with an engine.",
    "conda.environment_yml": "An environment.yml of the project, instead of the other keys.",
    "conda.channels": "Where the packages come from. Default: conda-forge.",
    "conda.dependencies": "Packages, as `numpy=2`; one entry may be `{pip: [...]}`.",
    "conda.pip": "Requirements that pip installs into conda's environment.",
}


def bentofile_schema() -> Schema:
    """Return the schema of `bentofile.yaml`."""
    return {"$schema": _DRAFT, "title": "bentofile.yaml", **_build_schema()}


def pyproject_schema() -> Schema:
    """Return the schema of a `pyproject.toml`, which says nothing of any table but `[tool.bentoml.build]`."""
    schema = {**_build_schema(), "description": "What `bentoml build` reads."}
    for key in ("build", "bentoml", "tool"):
        schema = {"type": "object", "properties": {key: schema}}
    return {"$schema": _DRAFT, "title": "pyproject.toml", **schema}


def _build_schema() -> Schema:
    recorder = _Recorder("")
    read_build(recorder)
    return recorder.schema()


class _Recorder(Fields):
    """Be an empty mapping to the parser, and note what it asks for."""

    def __init__(self, path: str) -> None:
        super().__init__({}, path, [])
        self.known: list[str] = []
        self.required: list[str] = []
        self.properties: dict[str, Schema] = {}
        self.inner: dict[str, tuple[_Recorder, Schema]] = {}

    def schema(self) -> Schema:
        """Return the schema of the mapping; a key that was only looked at has the one of `_looked_at`."""
        known: Schema = {}
        for key in self.known:
            name = self._name(key)
            given = _looked_at(name) or self._given(key)
            known[key] = {**given, "description": DESCRIPTIONS[name]}
        required = {"required": self.required} if self.required else {}
        return {"type": "object", "properties": known, "additionalProperties": False, **required}

    def _given(self, key: str) -> Schema:
        if key not in self.inner:
            return self.properties[key]
        recorder, item = self.inner[key]
        return _list_of(_either(item, recorder.schema())) if item else _or_null(recorder.schema())

    def check_keys(self, known: Iterable[str]) -> None:
        self.known = list(known)

    def section(self, key: str) -> Fields:
        recorder = _Recorder(self._name(key))
        self.inner[key] = (recorder, {})
        return recorder

    def sections(self, key: str, text_as: str = "") -> list[Fields]:
        recorder = _Recorder(self._name(key))
        self.inner[key] = (recorder, _text(None) if text_as else {"type": "object"})
        return [recorder]

    def text(
        self, key: str, pattern: re.Pattern[str] | None = None, rule: str = "", *, required: bool = False
    ) -> str:
        self.properties[key] = _text(pattern, rule) if required else _or_null(_text(pattern, rule))
        if not required:
            return ""
        self.required.append(key)
        return "x"  # so that what is read only where this is given is asked for, too

    def texts(self, key: str, pattern: re.Pattern[str] | None = None, rule: str = "") -> tuple[str, ...]:
        self.properties[key] = _list_of(_text(pattern, rule))
        return ()

    def pairs(self, key: str) -> dict[str, str]:
        self.properties[key] = _or_null(_PAIRS)
        return {}

    def plain(self, key: str) -> str:
        self.properties[key] = _or_null(_SCALAR)
        return ""

    def choice(self, key: str, choices: Sequence[str], default: str) -> str:
        self.properties[key] = {"enum": list(choices), "default": default}
        return default

    def flag(self, key: str, default: bool) -> bool:
        self.properties[key] = {"type": ["boolean", "null"], "default": default}
        return default


def _looked_at(name: str) -> Schema | None:
    """Return the schema of a value that the parser does not read by its type alone."""
    match name:
        case "description" | "conda.environment_yml":
            return {"type": ["string", "null"]}
        case "args":
            return {"type": ["object", "null"]}
        case "docker.env":
            lines = {"type": "array", "items": {"type": "string", "pattern": "^[^=]+="}}
            return {"anyOf": [_PAIRS, lines, {"type": ["string", "null"]}]}
        case "docker.cuda_version":
            return _numbers_or(list(CUDA_VERSIONS))
        case "docker.python_version":
            return {"type": ["string", "number", "null"], "pattern": rf"^(?:{PYTHON_VERSION.pattern}){_END}"}
        case "conda.dependencies":
            pip = {
                "type": "object",
                "properties": {"pip": _list_of(_text(None))},
                "additionalProperties": False,
            }
            return _list_of(_either(_text(None), pip))
    return None


def _text(pattern: re.Pattern[str] | None, rule: str = "") -> Schema:
    shape = (
        "" if pattern is None else f"(?:{pattern.pattern}){_END}".replace(r"\"", '"')
    )  # no escape to ECMAScript
    said = {"patternErrorMessage": f"{rule[0].upper()}{rule[1:]}."} if rule else {}  # read by VS Code
    return {"type": "string", "pattern": f"^(?!-){_TEXT}{shape}", **said}


def _list_of(item: Schema) -> Schema:
    """A list, or one of its items where that is a text, or nothing."""
    text = [one for one in item.get("anyOf", [item]) if one.get("type") == "string"]
    return {"anyOf": [{"type": "array", "items": item}, *text, {"type": "null"}]}


def _either(one: Schema, other: Schema) -> Schema:
    return {"anyOf": [one, other]} if one["type"] == "string" else other


def _or_null(schema: Schema) -> Schema:
    kinds = [schema["type"]] if isinstance(schema["type"], str) else schema["type"]
    return {**schema, "type": [*kinds, "null"]}


def _numbers_or(texts: list[str]) -> Schema:
    """One of a few texts, or such a one as YAML reads it without quotes."""
    numbers = [float(text) for text in texts if re.fullmatch(r"\d+(\.\d+)?", text)]
    return {"enum": [*texts, *(int(n) if n.is_integer() else n for n in numbers), None]}
