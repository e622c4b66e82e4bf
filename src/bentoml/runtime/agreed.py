"""What the class of a service and the schema of the server that runs it agree on: how to call it, and what comes back."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any, NamedTuple, Self

from pydantic import PydanticSchemaGenerationError, TypeAdapter, ValidationError

from ..client.plan import Endpoint
from ..exceptions import RemoteException
from ..sdk.method import APIMethod

__all__ = ["CallPlan", "Method", "typed"]

Method = APIMethod[..., Any]

_PLAIN = (dict, list, str, int, float, bool, type(None))  # what JSON has; the rest has been converted already


class CallPlan(NamedTuple):
    """One call as the other server knows it."""

    name: str
    kwargs: Mapping[str, Any]
    is_stream: bool

    @classmethod
    def of(
        cls, endpoints: Mapping[str, Endpoint], name: str, method: Method | None, kwargs: Mapping[str, Any]
    ) -> Self:
        """Return it without the keywords that the API does not have: it would drop them from any request."""
        known = name if method is None else method.name
        endpoint = endpoints.get(known)
        if endpoint is None:  # the client says so
            return cls(known, kwargs, is_stream=False)
        if not endpoint.input.get("root_input"):
            kwargs = {key: value for key, value in kwargs.items() if key in endpoint.parameters}
        return cls(known, kwargs, endpoint.is_stream)


def typed(method: Method | None, value: Any) -> Any:
    """Return a value as the method declares it, as far as JSON says less than its annotation."""
    if method is None or not isinstance(value, _PLAIN):
        return value
    adapter = _adapter(method)
    if adapter is None:
        return value
    try:
        return adapter.validate_python(value)
    except ValidationError as e:
        raise RemoteException(f"the answer of `{method.name}` is not what its class declares: {e}") from e


@functools.lru_cache(maxsize=1024)
def _adapter(method: Method) -> TypeAdapter[Any] | None:
    try:
        return TypeAdapter(method.returns)
    except PydanticSchemaGenerationError:  # such as an array, which has come as a list of numbers
        return None
