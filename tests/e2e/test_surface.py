"""What a caller sees of a served service: one table for each kind of input, output, header and error."""

from __future__ import annotations

import io
import json
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import urlsplit

import httpx2
import PIL.Image
import pytest
from tests.support import Project

import bentoml

pytestmark = pytest.mark.slow  # servers are started and waited for

SERVICE = '''
    from __future__ import annotations

    import asyncio, dataclasses, datetime, decimal, enum, os, time, typing as t, uuid
    from pathlib import Path

    import bentoml, numpy as np
    from bentoml import Field
    from bentoml.exceptions import BentoMLException, InvalidArgument, NotFound, ServiceUnavailable
    from bentoml.validators import ContentType, DType, Shape
    from PIL.Image import Image
    from pydantic import BaseModel
    from starlette.responses import PlainTextResponse

    class Colour(enum.Enum):
        RED = "red"
        BLUE = "blue"

    @dataclasses.dataclass
    class Point:
        x: int
        y: str = "q"

    class Size(t.TypedDict):
        width: int
        height: t.NotRequired[int]

    class Inner(BaseModel):
        when: datetime.datetime
        tags: t.List[str] = []

    class Outer(BaseModel):
        inner: Inner
        n: int = Field(default=1, ge=0)
        uid: t.Optional[uuid.UUID] = None

    class Params(BaseModel):
        size: int = 3

    class Teapot(BentoMLException):
        error_code = 418

    @bentoml.service
    class Letters:
        @bentoml.api
        def upper(self, text: str) -> str: return text.upper()
        @bentoml.api
        async def shout(self, text: str) -> str: return text.upper() + "!"
        @bentoml.api
        def count(self, n: int) -> t.Iterator[str]: yield from map(str, range(n))
        @bentoml.api
        def refuse(self) -> str: raise InvalidArgument("inner bad")

    class Base:
        def helper(self, x: int) -> int: return x + 1
        @bentoml.api
        def inherited(self, x: int) -> int: return self.helper(x)
        @bentoml.api
        def overridden(self, x: int) -> int: return 0

    @bentoml.service(
        name="surface", resources={"cpu": "200m", "memory": "512Mi", "gpu": "1"}, traffic={"timeout": 3}, threads=4,
        envs=[{"name": "SURFACE_WORD", "value": "declared"}],
    )
    class Surface(Base):
        """All of it."""
        letters = bentoml.depends(Letters)

        def __init__(self) -> None: self.word = os.environ["SURFACE_WORD"]
        @bentoml.on_startup
        async def warm(self) -> None: self.word += " warm"

        @bentoml.api
        def env(self) -> str: return self.word
        @bentoml.api
        def overridden(self, x: int) -> int: return x * 100
        @bentoml.api
        def text(self, x: str) -> str: return x
        @bentoml.api
        def integer(self, x: int) -> int: return x
        @bentoml.api
        async def number(self, x: float = 0.5) -> float: return x
        @bentoml.api
        def truth(self, x: bool) -> bool: return x
        @bentoml.api
        def nothing(self) -> None: pass
        @bentoml.api
        def anything(self, x): return x
        @bentoml.api
        def data(self, x: str) -> t.Annotated[bytes, ContentType("application/x-data")]: return x.encode()
        @bentoml.api
        def numbers(self, x: t.List[int]) -> t.List[int]: return x
        @bentoml.api
        def mapping(self, x: t.Dict[str, t.Any]) -> t.Dict[str, t.Any]: return x
        @bentoml.api
        def unique(self, x: set[int]) -> set[int]: return x
        @bentoml.api
        def optional(self, x: int | None = None) -> int | None: return x
        @bentoml.api
        def either(self, x: float | str) -> float | str: return x
        @bentoml.api
        def literal(self, x: t.Literal["a", "b"] = "a") -> t.Literal["a", "b"]: return x
        @bentoml.api
        def colour(self, x: Colour = Colour.RED) -> Colour: return x
        @bentoml.api
        def moment(self, x: datetime.datetime) -> datetime.datetime: return x
        @bentoml.api
        def price(self, x: decimal.Decimal) -> decimal.Decimal: return x
        @bentoml.api
        def point(self, x: Point) -> Point: return x
        @bentoml.api
        def size(self, x: Size) -> Size: return x
        @bentoml.api
        def model(self, x: Outer) -> Outer: return x
        @bentoml.api
        def bounded(self, x: int = Field(default=5, ge=1), y: t.Annotated[int, Field(gt=0)] = 2) -> int: return x + y
        @bentoml.api
        def awkward(self, copy: int = 1, json: str = "j", schema: str = "s", model_x: int = 2, _u: int = 3) -> list[t.Any]:
            return [copy, json, schema, model_x, _u]
        @bentoml.api
        def grown(self, x: list = []) -> list: return x.append(1) or x
        @bentoml.api
        def array(self, x: np.ndarray) -> np.ndarray: return x * 2
        @bentoml.api
        def shaped(self, x: t.Annotated[np.ndarray, Shape((2, 2)), DType("float32")]) -> np.ndarray: return x
        @bentoml.api
        def maybe_array(self, x: t.Optional[np.ndarray] = None) -> t.Optional[np.ndarray]: return x
        @bentoml.api
        def scalars(self) -> dict:
            return {"f": np.float32(1.5), "a": np.arange(2), "nan": float("nan"), "c": Colour.RED, "d": datetime.date(2026, 1, 2)}
        @bentoml.api
        def numpy_float(self) -> float: return np.float64(1.5)
        @bentoml.api
        def root_model(self, p: Params, /) -> Params: return p
        @bentoml.api
        def root_list(self, p: list[int], /) -> int: return sum(p)
        @bentoml.api
        def root_text(self, p: str, /) -> str: return p
        @bentoml.api
        def root_file(self, p: t.Annotated[Path, ContentType("text/*")], /) -> int: return p.stat().st_size
        @bentoml.api
        def file(self, f: Path) -> list: return [f.name[-5:], f.stat().st_size]
        @bentoml.api
        def files(self, f: t.List[Path]) -> list[int]: return [p.stat().st_size for p in f]
        @bentoml.api
        def maybe_file(self, f: t.Optional[Path] = None) -> str: return "none" if f is None else f.read_text()
        @bentoml.api
        def audio(self, f: t.Annotated[Path, ContentType("audio/mp3")]) -> int: return f.stat().st_size
        @bentoml.api
        def mixed(self, image: Image, params: Params, note: str = "n", tags: t.List[str] = ["a"]) -> list:
            return [image.mode, image.format, params.size, note, tags]
        @bentoml.api
        def image(self, image: Image) -> Image: return image
        @bentoml.api
        def jpeg(self, image: Image) -> t.Annotated[Image, ContentType("image/jpeg")]: return image.convert("RGB")
        @bentoml.api
        def made(self, ctx: bentoml.Context, name: str) -> Path:
            path = Path(ctx.temp_dir) / name
            path.write_text("content")
            return path
        @bentoml.api
        def missing_file(self) -> Path: return Path("/nonexistent/file")
        @bentoml.api
        async def words(self, prompt: str = "hé", tokens: t.Optional[t.List[int]] = None) -> t.AsyncGenerator[str, None]:
            for letter in prompt:
                yield letter
        @bentoml.api
        def lines(self) -> t.Generator[Params, None, None]:
            yield Params()
            yield Params(size=4)
        @bentoml.api
        def first_step_fails(self) -> t.Generator[str, None, None]:
            raise InvalidArgument("first")
            yield ""
        @bentoml.api
        def about(self, text: str, ctx: bentoml.Context) -> str:
            ctx.response.status_code = 202
            ctx.response.headers.append("X-A", "1")
            ctx.response.headers["Content-Type"] = "text/html"
            ctx.response.cookies = [bentoml.Cookie("k", "v", 9, None, "/p", None, True, True, "None")]
            ctx.response.set_cookie("a", "b")
            request = ctx.request
            return f"{text} {request.headers['x-in']} {request.query_params['q']} {request.cookies['c']}"
        @bentoml.api(route="/custom/url/name")
        def routed(self) -> str: return "routed"
        @bentoml.api
        async def itself(self, x: int) -> int:
            return sum(await asyncio.gather(self.to_async.integer(x), self.to_async.integer(x=x)))
        @bentoml.api
        async def others(self, text: str) -> list:
            return [await self.letters.to_async.upper(text, unknown=3), await self.letters.shout(text)]
        @bentoml.api
        def others_sync(self) -> str: return self.letters.upper("a") + "".join(self.letters.count(3))
        @bentoml.api
        def others_error(self) -> str: return self.letters.refuse()
        @bentoml.api
        def response(self): return PlainTextResponse("own", status_code=299)
        @bentoml.api
        def bad(self) -> str: raise InvalidArgument("bad thing")
        @bentoml.api
        def absent(self) -> str: raise NotFound("not there")
        @bentoml.api
        def teapot(self) -> str: raise Teapot("short")
        @bentoml.api
        def forbidden(self) -> str: raise BentoMLException("who", error_code=403)
        @bentoml.api
        def busy(self) -> str: raise ServiceUnavailable("secret")
        @bentoml.api
        def broken(self) -> str: raise ValueError("secret")
        @bentoml.api
        def wrong(self) -> int: return "no number"
        @bentoml.api
        async def late(self) -> str: await asyncio.sleep(9)
'''
JSON = "application/json"
TEXT = "text/plain; charset=utf-8"
STREAM = "text/event-stream"
GENERIC = "An unexpected error has occurred, please check the server log."
WHEN = "2026-01-02T03:04:05"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    project = Project(tmp_path_factory.mktemp("project"), tmp_path_factory.mktemp("home"))
    project.write(service_py=SERVICE)
    with project.serve("service:Surface") as url:
        yield url


