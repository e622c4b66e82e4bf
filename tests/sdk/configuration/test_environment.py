"""The variables that services declare."""

from __future__ import annotations

from typing import Any

import pytest

import bentoml
from bentoml.sdk.configuration.environment import MissingVariables, declared_variables


@bentoml.service(envs=[{"name": "SHARED", "value": "theirs"}, {"name": "THEIRS", "value": "3"}])
class Other:
    pass


@bentoml.service(
    envs=[
        {"name": "MINE", "value": "1"},
        {"name": "SHARED", "value": "ours"},
        {"name": "TOKEN"},
        {"name": "RUN_TOKEN", "stage": "runtime"},
        {"name": "BUILD_TOKEN", "stage": "build"},
        {"name": "THEIRS"},
    ]
)
class Entry:
    other = bentoml.depends(Other)


ENTRY: Any = Entry  # type checkers do not know what a class decorator makes


def test_declared_values_fill_what_the_process_does_not_have() -> None:
    env = {"TOKEN": "t", "RUN_TOKEN": "", "MINE": "the process's"}
    assert declared_variables(ENTRY, env) == {"SHARED": "ours", "THEIRS": "3"}


def test_each_missing_one_is_named() -> None:
    with pytest.raises(MissingVariables) as caught:
        declared_variables(ENTRY, {})
    assert [line.partition(":")[0] for line in str(caught.value).splitlines()] == [
        "Environment variable `TOKEN` is required but not set",
        "Environment variable `RUN_TOKEN` is required but not set",
    ]
