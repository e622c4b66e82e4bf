"""The typed example runs as it is; `mypy --strict` reads it with the rest of the tests."""

from __future__ import annotations

import asyncio
from typing import Any

from tests.sdk.services import of
from tests.typing import example_service, example_types


def test_the_typed_example_runs() -> None:
    main: Any = example_service.main
    assert asyncio.run(main.both("x")) == ["x", "x", "X"]
    assert of(example_service.Main).apis["with_spec"].input.from_json(b'{"text": "x"}') == {
        "text": "x",
        "times": 1,
    }


def test_each_type_is_one_of_an_api() -> None:
    service = of(example_types.Everything)
    routes = {route["name"]: route for route in service.schema()["routes"]}
    assert len(routes) == 16
    assert routes["arrays"]["input"]["properties"]["b"]["dtype"] == "int64"
    assert routes["table"]["input"]["properties"]["rows"]["columns"] == ["a"]
    assert routes["report"]["input"]["properties"]["measured"]["properties"]["array"]["type"] == "tensor"
    assert routes["report"]["output"]["properties"]["file"] == {
        "type": "file",
        "format": "binary",
        "title": "File",
    }
    assert routes["pictures"]["output"]["items"]["pil"] is True
    assert service.apis["specified"].input.files == {"picture"}
    assert service.apis["steps"].output.media_type == "application/jsonl"