@pytest.fixture(scope="module")
def http(server: str) -> Iterator[httpx2.Client]:
    with httpx2.Client(base_url=server, timeout=60) as client:
        yield client


def picture(mode: str = "RGB", kind: str = "PNG") -> bytes:
    buffer = io.BytesIO()
    PIL.Image.new(mode, (4, 3)).save(buffer, kind)
    return buffer.getvalue()


def body(answer: httpx2.Response) -> Any:
    """Return what the body holds, as its media type says."""
    return answer.json() if answer.headers["content-type"] == JSON else answer.text


@pytest.mark.parametrize(
    ("api", "sent", "media_type", "expected"),
    [
        ("env", {}, TEXT, "declared warm"),
        ("inherited", {"x": 1}, JSON, 2),
        ("overridden", {"x": 1}, JSON, 100),
        ("text", {"x": "héllo ☃ 😀"}, TEXT, "héllo ☃ 😀"),
        ("integer", {"x": "7"}, JSON, 7),
        ("integer", {"x": 10**30, "unknown": 1}, JSON, 10**30),
        ("number", {}, JSON, 0.5),
        ("truth", {"x": "yes"}, JSON, True),
        ("nothing", {}, JSON, None),
        ("anything", {"x": "text"}, JSON, "text"),
        ("anything", {"x": [1, {"a": None}]}, JSON, [1, {"a": None}]),
        ("data", {"x": "é"}, "application/x-data", "é"),
        ("numbers", {"x": [1, "2"]}, JSON, [1, 2]),
        ("mapping", {"x": {"a": [1, None]}}, JSON, {"a": [1, None]}),
        ("unique", {"x": [1, 1]}, JSON, [1]),
        ("optional", {}, JSON, None),
        ("optional", {"x": 4}, JSON, 4),
        ("either", {"x": 0.5}, JSON, 0.5),
        ("either", {"x": "s"}, JSON, "s"),
        ("literal", {}, TEXT, "a"),
        ("colour", {"x": "blue"}, JSON, "blue"),
        ("colour", {}, JSON, "red"),
        ("moment", {"x": WHEN}, JSON, WHEN),
        ("price", {"x": "1.10"}, JSON, "1.10"),
        ("point", {"x": {"x": 1}}, JSON, {"x": 1, "y": "q"}),
        ("size", {"x": {"width": "2"}}, JSON, {"width": 2}),
        ("model", {"x": {"inner": {"when": WHEN}}}, JSON, {"inner": {"when": WHEN, "tags": []}, "n": 1, "uid": None}),
        ("bounded", {}, JSON, 7),
        ("awkward", {"schema": "t", "_u": 4}, JSON, [1, "j", "t", 2, 4]),
        ("grown", {}, JSON, [1]),
        ("grown", {}, JSON, [1]),
        ("array", {"x": [[1, 2], [3, 4]]}, JSON, [[2, 4], [6, 8]]),
        ("shaped", {"x": [1, 2, 3, 4]}, JSON, [[1.0, 2.0], [3.0, 4.0]]),
        ("maybe_array", {"x": None}, JSON, None),
        ("maybe_array", {"x": [1.5]}, JSON, [1.5]),
        ("scalars", {}, JSON, {"f": 1.5, "a": [0, 1], "nan": None, "c": "red", "d": "2026-01-02"}),
        ("numpy_float", {}, JSON, 1.5),
        ("root_model", {"size": 4}, JSON, {"size": 4}),
        ("root_list", [1, 2], JSON, 3),
        ("maybe_file", {}, TEXT, "none"),
        ("words", {}, STREAM, "hé"),
        ("lines", {}, STREAM, '{"size":3}\n{"size":4}\n'),
        ("custom/url/name", {}, TEXT, "routed"),
        ("itself", {"x": 3}, JSON, 6),
        ("others", {"text": "a"}, JSON, ["A", "A!"]),
        ("others_sync", {}, TEXT, "A012"),
    ],
)  # fmt: skip
def test_json_in_and_out(
    http: httpx2.Client, api: str, sent: object, media_type: str, expected: object
) -> None:
    answer = http.post(f"/{api}", json=sent)
    assert (answer.status_code, answer.headers["content-type"]) == (200, media_type)
    assert body(answer) == expected


