"""What the fuzzers throw bytes at: every decoder of requests. Whatever comes, the answer is arguments or a 4xx."""

from __future__ import annotations

import io
import json
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import Enum
from pathlib import Path
from types import SimpleNamespace
from typing import Annotated, Any, Literal, NamedTuple

import numpy as np
import pandas as pd
from PIL import Image
from pydantic import BaseModel

import bentoml
from bentoml.exceptions import BentoMLException
from bentoml.runtime.intake.body import decode
from bentoml.sdk.configuration.sections import Limits
from bentoml.sdk.method import APIMethod
from bentoml.sdk.values.npy import NPY, prefers_npy, read_npy, write_npy
from bentoml.validators import ContentType, DataframeSchema, DType, Shape

__all__ = ["TARGETS", "WORDS", "Target"]

BOUNDARY = "B"
FORM = f"multipart/form-data; boundary={BOUNDARY}"
URLENCODED = "application/x-www-form-urlencoded"


class Colour(Enum):
    RED = "red"


class Node(BaseModel):
    n: int
    children: list[Node] = []


class Shown(bentoml.IODescriptor):
    image: Image.Image | None = None
    array: np.ndarray | None = None
    note: str = ""


@dataclass
class Point:
    x: float
    tags: list[str] = field(default_factory=list)


class Pair(NamedTuple):
    file: Path
    note: str = ""


class Everything:
    def values(
        self, text: str = "", n: int = 0, f: float = 0, b: bool = False, data: bytes = b"", price: Decimal = Decimal(0),
        when: datetime | None = None, colour: Colour = Colour.RED, kind: Literal["a", 1] = 1, anything: Any = None,
        tags: list[str] = [], unique: set[int] = set(), pair: tuple[int, str] = (0, ""), point: Point | None = None,  # noqa: B006  # never shared
        tree: Node | None = None, either: int | str | None = None,
    ) -> None: ...  # fmt: skip
    def arrays(
        self, a: np.ndarray, b: Annotated[np.ndarray, DType("float32"), Shape((2, -1))] | None = None
    ) -> None: ...
    def array(self, a: Annotated[np.ndarray, DType("int16")], /) -> None: ...
    def table(
        self, t: Annotated[pd.DataFrame, DataframeSchema(columns=["a", "b"])], s: pd.Series | None = None
    ) -> None: ...
    def files(
        self, file: Path | None = None, files: list[Annotated[Path, ContentType("text/*")]] = [], shown: list[Shown] = [],  # noqa: B006  # never shared
        pairs: dict[str, Pair] = {}, either: Path | str = "", note: str = "",  # noqa: B006  # never shared
    ) -> None: ...  # fmt: skip
    def picture(self, picture: Image.Image, /) -> None: ...
    def model(self, shown: Shown, /) -> None: ...
    def text(self, text: str, /) -> None: ...


_INPUTS = {name: APIMethod(f).input for name, f in vars(Everything).items() if not name.startswith("_")}
_FOLDER = tempfile.TemporaryDirectory(prefix="bentoml-fuzz-")


@dataclass(frozen=True)
class Target:
    """One decoder, and bytes that it takes, to begin with."""

    run: Callable[[bytes], None]
    seeds: tuple[bytes, ...]


def _request(name: str, content_type: str) -> Callable[[bytes], None]:
    """Return what reads a body of this media type for one API; what is not the caller's mistake comes out."""
    folder = Path(_FOLDER.name)
    call: Any = SimpleNamespace(
        headers={b"content-type": content_type.encode()},
        server=SimpleNamespace(limits=Limits()),
        temp_dir=lambda: folder,
    )

    def run(body: bytes) -> None:
        try:
            decode(call, _INPUTS[name], body)
        except BentoMLException as e:
            if not 400 <= e.error_code < 500:
                raise
        finally:
            for file in folder.iterdir():
                file.unlink()

    return run


def _npy(data: bytes) -> None:
    try:
        assert read_npy(data).nbytes <= len(data)
    except ValueError:
        return


def _accept(data: bytes) -> None:
    assert prefers_npy(data) in (True, False)


def _image(kind: str) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (3, 2), "red").save(buffer, kind)
    return buffer.getvalue()


def _form(*parts: tuple[str, str | None, str | None, bytes]) -> bytes:
    lines = []
    for name, filename, content_type, data in parts:
        shown = "" if filename is None else f'; filename="{filename}"'
        typed = "" if content_type is None else f"content-type: {content_type}\r\n"
        head = f'--{BOUNDARY}\r\ncontent-disposition: form-data; name="{name}"{shown}\r\n{typed}\r\n'
        lines.append(head.encode() + data + b"\r\n")
    return b"".join(lines) + f"--{BOUNDARY}--\r\n".encode()


def _json(value: object) -> bytes:
    return json.dumps(value).encode()


