"""What a call becomes on the wire and back, from the server's own description; no I/O, so that every client shares it."""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Literal, NamedTuple
from urllib.parse import quote

from ..exceptions import BentoMLException, InvalidArgument
from .arrays import NPY, is_array, takes_npy, to_array, write_npy
from .chunks import Chunks, chunks_of
from .failures import failure
from .structures import (
    fields_of,
    has_raw_bytes,
    holds_bytes,
    holds_files,
    is_binary,
    schema_for,
    without_parts,
)
from .uploads import Upload, file_shape, upload
from .values import decode, encode, plain_optional

__all__ = ["Endpoint", "Field", "RequestPlan", "endpoints_of", "method_names"]

JSON = "application/json"
TEXT = "text/plain; charset=utf-8"
FORM = "multipart/form-data"
ARRAY_OR_JSON = f"{NPY}, {JSON};q=0.9, */*;q=0.8"


class Field(NamedTuple):
    """One field of a form: a file, or text."""

    name: str
    value: Upload | bytes


@dataclass(frozen=True, slots=True)
class RequestPlan:
    """One request: its body is bytes, a file, or the fields of a form."""

    route: str
    body: bytes | Upload | tuple[Field, ...] = b""
    media_type: str | None = None  # a form's holds its boundary and is known when it is sent
    method: str = "POST"
    accept: str | None = None