@pytest.mark.parametrize(
    ("api", "sent", "details"),
    [
        ("integer", b"{not json", [("json_invalid", [])]),
        ("integer", b"[1]", [("model_type", [])]),
        ("integer", b"", [("missing", ["x"])]),
        ("integer", b'{"x": 7.5}', [("int_from_float", ["x"])]),
        ("numbers", b'{"x": [1, "q"]}', [("int_parsing", ["x", 1])]),
        ("bounded", b'{"x": 0, "y": 0}', [("greater_than_equal", ["x"]), ("greater_than", ["y"])]),
        ("model", b'{"x": {"inner": {"when": 1}, "n": -1}}', [("greater_than_equal", ["x", "n"])]),
        ("colour", b'{"x": "green"}', [("enum", ["x"])]),
        ("size", b'{"x": {}}', [("missing", ["x", "width"])]),
        ("shaped", b'{"x": [1, 2, 3]}', [("value_error", ["x"])]),
        ("array", b'{"x": [[1], [1, 2]]}', [("value_error", ["x"])]),
        ("file", b'{"f": "/etc/passwd"}', [("path_type", ["f"])]),
        ("maybe_file", b'{"f": "/etc/passwd"}', [("path_type", ["f"])]),
        ("image", b'{"image": "x"}', [("path_type", ["image"])]),
        ("root_list", b"{}", [("list_type", ["root"])]),
    ],
)
def test_what_does_not_fit(http: httpx2.Client, api: str, sent: bytes, details: list[Any]) -> None:
    answer = http.post(f"/{api}", content=sent, headers={"content-type": JSON})
    assert answer.status_code == 400
    found = answer.json()
    assert found["error"].startswith(f"{len(details)} validation error for ")
    assert [(d["type"], d["loc"]) for d in found["detail"]] == details
    assert {key for d in found["detail"] for key in d} <= {"type", "loc", "msg", "url"}


