"""The typed example runs as it is; `mypy --strict` reads it with the rest of the tests."""

from __future__ import annotations

import asyncio
from typing import Any

from tests.sdk.services import of
from tests.typing import example_service


def test_the_typed_example_runs() -> None:
    main: Any = example_service.main
    assert asyncio.run(main.both("x")) == ["x", "x", "X"]
    assert of(example_service.Main).apis["with_spec"].input.from_json(b'{"text": "x"}') == {
        "text": "x",
        "times": 1,
    }
