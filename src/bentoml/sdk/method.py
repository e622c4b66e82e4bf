"""APIMethod: one method of a service as an endpoint; what it takes and gives is read once from its signature."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from contextlib import suppress
from types import FunctionType
from typing import Any, Concatenate, Generic, ParamSpec, Protocol, TypeVar, get_type_hints, overload

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from .api_options import (
    check_options,
    checked_batch_dim,
    checked_batch_size,
    checked_flag,
    checked_latency,
    checked_name,
    checked_route,
    checked_spec,
)
from .context import Context, current_context
from .values.output import Output
from .values.serde import Input, Parameter
from .values.types import stream_chunk

__all__ = ["APIMethod", "api", "task"]

P = ParamSpec("P")
R = TypeVar("R")
Q = ParamSpec("Q")
S = TypeVar("S")

_EMPTY = inspect.Parameter.empty
_NO_STREAM = "Async task cannot return a stream."


class APIMethod(Generic[P, R]):
    """Describe one endpoint. On an instance of the service it is the plain bound method.

    ``P`` has the ``self`` that a call on an instance does without: a type checker would take a method with ``**fields`` for
    none that begins with ``Any``.
    """

    def __init__(
        self,
        func: Callable[P, R],
        *,
        route: str | None = None,
        name: str | None = None,
        input_spec: type[BaseModel] | None = None,
        output_spec: Any = None,
        batchable: bool = False,
        batch_dim: int | tuple[int, int] = 0,
        max_batch_size: int = 100,
        max_latency_ms: int = 60000,
        url_inputs: bool = False,
        is_task: bool = False,
    ) -> None:
        if not inspect.isfunction(func):
            raise TypeError(f"@bentoml.api goes on a method, not on `{func!r}`")
        self.attribute: str = func.__name__
        if self.attribute.startswith("__"):
            raise ValueError("API methods cannot start with '__'")
        self.name = checked_name(name) if name else self.attribute
        self.route = checked_route(f"/{self.name}" if route is None else route)
        self.doc = inspect.getdoc(func)
        self.is_async = inspect.iscoroutinefunction(func) or inspect.isasyncgenfunction(func)
        self._generates = inspect.isgeneratorfunction(func) or inspect.isasyncgenfunction(func)
        self.is_task = is_task
        if is_task and self._generates:
            raise ValueError(_NO_STREAM)
        self.batchable = checked_flag("batchable", batchable)
        self.batch_dim = checked_batch_dim(batch_dim)
        self.max_batch_size = checked_batch_size(max_batch_size)
        self.max_latency_ms = checked_latency(max_latency_ms)
        self.url_inputs = checked_flag("url_inputs", url_inputs)
        self._input_spec = checked_spec(input_spec)
        self._output_spec = output_spec
        self._namespace: Mapping[str, Any] = {}
        parameters = list(inspect.signature(func).parameters.values())
        if not parameters:
            raise TypeError(f"`{func.__qualname__}` takes no `self`; an API is a method of an instance")
        self._parameters = parameters[1:]
        self.func: FunctionType = _with_plain_defaults(func)
        self.__name__ = self.attribute
        self.__doc__ = func.__doc__

    @overload
    def __get__(self, instance: None, owner: type) -> APIMethod[P, R]: ...
    @overload
    def __get__(self: APIMethod[Concatenate[Any, Q], S], instance: object, owner: type) -> Callable[Q, S]: ...
    def __get__(self, instance: object | None, owner: type) -> Any:
        return self if instance is None else self.bound(instance)

    def bound(self, instance: object) -> Callable[..., Any]:
        """Return the method of an instance, as Python code calls it: the context is filled in where it is left out."""
        return self._with_context(instance, current_context)

    def tolerant(self, instance: object) -> Callable[..., Any]:
        """Return the method of an instance, as another service calls it: keywords that it does not declare are dropped.

        A request has always dropped fields that the API does not know, and where a dependency runs must not
        change what a call means.
        """
        method = self._with_context(instance, lambda: current_context().derived())
        if any(p.kind is inspect.Parameter.VAR_KEYWORD for p in self._parameters):
            return method
        declared = {p.name for p in self._parameters}

        @functools.wraps(self.func)
        def call(*args: Any, **kwargs: Any) -> Any:
            return method(*args, **{name: value for name, value in kwargs.items() if name in declared})

        return call

    def resolve(self, namespace: Mapping[str, Any]) -> None:
        """Read the annotations now; names that are not known yet are read on first use."""
        self._namespace = namespace
        with suppress(NameError):
            _ = self.input, self.output
            if self.is_task and self.is_stream:
                raise ValueError(_NO_STREAM)
            self._namespace = {}

    @functools.cached_property
    def ctx_param(self) -> str | None:
        """The parameter that takes the Context: annotated so, or named ``ctx`` or ``context`` and not annotated."""
        for parameter in self._parameters:
            annotation = self._hints.get(parameter.name)
            if annotation is Context or (annotation is None and parameter.name in ("ctx", "context")):
                return parameter.name
        return None

    @functools.cached_property
    def ctx_place(self) -> int | None:
        """Where the Context goes if it can only be given by its position."""
        for place, parameter in enumerate(self._parameters):
            if parameter.name == self.ctx_param and parameter.kind is inspect.Parameter.POSITIONAL_ONLY:
                return place
        return None

    @functools.cached_property
    def input(self) -> Input:
        """What a request holds."""
        made = self._input()
        made.takes_urls = self.url_inputs
        return made

    def _input(self) -> Input:
        if self._input_spec is not None:
            return Input.of_spec(self._input_spec)
        if variadic := [p.name for p in self._parameters if p.kind is inspect.Parameter.VAR_POSITIONAL]:
            raise self._unknown("input", f"`*{variadic[0]}` has no place in a request; take a list")
        try:
            return Input.of_parameters(
                [self._parameter(p) for p in self._parameters if p.name != self.ctx_param]
            )
        except TypeError as e:
            raise self._unknown("input", e) from e

    @functools.cached_property
    def output(self) -> Output:
        """What a response holds."""
        annotation = self._hints.get("return", Any) if self._output_spec is None else self._output_spec
        try:
            return Output(annotation, is_stream=self._generates)
        except TypeError as e:
            raise self._unknown("output", e) from e

    @functools.cached_property
    def is_stream(self) -> bool:
        """Whether the answer comes in steps."""
        return self._generates or stream_chunk(self._hints.get("return")) is not None

    @functools.cached_property
    def returns(self) -> Any:
        """The annotation of what a call gives, or of a step where that comes in steps."""
        annotation = self._hints.get("return", Any) if self._output_spec is None else self._output_spec
        return (stream_chunk(annotation) or Any) if self.is_stream else annotation

    @functools.cached_property
    def _hints(self) -> dict[str, Any]:
        return get_type_hints(self.func, localns=dict(self._namespace), include_extras=True)

    def _parameter(self, parameter: inspect.Parameter) -> Parameter:
        return Parameter(
            parameter.name, self._hints.get(parameter.name, Any), parameter.default, parameter.kind
        )

    def _unknown(self, what: str, reason: object) -> TypeError:
        first = str(reason).partition("\n")[0].rstrip(".")  # what pydantic adds is about its own functions
        return TypeError(
            f"Unable to infer the {what} spec for function {self.func.__qualname__}: {first}; "
            f"change the annotation, or please specify {what}_spec manually"
        )

    def _with_context(self, instance: object, make: Callable[[], Context]) -> Callable[..., Any]:
        """Return the method of an instance, with a context made for each call that gives none."""
        method: Callable[..., Any] = self.func.__get__(instance)
        name = self.ctx_param
        if name is None:
            return method
        index = next(i for i, p in enumerate(self._parameters) if p.name == name)
        positional = self._parameters[index].kind is not inspect.Parameter.KEYWORD_ONLY

        @functools.wraps(self.func)
        def call(*args: Any, **kwargs: Any) -> Any:
            if name in kwargs or any(isinstance(a, Context) for a in args):
                return method(*args, **kwargs)
            if positional and len(args) > index:
                return method(*args[:index], make(), *args[index:], **kwargs)
            return method(*args, **{**kwargs, name: make()})

        return call


class Decorator(Protocol):
    """Make an endpoint of a method."""

    def __call__(self, func: Callable[P, R], /) -> APIMethod[P, R]:
        """Return what stands for the method in its class."""


@overload
def api(func: Callable[P, R], /) -> APIMethod[P, R]: ...
@overload
def api(
    *,
    route: str | None = None,
    name: str | None = None,
    input_spec: type[BaseModel] | None = None,
    output_spec: Any = None,
    batchable: bool = False,
    batch_dim: int | tuple[int, int] = 0,
    max_batch_size: int = 100,
    max_latency_ms: int = 60000,
    url_inputs: bool = False,
) -> Decorator: ...
def api(func: Any = None, /, **options: Any) -> Any:
    """Make a method of a service an endpoint: ``@bentoml.api`` or ``@bentoml.api(route="/path", ...)``.

    ``route`` is by default ``/`` and the method's name. ``input_spec`` and ``output_spec`` are pydantic models that
    stand for what the signature does not say. ``batchable`` lets the server join calls along ``batch_dim``. With
    ``url_inputs`` a caller may give a public http(s) address for a file, which the server fetches.

    Raises:
        ValueError: the route has no leading slash, the name starts with ``__``, ``max_batch_size`` is below 2, or
            another option is not what it can be.
        TypeError: what is decorated is not a method, or there is no such option.
    """
    return _decorated("@bentoml.api", func, options)


@overload
def task(func: Callable[P, R], /) -> APIMethod[P, R]: ...
@overload
def task(
    *,
    route: str | None = None,
    name: str | None = None,
    input_spec: type[BaseModel] | None = None,
    output_spec: Any = None,
    batchable: bool = False,
    batch_dim: int | tuple[int, int] = 0,
    max_batch_size: int = 100,
    max_latency_ms: int = 60000,
    url_inputs: bool = False,
) -> Decorator: ...
def task(func: Any = None, /, **options: Any) -> Any:
    """Make a method of a service an endpoint that can also be run in the background: submitted now, fetched later.

    It takes what ``@bentoml.api`` takes. Beside the route, where a call is answered as that of any API, the server has
    ``<route>/submit``, ``/status``, ``/get``, ``/retry`` and ``/cancel``.

    Raises:
        ValueError: as with ``@bentoml.api``, and for a generator: what is fetched later is whole.
        TypeError: as with ``@bentoml.api``.
    """
    return _decorated("@bentoml.task", func, options, is_task=True)


def _decorated(decorator: str, func: Any, options: dict[str, Any], *, is_task: bool = False) -> Any:
    check_options(decorator, options)
    if func is None:
        return lambda function: APIMethod(function, is_task=is_task, **options)
    return APIMethod(func, is_task=is_task, **options)


def _with_plain_defaults(func: FunctionType) -> FunctionType:
    """Return a function that a direct call sees with the value of each ``Field(default=...)``, as any other default."""
    defaults, kwdefaults = func.__defaults__ or (), func.__kwdefaults__ or {}
    if not any(isinstance(d, FieldInfo) for d in (*defaults, *kwdefaults.values())):
        return func
    plain = [_plain_default(d) for d in defaults]
    while plain and plain[0] is _EMPTY:
        plain.pop(0)
    same = FunctionType(func.__code__, func.__globals__, func.__name__, tuple(plain), func.__closure__)
    same.__kwdefaults__ = {k: v for k, d in kwdefaults.items() if (v := _plain_default(d)) is not _EMPTY}
    functools.update_wrapper(same, func)
    return same


def _plain_default(default: Any) -> Any:
    if not isinstance(default, FieldInfo):
        return default
    return (
        _EMPTY if default.is_required() else default.get_default(call_default_factory=True, validated_data={})
    )