@pytest.mark.parametrize(
    ("api", "status", "expected"),
    [
        ("bad", 400, {"error": "bad thing"}),
        ("others_error", 400, {"error": "inner bad"}),
        ("first_step_fails", 400, {"error": "first"}),
        ("absent", 404, {"error": "not there"}),
        ("teapot", 418, {"error": "short"}),
        ("forbidden", 403, {"error": "Authorization error"}),
        ("busy", 503, {"error": GENERIC}),
        ("broken", 500, {"error": GENERIC}),
        ("wrong", 500, {"error": GENERIC}),
        ("missing_file", 500, {"error": GENERIC}),
        ("late", 504, {"error": "Not able to process the request in 3 seconds"}),
        ("response", 299, "own"),
        ("nope", 404, "Not Found"),
    ],
)
def test_errors(http: httpx2.Client, api: str, status: int, expected: object) -> None:
    answer = http.post(f"/{api}", json={})
    assert (answer.status_code, body(answer)) == (status, expected)


@pytest.mark.parametrize(
    ("api", "content", "content_type", "status", "expected"),
    [
        pytest.param("integer", b'{"x": 4}', None, 200, 4, id="no type"),
        pytest.param("integer", b'{"x": 4}', "text/plain", 200, 4, id="another type"),
        pytest.param("integer", b'{"x": 4}', "APPLICATION/JSON; charset=utf-8", 200, 4, id="parameters"),
        pytest.param("integer", b'{"x": 4}', "application/x-www-form-urlencoded", 200, 4, id="curl -d"),
        pytest.param("integer", b"x=4", "application/x-www-form-urlencoded", 200, 4, id="a web form"),
        pytest.param("text", b"x=4", "application/x-www-form-urlencoded", 200, "4", id="text that looks like a number"),
        pytest.param("numbers", b"x=4", "application/x-www-form-urlencoded", 200, [4], id="a list of one"),
        pytest.param("root_text", "é".encode(), "text/plain", 200, "é", id="root text"),
        pytest.param("root_text", b'"x"', JSON, 200, '"x"', id="root text is raw"),
        pytest.param("root_model", b"", JSON, 200, {"size": 3}, id="empty body of a root"),
        pytest.param("root_file", b"abc", "text/csv", 200, 3, id="root file"),
        pytest.param("root_file", b"abc", None, 200, 3, id="root file of no type"),
        pytest.param("file", b"x", "multipart/form-data", 400, None, id="no boundary"),
        pytest.param("file", b"x", "multipart/form-data; boundary=b", 400, None, id="not a form"),
        pytest.param("root_file", b"abc", "image/png", 400, None, id="root file of another type"),
        pytest.param("root_text", b"\xff", "text/plain", 400, None, id="not UTF-8"),
        pytest.param("integer", b"x", "application/vnd.bentoml+pickle", 415, None, id="a pickle"),
    ],
)  # fmt: skip
def test_media_types(
    http: httpx2.Client, api: str, content: bytes, content_type: str | None, status: int, expected: object
) -> None:
    answer = http.post(
        f"/{api}", content=content, headers={"content-type": content_type} if content_type else {}
    )
    assert answer.status_code == status
    assert expected is None or body(answer) == expected


