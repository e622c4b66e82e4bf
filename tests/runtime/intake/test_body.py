"""Bodies: large uploads on their way to the disk, nesting, encodings, and what is refused before it is read."""

from __future__ import annotations

import asyncio
import json
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.runtime.served import Served, served

import bentoml
from bentoml.runtime.intake.nesting import is_deeper

LIMITS = {"body": "1MiB", "upload": "8MiB", "parts": 5, "depth": 10}
GO_ON = threading.Event()


@bentoml.service(http={"limits": LIMITS}, traffic={"timeout": 2})
class Bodies:
    @bentoml.api
    def sizes(self, f: list[Path], note: str = "", any: Any = None) -> str:
        return f"{[p.stat().st_size for p in f]} {note} {f[0].read_bytes()[-3:]!r}"

    @bentoml.api
    def anything(self, any: Any = None) -> int:
        return 1

    @bentoml.api
    def text(self, text: str, /) -> str:
        return text

    @bentoml.api
    def exact(self, content: bytes, /) -> bytes:
        return content

    @bentoml.api
    async def raw(self, f: Path, ctx: bentoml.Context) -> str:
        try:
            return str(len(await ctx.request.body()))
        except RuntimeError as e:
            return str(e)[:10]


@pytest.fixture(scope="module")
def app() -> Iterator[Served]:
    with served(Bodies) as running:
        yield running


def form(*parts: tuple[str, bytes], end: bytes = b"--b--\r\n") -> bytes:
    head = b'--b\r\nContent-Disposition: form-data; name="'
    return b"".join(head + name.encode() + b'"\r\n\r\n' + content + b"\r\n" for name, content in parts) + end


SENT = {"content-type": "multipart/form-data; boundary=b"}
FILE = 'f"; filename="a.bin'


@pytest.mark.parametrize("pieces", [1, 3, 200])
def test_an_upload_goes_to_the_disk_as_it_comes(app: Served, pieces: int) -> None:
    body = form((FILE, os.urandom(3_000_000) + b"end"), ("note", b"hi"), (FILE, b""))
    reply = app.ask("/sizes", body, headers=SENT, pieces=pieces)
    assert (reply.status, reply.body) == (200, b"[3000003, 0] hi b'end'")
    reply = app.ask(
        "/sizes", body, headers={**SENT, "content-length": ""}, pieces=pieces
    )  # its length is not said
    assert reply.status == 200


def test_nothing_of_an_upload_is_left(app: Served) -> None:
    folders = []

    @bentoml.service
    class Where:
        @bentoml.api
        def where(self, f: Path) -> str:
            folders.append(f.parent)
            return str(os.listdir(f.parent) == [f.name])

    with served(Where) as here:
        for _ in range(2):
            assert here.ask("/where", form((FILE, b"x" * 3_000_000)), headers=SENT, pieces=20).body == b"True"
        assert (
            here.ask("/where", form((FILE, b"x" * 3_000_000), end=b""), headers=SENT, pieces=20).status == 400
        )
        assert len(set(folders)) == 1
        assert list(folders[0].iterdir()) == []


def test_a_large_upload_is_not_there_a_second_time(app: Served) -> None:
    small, large = form((FILE, b"x" * 100)), form((FILE, b"x" * 3_000_000))
    assert app.ask("/raw", small, headers=SENT).body == str(len(small)).encode()
    assert app.ask("/raw", large, headers=SENT, pieces=9).body == b"the upload"


@pytest.mark.parametrize(
    ("body", "status", "message"),
    [
        (form((FILE, b"x" * 9_000_000)), 413, "longer than 8388608 bytes"),
        (form((FILE, b"x" * 3_000_000), ("note", b"y" * 1_500_000)), 413, "fields of the form"),
        (form((FILE, b"x" * 3_000_000), end=b""), 400, "cut off"),
        (form(*[(FILE, b"x")] * 6), 400, "more than 5 parts"),
        (form((FILE, b"x"), ("any", b"[" * 11 + b"]" * 11)), 400, "10 levels"),
        (b"no form at all" * 300_000, 400, "boundary"),
    ],
)
def test_uploads_that_are_refused(app: Served, body: bytes, status: int, message: str) -> None:
    reply = app.ask("/sizes", body, headers=SENT, pieces=40)
    assert (reply.status, message in reply.json()["error"]) == (status, True)


