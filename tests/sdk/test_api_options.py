"""The options of an API: each wrong one is named when the method is decorated."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from pydantic import BaseModel

import bentoml
from bentoml.sdk.method import APIMethod


class Fields(BaseModel):
    n: int


def method(self: object, n: int = 1) -> int:
    return n


@pytest.mark.parametrize("decorator", [bentoml.api, bentoml.task], ids=["api", "task"])
@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        pytest.param({"route": 3}, ValueError, "leading slash, not `3`", id="number for a route"),
        pytest.param({"route": "/a?b"}, ValueError, "without `?` and `#`, not `'/a?b'`", id="query in a route"),
        pytest.param({"route": "/a\n"}, ValueError, "route is a path", id="line break in a route"),
        pytest.param({"name": 3}, ValueError, "the name of an API is a text", id="number for a name"),
        pytest.param({"name": "a b"}, ValueError, "not `'a b'`", id="space in a name"),
        pytest.param({"name": "a/b"}, ValueError, "not `'a/b'`", id="slash in a name"),
        pytest.param({"input_spec": 3}, TypeError, "a pydantic model class, not `3`", id="number for a spec"),
        pytest.param({"input_spec": int}, TypeError, "not `<class 'int'>`", id="other class for a spec"),
        pytest.param({"batchable": "yes"}, ValueError, "batchable is True or False, not `'yes'`", id="flag"),
        pytest.param({"url_inputs": 1}, ValueError, "url_inputs is True or False, not `1`", id="number for a flag"),
        pytest.param({"batch_dim": "0"}, ValueError, "not `'0'`", id="text for a dimension"),
        pytest.param({"batch_dim": (0, 1, 2)}, ValueError, "a pair of them", id="three dimensions"),
        pytest.param({"batch_dim": (0, 1.5)}, ValueError, "a pair of them", id="half a dimension"),
        pytest.param({"max_batch_size": 1}, ValueError, "greater than 1, not `1`", id="batch of one"),
        pytest.param({"max_batch_size": "8"}, ValueError, "greater than 1, not `'8'`", id="text for a size"),
        pytest.param({"max_latency_ms": 0}, ValueError, "a number above 0, not `0`", id="no time"),
        pytest.param({"max_latency_ms": "1s"}, ValueError, "not `'1s'`", id="text for a time"),
        pytest.param({"rout": "/x"}, TypeError, "has no option `rout`; did you mean `route`?", id="typing error"),
        pytest.param({"methods": ["GET"]}, TypeError, "there are `route`, `name`,", id="unknown"),
    ],
)  # fmt: skip
def test_a_wrong_option(
    decorator: Callable[..., Any], options: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error) as caught:
        decorator(**options)(method)
    assert message in str(caught.value)


def test_right_options() -> None:
    made = bentoml.api(route="/a b", name="other-name", input_spec=Fields, batch_dim=(0, -1))(method)
    assert (made.name, made.route, made.batch_dim) == ("other-name", "/a b", (0, -1))


@pytest.mark.parametrize(("decorator", "is_task"), [(bentoml.api, False), (bentoml.task, True)])
def test_options_beside_the_method(decorator: Callable[..., Any], is_task: bool) -> None:
    made = decorator(method, route="/elsewhere")
    assert isinstance(made, APIMethod)
    assert (made.route, made.is_task) == ("/elsewhere", is_task)


def test_a_method_without_self() -> None:
    def nobody() -> int:
        return 1

    with pytest.raises(TypeError, match=r"`test_a_method_without_self\.<locals>\.nobody` takes no `self`"):
        APIMethod(nobody)