PNG = ("image", ("a.png", picture(), "image/png"))


@pytest.mark.parametrize(
    ("api", "parts", "expected"),
    [
        pytest.param("file", [("f", ("../a.txt", b"abc"))], ["a.txt", 3], id="a path is a name"),
        pytest.param("file", [("f", ("日本" * 200 + ".txt", b""))], ["本.txt", 0], id="a long name, an empty file"),
        pytest.param("files", [("f", ("a", b"1")), ("f", ("b", b"22"))], [1, 2], id="several files"),
        pytest.param("files", [("f", ("a", b"1"))], [1], id="a list of one file"),
        pytest.param("maybe_file", [("f", ("a", b"abc"))], "abc", id="optional"),
        pytest.param("maybe_file", [("other", (None, "x"))], "none", id="optional, left out"),
        pytest.param("audio", [("f", ("a.mp3", b"x", "audio/mp3"))], 1, id="of the right type"),
        pytest.param(
            "mixed",
            [PNG, ("params", (None, '{"size": 5}')), ("note", (None, "3")), ("tags", (None, "x"))],
            ["RGB", "PNG", 5, "3", ["x"]],
            id="an image, JSON, text and a list",
        ),
        pytest.param("mixed", [PNG, ("params", ("p", b"{}", JSON))], ["RGB", "PNG", 3, "n", ["a"]], id="JSON as a file"),
    ],
)  # fmt: skip
def test_forms(http: httpx2.Client, api: str, parts: Any, expected: object) -> None:
    answer = http.post(f"/{api}", files=parts)
    assert (answer.status_code, body(answer)) == (200, expected)