_VALUES = {
    "text": "é", "n": 3, "f": 0.5, "b": True, "data": "x", "price": "1.10", "when": "2026-01-02T03:04:05Z", "colour": "red",
    "kind": "a", "anything": {"a": [None]}, "tags": ["a"], "unique": [1], "pair": [1, "x"], "point": {"x": 1},
    "tree": {"n": 1, "children": [{"n": 2}]}, "either": 1,
}  # fmt: skip
_EXACT = write_npy(np.arange(4, dtype=np.int16))
_ARRAYS = (_json({"a": [[1, 2.5], [3, None]], "b": [1, 2]}), b'{"a": [NaN, 1e999, 18446744073709551616]}')
_FILES = _form(
    ("file", "../a.txt", "text/plain", b"content"), ("files", "1", "text/a", b""), ("shown", None, None, b"[{}]"),
    ("shown.0.image", "a.png", "image/png", _image("PNG")), ("shown.0.array", "a.npy", NPY, _EXACT),
    ("pairs.x.file", "x", None, b""), ("either", None, None, b"text"), ("note", None, None, b"3"),
)  # fmt: skip
_TEXTS = _form(*((name, None, None, _json(value)) for name, value in _VALUES.items()))
_FIELDS = b"text=3&n=4&f=1e3&b=on&tags=a&tags=2&pair=1&pair=x&colour=red&when=2026-01-02&price=1.10&data=%ff&tree=%7B%22n%22%3A1%7D"
_IMAGES = tuple(_image(k) for k in ("PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP", "ICO", "TGA", "PPM", "PCX", "SGI", "DDS"))  # fmt: skip

TARGETS = {
    "json": Target(_request("values", "application/json"), (_json(_VALUES), b"[]", b"\xef\xbb\xbf{}")),
    "json arrays": Target(_request("arrays", "application/json"), _ARRAYS),
    "json tables": Target(
        _request("table", "application/json"),
        (_json({"t": [{"a": 1, "b": "x"}], "s": [1, None]}), _json({"t": {"a": [1], "b": {"0": 1}}})),
    ),
    "json files": Target(
        _request("files", "application/json"), (_json({"file": "/etc/passwd", "shown": [{"image": 1}]}),)
    ),
    "json model": Target(_request("model", ""), (_json({"image": None, "array": [1], "note": "x"}),)),
    "form files": Target(_request("files", FORM), (_FILES, b"preamble\r\n" + _FILES)),
    "form values": Target(_request("values", FORM), (_TEXTS,)),
    "form arrays": Target(
        _request("arrays", FORM), (_form(("a", "a", NPY, _EXACT), ("b", None, None, b"[1, 2]")),)
    ),
    "form tables": Target(
        _request("table", FORM), (_form(("t", None, None, b'[{"a": 1, "b": 2}]'), ("s", None, None, b"[1]")),)
    ),
    "form model": Target(_request("model", FORM), (_form(("image", "a", None, _IMAGES[0]), ("array", None, None, b"[1]")),)),
    "form one file": Target(_request("picture", FORM), (_form(("any", "a.gif", "image/gif", _IMAGES[2])),)),
    "form fields": Target(_request("values", URLENCODED), (_FIELDS,)),
    "form fields of arrays": Target(_request("arrays", URLENCODED), (b"a=[1,2]&a=3&b=x",)),
    "exact array": Target(_request("array", NPY), (_EXACT, write_npy(np.eye(2)))),
    "npy": Target(_npy, (_EXACT, write_npy(np.asfortranarray(np.ones((2, 3)))))),
    "picture": Target(_request("picture", "image/*"), _IMAGES),
    "text": Target(_request("text", "text/plain"), (b"x", "é".encode())),
    "accept": Target(_accept, (b"application/x-npy;q=0.5, */*",)),
}  # fmt: skip

# Bytes with a meaning for some decoder.
WORDS = (
    b'{"', b'"}', b"[[", b"null", b"NaN", b"Infinity", b"-1", b"1e999", b"9" * 40, b"\\ud800", b"\\u0000", b"\xff", b"\xef\xbb\xbf", b"--B", b"--B--",
    b"\r\n\r\n", b"\r\n", b'; filename="', b'name="', b"filename*=utf-8''%00", b"content-type: application/x-npy", b"content-type: application/json",
    b"application/x-npy", b".0.", b"shown.0.image", b"pairs.", b"\x93NUMPY\x01\x00", b"'descr': '|O'", b"'shape': (-1,)", b"(99999999999,)",
    b"'fortran_order': True", b"&", b"=", b"%", b"q=", b"true", b"{}", b"[]", b'"a":', b"0" * 20, b"\x00", b"\x7f\xff\xff\xff", b"\xff\xff\xff\xff",
)  # fmt: skip
