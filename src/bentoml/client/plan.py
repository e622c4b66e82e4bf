"""What a call becomes on the wire and back, from the server's own description; no I/O, so that every client shares it."""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

from ..exceptions import BentoMLException
from .chunks import Chunks, chunks_of
from .failures import failure
from .uploads import Upload, file_shape, upload
from .values import decode, encode, plain_optional

__all__ = ["Endpoint", "Field", "RequestPlan", "endpoints_of", "method_names"]

JSON = "application/json"
TEXT = "text/plain; charset=utf-8"


class Field(NamedTuple):
    """One field of a form: a file, or text."""

    name: str
    value: Upload | bytes


@dataclass(frozen=True, slots=True)
class RequestPlan:
    """One POST: its body is bytes, a file, or the fields of a form."""

    route: str
    body: bytes | Upload | tuple[Field, ...]
    media_type: str | None = None  # a form's holds its boundary and is known when it is sent


@dataclass(frozen=True)
class Endpoint:
    """One API of a server, as its ``/schema.json`` describes it."""

    name: str
    route: str
    input: Mapping[str, Any]
    output: Mapping[str, Any]
    doc: str = ""
    is_task: bool = False

    @cached_property
    def is_stream(self) -> bool:
        """Whether the answer comes in steps."""
        return bool(self.output.get("is_stream"))

    @cached_property
    def parameters(self) -> dict[str, Mapping[str, Any]]:
        """The schema of each argument, in the order in which they may be given by position."""
        return {name: plain_optional(schema) for name, schema in self.input.get("properties", {}).items()}

    def request(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> RequestPlan:
        """Return what to send for a call.

        Raises:
            TypeError: the arguments are not those of the API.
            InvalidArgument: an argument cannot be sent.
        """
        if self.input.get("root_input"):
            return self._root(args, kwargs)
        arguments = self._bind(args, kwargs)
        files = {n: shape for n in arguments if (shape := file_shape(self.parameters[n]))}
        if files:
            return RequestPlan(self.route, tuple(self._fields(arguments, files)))
        pairs = [encode(n, n, {}) + b":" + encode(n, v, self.parameters[n]) for n, v in arguments.items()]
        return RequestPlan(self.route, b"{" + b",".join(pairs) + b"}", JSON)

    def gives_file(self, headers: Mapping[str, str]) -> bool:
        """Say whether a successful answer with these headers is a file, to be written rather than read."""
        schema = plain_optional(self.output)
        is_null = (
            "nullable" in schema and "content-disposition" not in headers and _media_type(headers) == JSON
        )
        return schema.get("type") == "file" and not is_null

    def response(self, status: int, headers: Mapping[str, str], body: bytes) -> Any:
        """Return the value of an answer that is neither a file nor a stream.

        Raises:
            BentoMLException: the status is an error's; the class follows from it.
        """
        if not 200 <= status < 300:
            raise failure(status, body, self.route)
        return decode(body, _media_type(headers), self.output)

    def chunks(self) -> Chunks:
        """Return a new decoder for the steps of an answer."""
        return chunks_of(self.output)

    def _root(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> RequestPlan:
        if kwargs or len(args) > 1:
            raise TypeError(f"Expected one positional argument for root input of endpoint {self.name}")
        if not args:
            return RequestPlan(self.route, b"", TEXT if self.input.get("type") == "string" else JSON)
        value, schema = args[0], plain_optional(self.input)
        if schema.get("type") == "file":
            file = upload(self.name, value, schema)
            return RequestPlan(self.route, file, TEXT if isinstance(file, bytes) else file.media_type)
        if schema.get("type") == "string" and isinstance(value, str | bytes):
            return RequestPlan(self.route, value.encode() if isinstance(value, str) else value, TEXT)
        return RequestPlan(self.route, encode(self.name, value, schema), JSON)

    def _bind(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> dict[str, Any]:
        """Return the arguments by name, in the order of the parameters."""
        names = list(self.parameters)
        if len(args) > len(names):
            raise TypeError(
                f"endpoint {self.name} takes {len(names)} positional arguments but {len(args)} were given"
            )
        given = dict(zip(names, args, strict=False))
        if twice := sorted(given.keys() & kwargs.keys()):
            raise TypeError(f"Duplicate arguments in endpoint {self.name}: {_listed(twice)}")
        if unknown := [n for n in kwargs if n not in self.parameters]:
            raise TypeError(f"Arguments not found in endpoint {self.name}: {_listed(unknown)}")
        given |= kwargs
        if missing := [n for n in self.input.get("required", ()) if n not in given]:
            raise TypeError(f"Missing required arguments in endpoint {self.name}: {_listed(missing)}")
        return {n: given[n] for n in names if n in given}

    def _fields(self, arguments: Mapping[str, Any], files: Mapping[str, str]) -> list[Field]:
        fields = []
        for name, value in arguments.items():
            schema = self.parameters[name]
            if name not in files or value is None:
                fields.append(Field(name, encode(name, value, schema)))
            elif files[name] == "one":
                fields.append(Field(name, upload(name, value, schema)))
            else:
                fields.extend(
                    Field(name, upload(name, item, schema["items"])) for item in _items(name, value)
                )
        return fields


def endpoints_of(schema: Mapping[str, Any]) -> dict[str, Endpoint]:
    """Return the endpoints of a server by name, from its ``/schema.json``.

    Raises:
        BentoMLException: it is not the schema of a service, or a route would lead away from the server.
    """
    try:
        found = [_endpoint(route) for route in schema["routes"]]
    except (KeyError, TypeError, AttributeError) as e:
        raise BentoMLException("the server's /schema.json is not that of a service") from e
    return {endpoint.name: endpoint for endpoint in found}


def method_names(endpoints: Mapping[str, Endpoint], taken: Container[str]) -> dict[str, Endpoint]:
    """Return the endpoints by the name of the client's method: ``api_<name>`` where the client has that name itself."""
    return {f"api_{name}" if name in taken else name: endpoint for name, endpoint in endpoints.items()}


def _endpoint(route: Mapping[str, Any]) -> Endpoint:
    path = route["route"]
    if not path.startswith("/") or path.startswith("//"):
        raise BentoMLException(f"the server names an endpoint outside itself: `{path}`")
    return Endpoint(
        name=route["name"], route=path, input=dict(route["input"]), output=dict(route["output"]),
        doc=route.get("doc") or "", is_task=bool(route.get("is_task")),
    )  # fmt: skip


def _items(name: str, value: object) -> Sequence[object]:
    if not isinstance(value, list | tuple):
        raise TypeError(f"`{name}` is a list of files, not `{type(value).__name__}`")
    return value


def _media_type(headers: Mapping[str, str]) -> str:
    return headers.get("content-type", "").partition(";")[0].strip().lower()


def _listed(names: Sequence[str]) -> str:
    return "{" + ", ".join(repr(name) for name in names) + "}"