@pytest.mark.parametrize(
    ("api", "parts", "kind"),
    [
        pytest.param("file", [("f", (None, "http://127.0.0.1/"))], "path_type", id="text is no file"),
        pytest.param("files", [("g", (None, "1"))], "missing", id="none"),
        pytest.param("audio", [("f", ("a.wav", b"x", "audio/wav"))], "value_error", id="media type"),
        pytest.param("image", [("image", ("a.png", b"junk", "image/png"))], "value_error", id="junk"),
        pytest.param("image", [("image", ("a.jpg", picture(), "image/jpeg"))], "value_error", id="another format"),
        pytest.param("mixed", [PNG, ("params", (None, "nonsense"))], "model_type", id="no JSON"),
    ],
)  # fmt: skip
def test_forms_that_do_not_fit(http: httpx2.Client, api: str, parts: Any, kind: str) -> None:
    answer = http.post(f"/{api}", files=parts)
    assert answer.status_code == 400
    assert [d["type"] for d in answer.json()["detail"]] == [kind]


@pytest.mark.parametrize(("mode", "kind"), [("RGBA", "PNG"), ("L", "JPEG"), ("CMYK", "JPEG"), ("P", "GIF"), ("RGB", "WEBP"), ("F", "TIFF")])  # fmt: skip
def test_images(http: httpx2.Client, mode: str, kind: str) -> None:
    parts = {"image": ("a", picture(mode, kind), f"image/{kind.lower()}")}
    answer = http.post("/image", files=parts)
    assert (answer.status_code, answer.headers["content-type"]) == (200, f"image/{kind.lower()}")
    with PIL.Image.open(io.BytesIO(answer.content)) as image:
        assert (image.format, image.mode, image.size) == (kind, mode, (4, 3))
    assert http.post("/jpeg", files=parts).headers["content-type"] == "image/jpeg"


@pytest.mark.parametrize(
    ("name", "media_type", "disposition"),
    [
        ("out.txt", TEXT, 'attachment; filename="out.txt"'),
        ("out.png", "image/png", 'inline; filename="out.png"'),
        ("ü.bin", "application/octet-stream", "attachment; filename*=utf-8''%C3%BC.bin"),
    ],
)
def test_files(http: httpx2.Client, name: str, media_type: str, disposition: str) -> None:
    answer = http.post("/made", json={"name": name})
    assert (answer.status_code, answer.content) == (200, b"content")
    assert answer.headers["content-type"] == media_type
    assert answer.headers["content-disposition"] == disposition
    assert answer.headers["content-length"] == "7"
    assert {"etag", "last-modified", "accept-ranges"} <= set(answer.headers)


def test_the_context(http: httpx2.Client) -> None:
    answer = http.post("/about?q=query", json={"text": "text"}, headers={"x-in": "in", "cookie": "c=cookie"})
    assert (answer.status_code, answer.text) == (202, "text in query cookie")
    assert answer.headers.get_list("set-cookie") == [
        "k=v; HttpOnly; Max-Age=9; Path=/p; SameSite=None; Secure",
        "a=b; Path=/; SameSite=lax",
    ]
    assert (answer.headers["x-a"], answer.headers.get_list("content-type")) == ("1", ["text/html"])


def test_headers_of_an_answer(http: httpx2.Client) -> None:
    answer = http.post("/integer", json={"x": 1})
    assert answer.headers["server"] == "BentoML Service/surface"
    assert len(answer.headers["x-bentoml-request-id"]) == 16
    assert answer.headers["content-length"] == "1"


@pytest.mark.parametrize(
    ("path", "media_type"),
    [
        ("/livez", TEXT),
        ("/healthz", TEXT),
        ("/readyz", TEXT),
        ("/metrics", "text/plain; version=1.0.0; charset=utf-8"),
        ("/schema.json", JSON),
        ("/docs.json", JSON),
        ("/", "text/html; charset=utf-8"),
    ],
)
def test_pages(http: httpx2.Client, path: str, media_type: str) -> None:
    answer = http.get(path)
    assert (answer.status_code, answer.headers["content-type"]) == (200, media_type)
    assert ("server" in answer.headers) == ("x-bentoml-request-id" in answer.headers)
    assert ("server" in answer.headers) == (path in ("/schema.json", "/docs.json", "/"))
    head = http.head(path)
    assert (head.status_code, head.content) == (200, b"")
    assert http.post(path).status_code == 405


