"""The bytes of a request, and that they can be sent again."""

from __future__ import annotations

import io
import os
from contextlib import ExitStack
from pathlib import Path
from typing import Any, BinaryIO

import pytest

from bentoml.client.body import Body, body_of
from bentoml.client.plan import Field, RequestPlan
from bentoml.client.uploads import Upload
from bentoml.exceptions import InvalidArgument


def made(content: Any, media_type: str | None = None) -> tuple[Body, bytes]:
    """Return a body, and what is sent; the second time it is the same."""
    with ExitStack() as opened:
        body = body_of(RequestPlan("/x", content, media_type), opened)
        first, second = b"".join(body.pieces()), body.in_memory()
    assert first == second
    assert len(first) == body.length
    return body, first


def file(content: bytes | Path | BinaryIO, name: str = "a.txt", media_type: str = "text/plain") -> Upload:
    return Upload(content, name, media_type)


def test_bytes() -> None:
    body, sent = made(b"abc", "text/plain")
    assert (sent, body.media_type, body.in_files) == (b"abc", "text/plain", False)


def test_a_form() -> None:
    body, sent = made((Field("a", b"1"), Field("b", file(b"content")), Field("c", b"2")))
    assert body.media_type is not None
    boundary = body.media_type.removeprefix("multipart/form-data; boundary=").encode()
    assert sent == (
        b'--B\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n'
        b'--B\r\nContent-Disposition: form-data; name="b"; filename="a.txt"\r\nContent-Type: text/plain\r\n\r\ncontent\r\n'
        b'--B\r\nContent-Disposition: form-data; name="c"\r\n\r\n2\r\n--B--\r\n'
    ).replace(b"--B", b"--" + boundary)


def test_a_form_of_nothing() -> None:
    body, sent = made(())
    assert body.media_type is not None
    assert sent == b"--" + body.media_type.partition("=")[2].encode() + b"--\r\n"


def test_names_cannot_break_out_of_their_quotes() -> None:
    _, sent = made((Field('a"\r\nX: y', file(b"", 'b".txt\r\n')),))
    assert b'name="a%22%0D%0AX: y"; filename="b%22.txt%0D%0A"\r\n' in sent


def test_files_are_read_while_they_are_sent(tmp_path: Path) -> None:
    path = tmp_path / "large"
    path.write_bytes(os.urandom(600_000))
    body, sent = made(file(path))
    assert sent == path.read_bytes()
    assert body.in_files
    assert [len(piece) for piece in body.pieces()] == [262_144, 262_144, 75_712]


def test_an_open_file_is_sent_from_its_start() -> None:
    opened = io.BytesIO(b"content")
    opened.seek(3)
    assert made(file(opened))[1] == b"content"


def test_a_pipe_can_be_sent_again() -> None:
    reading, writing = os.pipe()
    with open(writing, "wb") as pipe:
        pipe.write(b"x" * 5000)
    with open(reading, "rb") as pipe:
        assert made((Field("a", file(pipe)),))[1].count(b"x") >= 5000


def test_a_file_that_only_has_read() -> None:
    class Source:
        def __init__(self) -> None:
            self._pieces = [b"a", b"b", b""]

        def read(self, size: int) -> bytes:
            return self._pieces.pop(0)

    source: Any = Source()
    assert made(file(source))[1] == b"ab"


def test_a_file_that_gives_text() -> None:
    class Source:
        def read(self, size: int) -> str:
            return "text"

    source: Any = Source()
    with pytest.raises(TypeError, match="a file gives bytes, not `str`"):
        made(file(source))


def test_a_file_that_is_gone(tmp_path: Path) -> None:
    with pytest.raises(InvalidArgument, match="gone` cannot be read: No such file"):
        made(file(tmp_path / "gone"))
