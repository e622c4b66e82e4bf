from __future__ import annotations

import json

import pytest
from tests.cli.commands import Command, command

from bentoml.builder.json_schema import bentofile_schema, pyproject_schema


@pytest.fixture
def bentoml(capsys: pytest.CaptureFixture[str]) -> Command:
    return command(capsys)


def test_schema_prints_what_editors_read(bentoml: Command) -> None:
    assert json.loads(bentoml("schema").out) == bentofile_schema()
    assert json.loads(bentoml("schema", "--pyproject").out) == pyproject_schema()