def test_a_slash_too_many_is_sent_on(http: httpx2.Client) -> None:
    answer = http.post("/integer/?a=b", json={"x": 1}, follow_redirects=False)
    assert (answer.status_code, answer.headers["location"]) == (307, "/integer?a=b")
    assert http.post("/integer/", json={"x": 1}, follow_redirects=True).json() == 1


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "OPTIONS"])
def test_an_api_takes_post_alone(http: httpx2.Client, method: str) -> None:
    answer = http.request(method, "/integer")
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")


def test_the_schema(http: httpx2.Client) -> None:
    schema = http.get("/schema.json").json()
    assert (schema["name"], schema["type"], schema["description"]) == ("surface", "service", "All of it.")
    assert [route["name"] for route in schema["routes"]] == sorted(
        route["name"] for route in schema["routes"]
    )
    routes = {route["name"]: route for route in schema["routes"]}
    assert routes["routed"]["route"] == "/custom/url/name"
    assert "ctx" not in json.dumps(routes["about"]["input"])
    assert routes["array"]["output"] == {
        "type": "tensor",
        "format": "numpy-array",
        "contentMediaType": "application/x-npy",
    }
    assert routes["words"]["output"]["is_stream"] is True
    assert routes["root_list"]["input"]["root_input"] is True
    assert routes["files"]["input"]["properties"]["f"]["items"]["type"] == "file"
    assert set(http.get("/docs.json").json()["paths"]) > {"/integer", "/custom/url/name", "/readyz"}


@pytest.mark.parametrize(
    ("request_bytes", "answers"),
    [
        pytest.param(
            b'POST /integer HTTP/1.1\r\nHost: x\r\nContent-Length: 8\r\n\r\n{"x": 1}' * 3, 3, id="three at once"
        ),
        pytest.param(
            b'POST /integer HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{"x":\r\n2\r\n1}\r\n0\r\n\r\n',
            1,
            id="chunks",
        ),
        pytest.param(b'POST /%69nteger HTTP/1.0\r\nContent-Length: 8\r\n\r\n{"x": 1}', 1, id="HTTP/1.0 and escapes"),
    ],
)  # fmt: skip
def test_the_protocol(server: str, request_bytes: bytes, answers: int) -> None:
    with socket.create_connection(("127.0.0.1", urlsplit(server).port or 0), timeout=60) as connection:
        connection.sendall(request_bytes)
        got = b""
        while got.count(b"\r\n\r\n1") < answers:
            piece = connection.recv(65536)
            assert piece, got
            got += piece
    assert got.count(b"HTTP/1.1 200 OK") == answers


def test_many_callers_each_get_their_own_answer(http: httpx2.Client) -> None:
    with ThreadPoolExecutor(50) as threads:
        answers = list(threads.map(lambda i: http.post("/integer", json={"x": i}).json(), range(200)))
    assert answers == list(range(200))


def test_the_client(server: str) -> None:
    with bentoml.SyncHTTPClient(server) as client:
        assert client.text("é") == "é"
        assert client.array([1, 2]).tolist() == [2, 4]
        assert client.root_list([1, 2]) == 3
        assert client.files([b"a", io.BytesIO(b"bb")]) == [1, 2]
        assert client.mixed(image=PIL.Image.new("RGB", (2, 2)), params={})[:3] == ["RGB", "PNG", 3]
        assert "".join(client.words(prompt="héy")) == "héy"
        assert list(client.lines()) == [{"size": 3}, {"size": 4}]
        assert client.made(name="a.txt").read_text() == "content"
        with pytest.raises(bentoml.exceptions.NotFound, match="not there"):
            client.absent()
        with pytest.raises(TypeError, match="Missing required arguments"):
            client.text()


def test_a_variable_that_nobody_sets(tmp_path_factory: pytest.TempPathFactory) -> None:
    project = Project(tmp_path_factory.mktemp("project"), tmp_path_factory.mktemp("home"))
    project.write(
        service_py="""
        import bentoml
        @bentoml.service(envs=[{"name": "SURFACE_TOKEN"}])
        class Needy: pass
        """
    )
    done = project.bentoml("serve", "--port", "0")
    assert done.returncode == 1
    assert "`SURFACE_TOKEN` is required but not set" in done.stderr
    assert "Traceback" not in done.stdout + done.stderr
