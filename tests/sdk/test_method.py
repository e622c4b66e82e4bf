"""Endpoints: their names, routes and options, and what a direct call does."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

import pytest

import bentoml
from bentoml.sdk.context import request_context
from bentoml.sdk.method import APIMethod


class Plain:
    @bentoml.api
    def summarize(self, text: str, n: int = bentoml.Field(default=3, ge=2)) -> str:
        """Make it short.

        In two parts.
        """
        return text[:n]

    @bentoml.api(
        route="/custom/url", name="other", batchable=True, batch_dim=1, max_batch_size=10, max_latency_ms=5
    )
    async def named(self, items: list[int]) -> list[int]:
        return items

    @bentoml.api
    async def stream(self) -> AsyncGenerator[str, None]:
        yield "a"

    @bentoml.api
    def steps(self):  # type: ignore[no-untyped-def]  # a generator without an annotation
        yield 1

    @bentoml.api
    async def passed_on(self) -> AsyncGenerator[str, None]:
        return self.stream()

    @bentoml.api
    def with_context(self, ctx, text: str) -> str:  # type: ignore[no-untyped-def]  # the unannotated form
        return f"{ctx.state['who']} {text}"

    @bentoml.api
    def annotated_context(self, text: str, *, request: bentoml.Context) -> str:
        return f"{request.state['who']} {text}"

    @bentoml.api
    def data_context(self, ctx: int, context: str = "x") -> int:
        return ctx


def test_defaults() -> None:
    method = Plain.summarize
    assert (method.name, method.route, method.doc) == (
        "summarize",
        "/summarize",
        "Make it short.\n\nIn two parts.",
    )
    assert (method.is_async, method.is_stream, method.is_task, method.batchable) == (
        False,
        False,
        False,
        False,
    )
    assert (method.batch_dim, method.max_batch_size, method.max_latency_ms) == ((0, 0), 100, 60000)


def test_options() -> None:
    method = Plain.named
    assert (method.name, method.route, method.is_async) == ("other", "/custom/url", True)
    assert (method.batchable, method.batch_dim, method.max_batch_size) == (True, (1, 1), 10)


def test_streams() -> None:
    assert (Plain.stream.is_stream, Plain.stream.is_async) == (True, True)
    assert (Plain.steps.is_stream, Plain.steps.is_async) == (True, False)
    assert (Plain.passed_on.is_stream, Plain.passed_on.is_async) == (True, True)


def test_a_direct_call_is_the_method_itself() -> None:
    plain = Plain()
    assert plain.summarize("abcdef") == "abc"  # the default in `Field`, which checks requests only
    assert plain.summarize("abcdef", n=1) == "a"
    assert asyncio.run(plain.named([1])) == [1]


def test_the_bound_holds_for_requests_though_a_direct_call_ignores_it() -> None:
    properties = Plain.summarize.input.schema()["properties"]
    assert properties["n"] == {"default": 3, "minimum": 2, "title": "N", "type": "integer"}


@pytest.mark.parametrize(
    ("name", "parameter", "fields"),
    [
        pytest.param("with_context", "ctx", ["text"], id="by name"),
        pytest.param("annotated_context", "request", ["text"], id="by annotation"),
        pytest.param("data_context", None, ["ctx", "context"], id="data of that name"),
    ],
)
def test_the_context_parameter(name: str, parameter: str | None, fields: list[str]) -> None:
    method: APIMethod[..., Any] = getattr(Plain, name)
    assert method.ctx_param == parameter
    assert list(method.input.schema()["properties"]) == fields


def test_a_direct_call_gets_the_context_of_its_request() -> None:
    context = bentoml.Context(lambda: pytest.fail("nobody asked for the request"), state={"who": "me"})
    token = request_context.set(context)
    try:
        plain: Any = Plain()
        assert plain.with_context("x") == plain.with_context(text="x") == "me x"
        assert plain.annotated_context("x") == "me x"
        given = bentoml.Context(lambda: pytest.fail("nor here"), state={"who": "you"})
        assert plain.with_context(given, "x") == plain.annotated_context("x", request=given).replace("x", "x")
        assert plain.with_context(given, "x") == "you x"
    finally:
        request_context.reset(token)


def test_a_direct_call_outside_a_request_gets_a_fresh_context() -> None:
    class Reads:
        @bentoml.api
        def read(self, ctx: bentoml.Context) -> list[str]:
            return [ctx.request.method, *ctx.request.headers]

    reads: Any = Reads()
    assert reads.read() == ["POST"]


def test_a_wrong_direct_call_is_an_error() -> None:
    plain: Any = Plain()
    with pytest.raises(TypeError, match="missing 1 required positional argument: 'text'"):
        plain.summarize()
    with pytest.raises(TypeError, match="unexpected keyword argument 'unknown'"):
        plain.summarize("x", unknown=1)


def test_undeclared_keywords_of_another_service_are_dropped() -> None:
    call = Plain.summarize.tolerant(Plain())
    assert call("abc", max_length=1, n=2) == "ab"
    with pytest.raises(TypeError, match="missing 1 required positional argument: 'text'"):
        call(max_length=1)
    with pytest.raises(TypeError, match="takes"):
        call(1, 2, 3)


def test_a_method_that_takes_every_keyword_gets_them() -> None:
    class Any_:
        @bentoml.api
        def take(self, **kwargs: int) -> dict[str, int]:
            return kwargs

    assert Any_.take.tolerant(Any_())(a=1) == {"a": 1}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        pytest.param({"route": "x"}, "route must start with a leading slash", id="route"),
        pytest.param({"max_batch_size": 1}, "max_batch_size must be greater than 1", id="batch"),
    ],
)
def test_options_that_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        bentoml.api(**options)(lambda self: None)


def test_a_reserved_name_is_refused() -> None:
    def __hidden(self: object) -> None: ...

    with pytest.raises(ValueError, match="API methods cannot start with '__'"):
        bentoml.api(__hidden)


def test_what_is_no_function_is_refused() -> None:
    with pytest.raises(TypeError, match="goes on a method"):
        bentoml.api(3)  # type: ignore[call-overload]  # the case


def test_an_output_that_cannot_be_inferred() -> None:
    class Unknown: ...

    def method(self: object) -> None: ...

    method.__annotations__["return"] = Unknown
    with pytest.raises(
        TypeError, match=r"^Unable to infer the output spec for function .*; change the annotation, or .*$"
    ):
        _ = APIMethod(method).output
