from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped]  # has no types of its own
import pytest
import yaml

from bentoml.builder.build_file.config import parse_config
from bentoml.builder.build_file.json_schema import DESCRIPTIONS, bentofile_schema, pyproject_schema
from bentoml.exceptions import BentoMLConfigException

EXAMPLE = Path(__file__).parents[3] / "bentofile.yaml.example"
VALIDATOR = jsonschema.Draft7Validator(bentofile_schema())

GOOD: list[dict[str, Any]] = [
    {},
    {"service": "service:Iris", "name": "iris", "description": "file: A.md", "labels": {"owner": "me", "n": 1}},
    {"name": 2024, "labels": {"stage": 1.5}, "include": "*.py", "exclude": ["tests/"], "args": {"size": [3]}},
    {"models": "iris"},
    {"models": ["iris@prod", {"tag": "other", "alias": "o", "filter": "label:x"}]},
    {"envs": [{"name": "A", "value": "-1"}, {"name": "B", "value": 1}, {"name": "TOKEN", "stage": "build"}]},
    {"python": None, "docker": None, "conda": None, "envs": None, "models": None, "service": None},
    {"python": {"packages": ["numpy>=2", "torch; sys_platform == 'linux'"], "lock_packages": False}},
    {"python": {"extra_index_url": "https://wheels.example/cpu", "find_links": ["./wheels", "more"]}},
    {"python": {"resolver": "pip-tools", "pip_args": "--pre", "wheels": ["a/b-1-py3-none-any.whl"]}},
    {"docker": {"base_image": "registry.example:5000/python:3.12@sha256:" + "0" * 64, "distro": "alpine"}},
    {"docker": {"python_version": 3.12, "system_packages": ["git", "gcc=4:12.2.0-3"], "env": ["A=1", "B=x=y"]}},
    {"docker": {"cuda_version": 12.8, "env": {"A": 1}, "compile": True}},
    {"docker": {"compile": None}},
    {"docker": {"cuda_version": "12.8.1"}},
    {"conda": {"channels": "conda-forge", "dependencies": ["libgdal=3", {"pip": ["rich"]}]}},
]  # fmt: skip

BAD: list[dict[str, Any]] = [
    {"servcie": "service:Iris"},
    {"service": "a b"},
    {"service": 1},
    {"name": ["x"]},
    {"name": "a\nb"},
    {"labels": ["a"]},
    {"labels": {"a": True}},
    {"labels": {"a": None}},
    {"labels": {"-a": "1"}},
    {"include": "-x"},
    {"include": [1]},
    {"models": [{"alias": "o"}]},
    {"models": [{"tag": "iris", "tga": "x"}]},
    {"models": 3},
    {"envs": [{"value": "1"}]},
    {"envs": [{"name": "A B"}]},
    {"envs": ["A=1"]},
    {"envs": [{"name": "A", "stage": "runtme"}]},
    {"args": [1]},
    {"python": "numpy"},
    {"python": {"packages": [1]}},
    {"python": {"lock_packages": "yes"}},
    {"python": {"resolver": "poetry"}},
    {"python": {"index_url": "https://me:secret@host/simple"}},
    {"python": {"requirements_txt": "../requirements.txt"}},
    {"python": {"trusted_host": "a b"}},
    {"docker": {"distro": "windows"}},
    {"docker": {"distro": None}},
    {"docker": {"python_version": "3.10"}},
    {"docker": {"cuda_version": "9"}},
    {"docker": {"base_image": "a\nRUN evil"}},
    {"docker": {"base_image": "python:3.12\n"}},
    {"docker": {"system_packages": ["-y"]}},
    {"docker": {"env": ["A"]}},
    {"docker": {"compile": "yes"}},
    {"docker": {"compile": 1}},
    {"conda": {"dependencies": [{"pipp": ["rich"]}]}},
    {"conda": {"channel": "x"}},
]


@pytest.mark.parametrize("schema", [bentofile_schema(), pyproject_schema()])
def test_it_is_a_schema_that_editors_know(schema: dict[str, Any]) -> None:
    jsonschema.Draft7Validator.check_schema(schema)
    assert json.loads(json.dumps(schema)) == schema


@pytest.mark.parametrize("data", GOOD, ids=str)
def test_what_the_parser_reads_is_accepted(data: dict[str, Any]) -> None:
    parse_config(data, source="")
    VALIDATOR.validate(data)


@pytest.mark.parametrize("data", BAD, ids=str)
def test_what_the_parser_refuses_is_refused(data: dict[str, Any]) -> None:
    with pytest.raises(BentoMLConfigException):
        parse_config(data, source="")
    assert not VALIDATOR.is_valid(data)


def test_the_example_is_accepted_also_where_every_key_is_used() -> None:
    text = EXAMPLE.read_text("utf-8")
    VALIDATOR.validate(yaml.safe_load(text))
    everything = re.sub(r"^( *)#(?! )", r"\1", text, flags=re.MULTILINE)
    assert len(yaml.safe_load(everything)) == 12
    VALIDATOR.validate(yaml.safe_load(everything))


def test_each_key_has_a_type_and_a_description() -> None:
    keys = dict(_keys(bentofile_schema(), ""))
    assert set(keys) == set(DESCRIPTIONS)
    for name, schema in keys.items():
        assert schema["description"], name
        assert {"type", "enum", "anyOf"} & set(schema), name


def test_choices_are_listed() -> None:
    keys = dict(_keys(bentofile_schema(), ""))
    assert keys["docker.distro"]["enum"] == ["debian", "alpine", "ubi8", "amazonlinux"]
    assert keys["envs.stage"] == {
        "enum": ["all", "build", "runtime"], "default": "all", "description": DESCRIPTIONS["envs.stage"],
    }  # fmt: skip
    assert keys["python.resolver"]["enum"] == ["uv", "pip-tools"]
    assert {"default", "12.8.1", 12.8, 12} <= set(keys["docker.cuda_version"]["enum"])


def test_pyproject_has_the_same_under_its_table_and_says_nothing_of_others() -> None:
    validator = jsonschema.Draft7Validator(pyproject_schema())
    validator.validate(
        {"project": {"name": "x"}, "tool": {"ruff": {"x": 1}, "bentoml": {"build": {"service": "a:B"}}}}
    )
    assert not validator.is_valid({"tool": {"bentoml": {"build": {"servcie": "a:B"}}}})


def _keys(schema: dict[str, Any], path: str) -> Iterator[tuple[str, dict[str, Any]]]:
    for key, inner in schema["properties"].items():
        name = f"{path}.{key}".strip(".")
        yield name, inner
        either: list[dict[str, Any]] = inner.get("anyOf", [])
        items: dict[str, Any] = next((one["items"] for one in either if one.get("type") == "array"), {})
        mapping = next((one for one in items.get("anyOf", []) if one["type"] == "object"), items)
        if name != "conda.dependencies":
            yield from _keys(inner, name) if "properties" in inner else ()
            yield from _keys(mapping, name) if "properties" in mapping else ()