def test_a_long_body_in_one_message(app: Served) -> None:
    assert app.ask("/anything", b'"' + b"x" * (1 << 20) + b'"').status == 413
    assert app.ask("/sizes", form((FILE, b"x" * (1 << 21))), headers=SENT).status == 200


def test_a_client_that_leaves_in_the_middle_of_an_upload(app: Served) -> None:
    body = form((FILE, b"x" * 3_000_000))
    messages: list[dict[str, Any]] = [
        {"type": "http.request", "body": body[:2_500_000], "more_body": True},
        {"type": "http.disconnect"},
    ]

    async def receive() -> dict[str, Any]:
        return messages.pop(0)

    async def send(message: dict[str, Any]) -> None:
        await asyncio.sleep(0)

    headers = [(b"content-type", b"multipart/form-data; boundary=b")]
    scope = {
        "type": "http",
        "method": "POST",
        "path": "/sizes",
        "scheme": "http",
        "headers": headers,
        "client": None,
    }
    app.run(app.app(scope, receive, send))
    assert not messages


@pytest.mark.parametrize(("levels", "status"), [(9, 200), (10, 400), (150, 400), (100_000, 400)])
def test_nesting(app: Served, levels: int, status: int) -> None:
    for opening, closing in (("[", "]"), ('{"a":', "}")):
        text = '{"any":' + opening * levels + "1" + closing * levels + "}"
        assert app.ask("/anything", text.encode()).status == status


@pytest.mark.parametrize(
    ("text", "depth"),
    [
        ("1", 0),
        ("[]", 1),
        ('{"a": [[], [1], {"b": {}}]}', 4),
        ('["' + "[" * 50 + '"]', 1),
        (r'["\"[[[", "\\", [[]]]', 3),
        (json.dumps([[[i, {"a": "]" * 3}] for i in range(50)]] * 50), 4),
        ("[" * 40 + "]" * 40, 40),
    ],
)
def test_depth(text: str, depth: int) -> None:
    wide = text if depth > 10 else f"[{text}{(',' + text) * 60}]"  # with more brackets than levels
    levels = depth if depth > 10 else depth + 1
    json.loads(wide)
    assert is_deeper(wide.encode(), levels - 1)
    assert not is_deeper(wide.encode(), levels)


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "identity, gzip"])
def test_encoded_bodies_are_not_read(app: Served, encoding: str) -> None:
    sent = {"content-type": "application/json", "content-encoding": encoding}
    reply = app.ask("/anything", b"{}", headers=sent)
    assert (reply.status, encoding in reply.json()["error"]) == (415, True)
    assert app.ask("/anything", b"{}", headers={**sent, "content-encoding": "Identity"}).status == 200


@pytest.mark.parametrize(("charset", "status"), [("utf-8", 200), ("iso-8859-1", 200), ("ebcdic", 400)])
def test_character_sets_of_json(app: Served, charset: str, status: int) -> None:
    text = '{"any": "é"}'.encode("latin-1" if charset == "iso-8859-1" else "utf-8")
    sent = {"content-type": f"application/json; charset={charset}"}
    assert app.ask("/anything", text, headers=sent).status == status


@pytest.mark.parametrize(
    ("charset", "sent", "status", "answer"),
    [
        ("utf-8", "é".encode(), 200, "é".encode()),
        ("iso-8859-1", b"\xe9", 200, "é".encode()),
        ("windows-1252", b"\x80", 200, "€".encode()),
        ("utf-8", b"\xe9", 400, b'{"error":"the body is not UTF-8 text"}'),
        ("ebcdic", b"a", 400, b'{"error":"the character set `ebcdic` is not known; send UTF-8"}'),
    ],
)
def test_character_sets_of_a_text(app: Served, charset: str, sent: bytes, status: int, answer: bytes) -> None:
    headers = {"content-type": f"text/plain; charset={charset}"}
    reply = app.ask("/text", sent, headers=headers)
    assert (reply.status, reply.body) == (status, answer)
    assert app.ask("/exact", sent, headers=headers).body == sent
