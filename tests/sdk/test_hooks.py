"""Hooks: which there are, in which order, and how they are called."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from tests.sdk.services import of

import bentoml
from bentoml.sdk.hooks import hooks_of

log: list[str] = []


class Base:
    @bentoml.on_startup
    def z_first(self) -> None:
        log.append("z_first")

    @bentoml.on_startup
    def replaced(self) -> None:
        log.append("never")


@bentoml.service
class Hooked(Base):
    @bentoml.on_deployment
    def prepare() -> None:
        log.append("prepare")

    @bentoml.on_deployment
    @staticmethod
    def again() -> None:
        log.append("again")

    @bentoml.on_startup
    async def a_second(self) -> None:
        log.append("a_second")

    @bentoml.on_startup
    @bentoml.on_shutdown
    def both(self) -> None:
        log.append("both")

    def replaced(self) -> None:
        """Be a hook no longer."""

    @bentoml.on_shutdown
    def stop(self) -> None:
        log.append("stop")


@pytest.mark.parametrize(
    ("kind", "names"),
    [
        ("deployment", ["prepare", "again"]),
        ("startup", ["z_first", "a_second", "both"]),
        ("shutdown", ["both", "stop"]),
    ],
)
def test_hooks_in_the_order_in_which_they_are_written(kind: str, names: list[str]) -> None:
    assert [name for name, _ in of(Hooked).hooks(kind)] == names  # type: ignore[arg-type]  # one of the three


def test_deployment_hooks_take_nothing_and_the_others_the_instance() -> None:
    log.clear()
    for _, hook in of(Hooked).hooks("deployment"):
        hook()
    instance = Hooked()
    for _, hook in of(Hooked).hooks("shutdown"):
        hook(instance)
    instance.stop()
    assert log == ["prepare", "again", "both", "stop", "stop"]


def test_static_and_class_methods_whichever_decorator_is_outside() -> None:
    log: list[str] = []

    class Hooked:
        @bentoml.on_startup
        @classmethod
        def one(cls) -> None:
            log.append(cls.__name__)

        @classmethod
        @bentoml.on_startup
        def two(cls) -> None:
            log.append("two")

        @bentoml.on_startup
        @staticmethod
        def three() -> None:
            log.append("three")

        @staticmethod
        @bentoml.on_startup
        def four() -> None:
            log.append("four")

    for _, hook in hooks_of(Hooked, "startup"):
        hook(Hooked())
    assert log == ["Hooked", "two", "three", "four"]


def test_deployment_hooks_are_static_either_way() -> None:
    class Hooked:
        @bentoml.on_deployment
        @staticmethod
        def one() -> str:
            return "one"

        @staticmethod
        @bentoml.on_deployment
        def two() -> str:
            return "two"

    assert [hook() for _, hook in hooks_of(Hooked, "deployment")] == ["one", "two"]


@pytest.mark.parametrize("hook", [bentoml.on_deployment, bentoml.on_startup, bentoml.on_shutdown])
def test_what_is_no_function_is_no_hook(hook: Callable[[Any], Any]) -> None:
    with pytest.raises(TypeError, match=r"@bentoml.on_\w+ goes on a method, not on `3`"):
        hook(3)


def test_hooks_get_nothing_that_nobody_gives() -> None:
    def prepare(self: object) -> None: ...

    def warm_up(self: object, model: str) -> None: ...

    with pytest.raises(
        TypeError, match=r"takes no argument: it runs before there is an instance, unlike `.*prepare`"
    ):
        bentoml.on_deployment(prepare)
    with pytest.raises(TypeError, match=r"takes at most its instance, unlike `.*warm_up`"):
        bentoml.on_startup(warm_up)
