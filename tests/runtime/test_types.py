"""Every type over HTTP: arrays by media type, answers of several files, root inputs, errors that a caller can read."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from email.parser import BytesParser
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from pydantic import BaseModel
from tests.runtime.served import Reply, Served, served

import bentoml
from bentoml.sdk.values.npy import NPY, read_npy, write_npy
from bentoml.validators import ContentType, DType

EXACT = {"content-type": NPY, "accept": NPY}
FORM = {"content-type": "multipart/form-data; boundary=B"}


class Report(bentoml.IODescriptor):
    picture: Annotated[Image.Image, ContentType("image/jpeg")]
    text: Path
    scores: np.ndarray


class Item(BaseModel):
    file: Path
    note: str = ""


@bentoml.service
class Types:
    @bentoml.api
    def double(self, values: Annotated[np.ndarray, DType("float32")]) -> np.ndarray:
        values *= 2
        return values

    @bentoml.api
    async def root_array(self, values: np.ndarray, /) -> np.ndarray:
        return values

    @bentoml.api
    def table(self, rows: pd.DataFrame, /) -> pd.DataFrame:
        return rows

    @bentoml.api
    def report(self, name: str, ctx: bentoml.Context) -> Report:
        ctx.response.status_code = 201
        ctx.response.headers["x-own"] = "yes"
        path = Path(ctx.temp_dir) / name
        path.write_bytes(b"\r\n--" + bytes(600_000))
        return Report(picture=Image.new("RGB", (2, 2)), text=path, scores=np.arange(2))

    @bentoml.api
    def gone(self) -> list[Path]:
        return [Path("/does/not/exist")]

    @bentoml.api
    def root_file(self, file: Path, /) -> str:
        return file.read_text()

    @bentoml.api
    def root_text(self, text: str, /) -> str:
        return repr(text)

    @bentoml.api
    def items(self, items: list[Item]) -> list[str]:
        return [item.file.read_text() + item.note for item in items]

    @bentoml.api(output_spec=Report)
    def spec(self) -> Any:
        return {"picture": Image.new("L", (1, 1)), "text": __file__, "scores": [1]}


@pytest.fixture(scope="module")
def server() -> Iterator[Served]:
    with served(Types) as server:
        yield server


def form(*parts: tuple[str, bytes, str | None]) -> bytes:
    lines = [
        b'--B\r\ncontent-disposition: form-data; name="%s"%s\r\n\r\n%s\r\n'
        % (name.encode(), b"" if filename is None else b'; filename="%s"' % filename.encode(), data)
        for name, data, filename in parts
    ]
    return b"".join(lines) + b"--B--\r\n"


def parts_of(reply: Reply) -> dict[str, tuple[str, str | None, bytes]]:
    """Return the parts of a form as the standard library reads them."""
    head = f"content-type: {reply.headers['content-type']}\r\n\r\n".encode()
    message = BytesParser().parsebytes(head + reply.body)
    found: dict[str, tuple[str, str | None, bytes]] = {}
    for part in message.get_payload():
        assert not isinstance(part, str)
        name = str(part.get_param("name", header="content-disposition"))
        content = part.get_payload(decode=True)
        assert isinstance(content, bytes)
        found[name] = (part.get_content_type(), part.get_filename(), content)
    return found


def test_arrays_as_exact_bytes(server: Served) -> None:
    array = np.array([[0.1, 0.2]], np.float32)
    reply = server.ask("/double", write_npy(array), headers=EXACT)
    assert (reply.status, reply.headers["content-type"]) == (200, NPY)
    np.testing.assert_array_equal(read_npy(reply.body), array * 2)
    assert server.ask("/double", write_npy([1]), headers={"content-type": NPY}).json() == [2.0]
    reply = server.ask("/double", {"values": [1]}, headers={"accept": NPY})
    assert read_npy(reply.body).tolist() == [2]
    assert read_npy(server.ask("/root_array", write_npy(np.eye(2)), headers=EXACT).body).shape == (2, 2)


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/double", b"", 400),
        ("/double", b"\x93NUMPY\x01\x00", 400),
        ("/double", write_npy(np.array([1e300])), 400),
        ("/root_array", b"junk", 400),
        ("/table", write_npy([1]), 415),
        ("/report", write_npy([1]), 415),
    ],
)
def test_bytes_that_are_no_array(server: Served, path: str, body: bytes, status: int) -> None:
    reply = server.ask(path, body, headers=EXACT)
    assert (reply.status, reply.headers["content-type"]) == (status, "application/json")
    assert "error" in reply.json()


def test_an_answer_of_several_files(server: Served) -> None:
    reply = server.ask("/report", {"name": 'ü "a".txt'})
    assert reply.status == 201
    assert reply.headers["x-own"] == "yes"
    assert reply.headers["server"] == "BentoML Service/Types"
    assert int(reply.headers["content-length"]) == len(reply.body)
    assert len(reply.chunks) > 6  # the file is not read at once
    parts = parts_of(reply)
    assert list(parts) == ["picture", "text", "scores"]
    assert parts["picture"][:2] == ("image/jpeg", "image.jpeg")
    assert Image.open(io.BytesIO(parts["picture"][2])).size == (2, 2)
    assert parts["text"][0] == "text/plain"
    assert len(parts["text"][2]) == 600_004
    assert parts["scores"] == ("application/json", None, b"[0,1]")
    assert list(parts_of(server.ask("/spec", {}))) == ["picture", "text", "scores"]


def test_a_file_that_is_not_there(server: Served) -> None:
    reply = server.ask("/gone", {})
    assert reply.status == 500
    assert b"does" not in reply.body  # a path of the server


def test_root_inputs(server: Served) -> None:
    assert server.ask("/root_text", b"").body == b"''"
    one = form(("any", b"content", "a.txt"))
    assert server.ask("/root_file", one, headers=FORM).body == b"content"
    assert server.ask("/root_file", b"content", headers={"content-type": "text/plain"}).body == b"content"
    assert server.ask("/root_file", form(("file", b"/etc/passwd", None)), headers=FORM).status == 400
    assert server.ask("/root_file", one[:-7] + one, headers=FORM).status == 400
    assert server.ask("/table", [{"a": 1, "b": None}]).json() == [{"a": 1, "b": None}]


def test_files_in_models(server: Served) -> None:
    body = form(("items", json.dumps([{}, {"note": "!"}]).encode(), None), ("items.0.file", b"x", "x"), ("items.1.file", b"y", "y"))  # fmt: skip
    assert server.ask("/items", body, headers=FORM).json() == ["x", "y!"]
    reply = server.ask("/items", {"items": [{"file": "/etc/passwd"}]})
    assert reply.status == 400
    assert reply.json() == {
        "error": "1 validation error for Input",
        "detail": [{"type": "path_type", "loc": ["items", 0, "file"], "msg": "Invalid file type"}],
    }
    assert (
        server.ask("/items", form(("items", b"[]", None), ("items.0.file", b"", "x")), headers=FORM).status
        == 400
    )