_Content = tuple[bytes | Upload | tuple[Field, ...], str | None]  # a body and its media type


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
        body, media_type = (
            self._root(args, kwargs)
            if self.input.get("root_input")
            else self._object(self._bind(args, kwargs))
        )
        return RequestPlan(self.route, body, media_type, accept=self._accept)

    def submission(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> RequestPlan:
        """Return what to send to have a call made in the background; raises what ``request`` raises."""
        if not self.is_task:
            raise TypeError(f"endpoint {self.name} is not a task: call it, `client.{self.name}(...)`")
        return replace(self.request(args, kwargs), route=self._task_route("submit"))

    def task(self, verb: Literal["status", "get", "retry", "cancel"], task_id: str) -> RequestPlan:
        """Return what to send about one task of this API."""
        method = {"retry": "POST", "cancel": "PUT"}.get(verb, "GET")
        route = f"{self._task_route(verb)}?task_id={quote(task_id, safe='')}"
        return RequestPlan(route, method=method, accept=self._accept if verb == "get" else None)

    def gives_file(self, headers: Mapping[str, str]) -> bool:
        """Say whether a successful answer with these headers is a file, to be written rather than read."""
        schema = plain_optional(self.output)
        is_null = (
            "nullable" in schema and "content-disposition" not in headers and _media_type(headers) == JSON
        )
        return schema.get("type") == "file" and not is_null

    @staticmethod
    def gives_form(headers: Mapping[str, str]) -> bool:
        """Say whether a successful answer with these headers has several fields, each with a value or a file."""
        return _media_type(headers) == FORM

    def response(self, status: int, headers: Mapping[str, str], body: bytes) -> Any:
        """Return the value of an answer that is neither a file nor a stream.

        Raises:
            BentoMLException: the status is an error's; the class follows from it.
        """
        if not 200 <= status < 300:
            raise failure(status, body, self.route)
        return decode(body, _media_type(headers), self.output)

    def chunks(self, headers: Mapping[str, str]) -> Chunks:
        """Return a new decoder for the steps of an answer."""
        return chunks_of(self.output, _media_type(headers), self.route)

    def _task_route(self, verb: str) -> str:
        return f"{self.route.rstrip('/')}/{verb}"

    @cached_property
    def _accept(self) -> str | None:
        return ARRAY_OR_JSON if takes_npy(plain_optional(self.output)) else None

    def _root(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> _Content:
        if kwargs or len(args) > 1:
            raise TypeError(f"Expected one positional argument for root input of endpoint {self.name}")
        if not args:
            return b"", TEXT if self.input.get("type") == "string" else JSON
        value, schema = args[0], plain_optional(self.input)
        if schema.get("type") == "file" and value is None:
            return b"", JSON
        if schema.get("type") == "file":
            file = upload(self.name, value, schema)
            return file, TEXT if isinstance(file, bytes) else file.media_type
        if schema.get("type") == "string" and isinstance(value, str | bytes | bytearray):
            return _utf_8(self.name, value) if isinstance(value, str) else bytes(value), TEXT
        if (npy := _npy(value, schema)) is not None:
            return npy, NPY
        has_parts = holds_files(schema) or has_raw_bytes(value, schema)
        if has_parts and (fields := fields_of(value)) is not None:
            return tuple(_fields(fields, schema.get("properties", {}))), None
        return encode(self.name, value, schema), JSON

    def _object(self, arguments: Mapping[str, Any]) -> _Content:
        """Return the arguments as JSON; as an array or a form where JSON cannot hold one of them."""
        if len(self.parameters) == 1:
            for name, value in arguments.items():
                if (npy := _npy(value, self.parameters[name])) is not None:
                    return npy, NPY
        if any(self._needs_a_part(name, value) for name, value in arguments.items()):
            return tuple(_fields(arguments, self.parameters)), None
        pairs = [encode(n, n, {}) + b":" + encode(n, v, self.parameters[n]) for n, v in arguments.items()]
        return b"{" + b",".join(pairs) + b"}", JSON

    def _needs_a_part(self, name: str, value: object) -> bool:
        """Say whether JSON cannot hold an argument as it is."""
        schema = self.parameters[name]
        return (
            name in self._with_files
            or (takes_npy(schema) and is_array(value))
            or (name in self._with_bytes and has_raw_bytes(value, schema))
        )

    @cached_property
    def _with_files(self) -> frozenset[str]:
        """The parameters that are files, or have files in them."""
        return frozenset(name for name, schema in self.parameters.items() if holds_files(schema))

    @cached_property
    def _with_bytes(self) -> frozenset[str]:
        """The parameters that are bytes, or have bytes in them."""
        return frozenset(name for name, schema in self.parameters.items() if holds_bytes(schema))

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


def _fields(arguments: Mapping[str, Any], schemas: Mapping[str, Mapping[str, Any]]) -> Iterator[Field]:
    """Yield the fields of a form: a file for each file, NPY for arrays, JSON for anything else."""
    for name, value in arguments.items():
        schema = schema_for(value, schemas.get(name, {}))
        shape = None if value is None else file_shape(schema)
        if (npy := _npy(value, schema)) is not None:
            yield Field(name, Upload(npy, f"{name}.npy", NPY))
        elif value is None and is_binary(schema) and schema.get("default", ...) is None:
            pass  # a part would be bytes, and is left out: that is None, too
        elif (content := _content(name, value, schema)) is not None:
            yield Field(name, content)
        elif shape == "one":
            yield Field(name, upload(name, value, schema))
        elif shape == "many" and (items := _items(name, value)):
            yield from (Field(name, upload(name, item, schema["items"])) for item in items)
        else:
            yield from _structure(name, value, schema)


def _npy(value: object, schema: Mapping[str, Any]) -> bytes | None:
    """Return an array or a tensor in the NPY format where that is taken.

    Small ones too, for which JSON would be a little quicker (0.03 ms in a body, 0.09 ms in a form; NPY is from 4 and 8 kB
    on): the type and the shape that arrive must not depend on the size.
    """
    if not takes_npy(schema) or (array := to_array(value)) is None:
        return None
    try:
        return write_npy(array)
    except ValueError:  # elements that are no numbers: JSON has more of them
        return None


def _utf_8(name: str, text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError as e:
        raise InvalidArgument(f"the text for `{name}` cannot be sent: {e}") from e


def _content(name: str, value: object, schema: Mapping[str, Any]) -> bytes | None:
    """Return what a part for ``bytes`` holds: the bytes themselves, without the quotes of JSON."""
    if not is_binary(schema):
        return None
    if isinstance(value, str):
        return _utf_8(name, value)
    return bytes(value) if isinstance(value, bytes | bytearray) else None


def _structure(name: str, value: object, schema: Mapping[str, Any]) -> Iterator[Field]:
    """Yield a value with files or raw bytes in it: as JSON with null for each, and these named by their place."""
    parts: list[Field] = []

    def take(place: str, part: object, its: Mapping[str, Any]) -> None:
        content = _content(place, part, its)
        parts.append(Field(place, upload(place, part, its) if content is None else content))

    yield Field(name, encode(name, without_parts(name, value, schema, take), schema))
    yield from parts


def _items(name: str, value: object) -> Sequence[object]:
    if not isinstance(value, list | tuple):
        raise TypeError(f"`{name}` is a list of files, not `{type(value).__name__}`")
    return value


def _media_type(headers: Mapping[str, str]) -> str:
    return headers.get("content-type", "").partition(";")[0].strip().lower()


def _listed(names: Sequence[str]) -> str:
    return "{" + ", ".join(repr(name) for name in names) + "}"
