"""What `@bentoml.task` makes of a method."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

import bentoml


@bentoml.service
class Jobs:
    @bentoml.task
    def plain(self, n: int = bentoml.Field(2, ge=1)) -> int:
        """Double it."""
        return n * 2

    @bentoml.task(route="/other/way", batchable=True, max_batch_size=7)
    async def named(self, words: list[str], ctx: bentoml.Context) -> list[str]:
        return [word.upper() for word in words]

    @bentoml.api
    def ordinary(self) -> None:
        pass


def test_a_task_is_an_api_that_says_so() -> None:
    service: Any = Jobs
    routes = {route["name"]: route for route in service.schema()["routes"]}
    assert {name: route["is_task"] for name, route in routes.items()} == {
        "plain": True,
        "named": True,
        "ordinary": False,
    }
    assert routes["plain"]["route"] == "/plain"
    assert (
        routes["plain"]["input"]["properties"]["n"] | {"default": 2}
        == routes["plain"]["input"]["properties"]["n"]
    )
    named = service.apis["named"]
    assert (named.route, named.batchable, named.max_batch_size) == ("/other/way", True, 7)
    assert service.apis["plain"].doc == "Double it."


async def _upper(service: Any) -> list[str]:
    return list(await service.named(["a"]))


def test_in_python_a_task_is_called_like_any_method() -> None:
    service = Jobs()
    assert service.plain() == 4
    assert service.plain(5) == 10
    assert asyncio.run(_upper(service)) == ["A"]


def test_a_generator_is_refused_when_it_is_decorated() -> None:
    with pytest.raises(ValueError, match=r"^Async task cannot return a stream\.$"):

        @bentoml.task
        def steps(self: Any) -> Iterator[str]:
            yield "x"

    with pytest.raises(ValueError, match="Async task cannot return a stream"):

        @bentoml.task(route="/steps")
        async def later_steps(self: Any) -> AsyncIterator[str]:
            yield "x"


def test_a_function_that_returns_a_generator_is_refused_with_its_class() -> None:
    with pytest.raises(ValueError, match="Async task cannot return a stream"):

        @bentoml.service
        class Wrong:
            @bentoml.task
            def steps(self) -> Iterator[str]:
                return iter("xy")


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"route": "x"}, ValueError, "leading slash"),
        ({"max_batch_size": 1}, ValueError, "max_batch_size"),
        ({"colour": "red"}, TypeError, "colour"),
    ],
)
def test_its_options_are_those_of_an_api(options: Any, error: type[Exception], message: str) -> None:
    def work(self: Any) -> None: ...

    with pytest.raises(error, match=message):
        bentoml.task(**options)(work)


def test_tasks_run_one_at_a_time_unless_the_service_says_more() -> None:
    def service(**config: Any) -> Any:
        @bentoml.service(**config)
        class Some:
            @bentoml.task
            def work(self) -> None: ...

        return Some

    for config, concurrency in (({}, 1), ({"traffic": {"concurrency": 4, "timeout": 9}}, 4)):
        made = service(**config)
        assert made.settings.traffic.concurrency == concurrency
        assert made.settings.traffic.external_queue is True
        assert made.config["traffic"] == {
            **config.get("traffic", {}),
            "concurrency": concurrency,
            "external_queue": True,
        }
    assert service(traffic={"timeout": 9}).settings.traffic.timeout == 9
