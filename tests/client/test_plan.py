"""What calls become on the wire, and what answers become, without any I/O."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bentoml.client.plan import Endpoint, Field, endpoints_of, method_names
from bentoml.client.uploads import Link, Upload
from bentoml.exceptions import BentoMLException, InvalidArgument, NotFound

STRING = {"type": "string"}
FILE = {"type": "file", "format": "binary"}


def endpoint(
    properties: dict[str, Any] | None = None,
    *,
    required: list[str] | None = None,
    output: dict[str, Any] | None = None,
) -> Endpoint:
    schema = {"type": "object", "properties": properties or {}, "required": required or []}
    return Endpoint("scale", "/scale", schema, output or {})


def root(schema: dict[str, Any]) -> Endpoint:
    return Endpoint("scale", "/scale", {**schema, "root_input": True}, {})


TWO = endpoint({"text": STRING, "size": {"type": "integer"}}, required=["text"])


@pytest.mark.parametrize(
    ("args", "kwargs", "body"),
    [
        (("a",), {}, {"text": "a"}),
        (("a", 2), {}, {"text": "a", "size": 2}),
        ((), {"size": 2, "text": "é"}, {"text": "é", "size": 2}),
        (("a",), {"size": None}, {"text": "a", "size": None}),
    ],
    ids=["positional", "both positional", "keywords in any order", "an explicit None"],
)
def test_arguments_become_json(args: tuple[Any, ...], kwargs: dict[str, Any], body: dict[str, Any]) -> None:
    plan = TWO.request(args, kwargs)
    assert (plan.route, plan.media_type) == ("/scale", "application/json")
    assert isinstance(plan.body, bytes)
    assert list(json.loads(plan.body).items()) == list(body.items())


def test_no_arguments_are_an_empty_object() -> None:
    assert endpoint().request((), {}).body == b"{}"


@pytest.mark.parametrize(
    ("args", "kwargs", "message"),
    [
        (("a",), {"color": 1}, "Arguments not found in endpoint scale: {'color'}"),
        ((), {"size": 1}, "Missing required arguments in endpoint scale: {'text'}"),
        (("a",), {"text": "b"}, "Duplicate arguments in endpoint scale: {'text'}"),
        (("a", 1, 2), {}, "endpoint scale takes 2 positional arguments but 3 were given"),
    ],
    ids=["unknown", "missing", "twice", "too many"],
)
def test_wrong_arguments(args: tuple[Any, ...], kwargs: dict[str, Any], message: str) -> None:
    with pytest.raises(TypeError) as caught:
        TWO.request(args, kwargs)
    assert str(caught.value) == message


def test_a_file_makes_a_form() -> None:
    api = endpoint({"image": FILE, "params": {"type": "object"}, "scales": {"type": "tensor"}})
    plan = api.request((), {"scales": np.ones((1, 2)), "params": {"a": "é"}, "image": b"data"})
    assert plan.media_type is None
    assert plan.body == (
        Field("image", Upload(b"data", "image", "application/octet-stream")),
        Field("params", '{"a":"é"}'.encode()),
        Field("scales", b"[[1.0,1.0]]"),
    )


def test_text_in_a_form_stays_text() -> None:
    plan = endpoint({"file": FILE, "tag": STRING}).request((b"x", "3"), {})
    assert isinstance(plan.body, tuple)
    assert plan.body[1] == Field("tag", b'"3"')


def test_a_list_of_files_repeats_its_field() -> None:
    plan = endpoint({"files": {"type": "array", "items": FILE}}).request(([b"1", io.BytesIO(b"2")],), {})
    assert isinstance(plan.body, tuple)
    assert [field.name for field in plan.body] == ["files", "files"]


def test_one_file_for_a_list_of_files_is_a_mistake() -> None:
    with pytest.raises(TypeError, match="`files` is a list of files, not `bytes`"):
        endpoint({"files": {"type": "array", "items": FILE}}).request((b"1",), {})


def test_a_file_that_may_be_left_out() -> None:
    optional = {"anyOf": [FILE, {"type": "null"}]}
    api = endpoint({"text": STRING, "file": optional})
    assert api.request(("a",), {}).body == b'{"text":"a"}'
    assert api.request(("a", None), {}).body == (Field("text", b'"a"'), Field("file", b"null"))


def test_the_url_of_a_file_is_sent_where_the_api_takes_it() -> None:
    url = "https://example.org/a%20b.png?key=1"
    plan = endpoint({"file": {**FILE, "url": True}}).request((url,), {})
    assert plan.body == (Field("file", url.encode()),)
    plan = endpoint({"file": FILE}).request((url,), {})
    assert plan.body == (Field("file", Upload(Link(url), "a b.png", "image/png")),)
    assert root({**FILE, "url": True}).request((url,), {}).body == url.encode()


@pytest.mark.parametrize(
    ("schema", "args", "body", "media_type"),
    [
        (STRING, ("é",), "é".encode(), "text/plain; charset=utf-8"),
        (STRING, (), b"", "text/plain; charset=utf-8"),
        ({"type": "string", "format": "binary"}, (b"\xff",), b"\xff", "text/plain; charset=utf-8"),
        ({"type": "array"}, ([1, 2],), b"[1,2]", "application/json"),
        ({"type": "tensor"}, (np.eye(2),), b"[[1.0,0.0],[0.0,1.0]]", "application/json"),
        ({"type": "object"}, (), b"", "application/json"),
    ],
    ids=["text", "no text", "bytes", "list", "array", "nothing"],
)
def test_root_input(schema: dict[str, Any], args: tuple[Any, ...], body: bytes, media_type: str) -> None:
    plan = root(schema).request(args, {})
    assert (plan.body, plan.media_type) == (body, media_type)


def test_a_root_file_is_the_body(tmp_path: Path) -> None:
    file = tmp_path / "a.wav"
    file.write_bytes(b"sound")
    plan = root({**FILE, "content_type": "audio/wav"}).request((file,), {})
    assert (plan.body, plan.media_type) == (Upload(file, "a.wav", "audio/wav"), "audio/wav")


@pytest.mark.parametrize("nested", [False, True], ids=["itself", "in a list"])
@pytest.mark.parametrize("data", [b"text", b"\xff\xfe"], ids=["text", "binary"])
def test_bytes_are_a_file_whatever_is_in_them(data: bytes, nested: bool) -> None:
    file = {**FILE, "format": "binary"}
    schema = {"type": "array", "items": file} if nested else file
    plan = endpoint({"file": schema}).request(([data] if nested else data,), {})
    assert plan.body == (Field("file", Upload(data, "file", "application/octet-stream")),)


@pytest.mark.parametrize("value", [b"text", "text", bytearray(b"text")], ids=lambda v: type(v).__name__)
def test_bytes_in_a_form_have_no_quotes(value: Any) -> None:
    binary = {"type": "string", "format": "binary"}
    plan = endpoint({"a": binary, "file": FILE}).request((value, b"x"), {})
    assert isinstance(plan.body, tuple) and plan.body[0] == Field("a", b"text")


BINARY = {"type": "string", "format": "binary"}
HOLDER = {"type": "object", "properties": {"data": BINARY, "n": {"type": "integer"}}}


@pytest.mark.parametrize(
    ("schema", "value", "fields"),
    [
        ({"type": "array", "items": BINARY}, [b"a", b"\xff"], [("x", b'["a",null]'), ("x.1", b"\xff")]),
        (HOLDER, {"data": bytearray(b"\xff"), "n": 1}, [("x", b'{"data":null,"n":1}'), ("x.data", b"\xff")]),
        ({"anyOf": [BINARY, {"type": "integer"}]}, b"\xff", [("x", b"\xff")]),
        (
            {"anyOf": [HOLDER, {"type": "null"}]},
            {"data": b"\xff"},
            [("x", b'{"data":null}'), ("x.data", b"\xff")],
        ),
    ],
    ids=["list", "object", "one of several types", "optional object"],
)
def test_bytes_that_are_no_text_are_parts_wherever_they_are(
    schema: dict[str, Any], value: Any, fields: list[tuple[str, bytes]]
) -> None:
    assert endpoint({"x": schema}).request((value,), {}).body == tuple(Field(*field) for field in fields)


def test_bytes_that_are_text_are_json() -> None:
    plan = endpoint({"x": {"type": "array", "items": BINARY}}).request(([b"a", "b"],), {})
    assert (plan.body, plan.media_type) == (b'{"x":["a","b"]}', "application/json")


def test_bytes_in_the_root_input() -> None:
    assert root(HOLDER).request(({"data": b"\xff", "n": 1},), {}).body == (
        Field("data", b"\xff"),
        Field("n", b"1"),
    )
    assert root(HOLDER).request(({"data": b"a", "n": 1},), {}).body == b'{"data":"a","n":1}'


def test_a_file_or_a_text(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"x")
    either = endpoint({"v": {"anyOf": [FILE, STRING]}})
    (sent,) = either.request((tmp_path / "a.txt",), {}).body  # type: ignore[misc]  # the fields of a form
    assert sent == Field("v", Upload(tmp_path / "a.txt", "a.txt", "text/plain"))
    (text,) = either.request((str(tmp_path / "a.txt"),), {}).body  # type: ignore[misc]  # the same
    assert isinstance(text, Field) and isinstance(text.value, bytes)


def test_optional_bytes_that_are_none_are_left_out_of_a_form() -> None:
    optional = {"type": "string", "format": "binary", "nullable": True, "default": None}
    plan = endpoint({"a": optional, "file": FILE}).request((None, b"x"), {})
    assert isinstance(plan.body, tuple) and [field.name for field in plan.body] == ["file"]


def test_a_root_text_that_utf_8_cannot_hold() -> None:
    with pytest.raises(InvalidArgument, match="the text for `scale` cannot be sent"):
        root(STRING).request(("\ud800",), {})


@pytest.mark.parametrize(("args", "kwargs"), [((), {"text": "a"}), (("a", "b"), {})], ids=["keyword", "two"])
def test_root_input_is_one_positional_argument(args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    with pytest.raises(TypeError, match="Expected one positional argument for root input"):
        root(STRING).request(args, kwargs)


def test_an_error_answer_raises() -> None:
    with pytest.raises(NotFound, match="no such thing"):
        TWO.response(404, {"content-type": "application/json"}, b'{"error":"no such thing"}')


def test_what_is_a_file() -> None:
    optional = endpoint(output={"anyOf": [FILE, {"type": "null"}]})
    json_file = {"content-type": "application/json", "content-disposition": 'attachment; filename="a.json"'}
    assert endpoint(output=FILE).gives_file({"content-type": "application/json"})
    assert optional.gives_file(json_file)
    assert not optional.gives_file({"content-type": "application/json"})
    assert optional.response(200, {"content-type": "application/json"}, b"null") is None
    assert not endpoint(output=STRING).gives_file(json_file)


def test_endpoints_of_a_schema() -> None:
    route = {
        "name": "scale",
        "route": "/v1/scale",
        "input": {},
        "output": {"is_stream": True},
        "is_task": False,
    }
    found = endpoints_of({"name": "S", "routes": [route]})
    assert found == {"scale": Endpoint("scale", "/v1/scale", {}, {"is_stream": True})}
    assert found["scale"].is_stream


@pytest.mark.parametrize("schema", [{}, {"routes": [1]}, {"routes": [{"name": "x"}]}, [], {"routes": None}])
def test_what_is_no_schema(schema: Any) -> None:
    with pytest.raises(BentoMLException, match="is not that of a service"):
        endpoints_of(schema)


@pytest.mark.parametrize("path", ["http://elsewhere/x", "//elsewhere/x", "x"])
def test_a_server_cannot_send_its_client_elsewhere(path: str) -> None:
    with pytest.raises(BentoMLException, match="outside itself"):
        endpoints_of({"routes": [{"name": "x", "route": path, "input": {}, "output": {}}]})


def test_names_that_the_client_has_itself() -> None:
    found = {name: Endpoint(name, f"/{name}", {}, {}) for name in ("close", "scale")}
    assert method_names(found, {"close"}) == {"api_close": found["close"], "scale": found["scale"]}
