"""Forms: what they hold, where files go, and what is refused."""

from __future__ import annotations

from collections.abc import Callable, Set
from pathlib import Path

import pytest

from bentoml.exceptions import BadInput, BentoMLException
from bentoml.runtime.intake.fields import MAX_HEADER_BYTES, boundary_of, parse_urlencoded
from bentoml.runtime.intake.multipart import Form
from bentoml.sdk.configuration.sections import Limits
from bentoml.sdk.values.files import Part

MAX_PARTS = 20


def parse_multipart(
    body: bytes, boundary: bytes, *, files: Set[str], folder: Callable[[], Path], size: int = 0
) -> list[Part]:
    """Return the parts of a body that comes in pieces of a size, or in one."""
    form = Form(boundary, files=files, folder=folder, limits=Limits(parts=MAX_PARTS, body=1000))
    for position in range(0, len(body), size or len(body) or 1):
        form.feed(body[position : position + (size or len(body))])
    return form.parts()


def form(*parts: tuple[str, bytes], boundary: str = "b") -> bytes:
    """Return a body of parts, each its headers and its content."""
    cut = "".join
    pieces = [
        cut([f"--{boundary}\r\n", head, "\r\n\r\n"]).encode() + content + b"\r\n" for head, content in parts
    ]
    return b"".join(pieces) + f"--{boundary}--\r\n".encode()


def field(name: str, content: bytes = b"x") -> tuple[str, bytes]:
    return f'Content-Disposition: form-data; name="{name}"', content


@pytest.mark.parametrize("size", [0, 1, 2, 3, 7, 50])
def test_fields_and_files(tmp_path: Path, size: int) -> None:
    body = form(
        field("a", b'{"x": 1}'),
        (
            'content-disposition: form-data; filename="a.bin"; name="f"\r\nContent-Type: image/png',
            b"\0\r\n--\r\n-b--b",
        ),
        ('Content-Disposition: form-data; name="g"; filename="text.json"', b"[1]"),
        field("empty", b""),
        field("a", b"again"),
    )
    parts = parse_multipart(body, b"b", files={"f"}, folder=lambda: tmp_path, size=size)
    assert [(p.name, p.filename, p.content_type, p.data) for p in parts] == [
        ("a", None, None, b'{"x": 1}'),
        ("f", "a.bin", "image/png", None),
        ("g", "text.json", None, b"[1]"),
        ("empty", None, None, b""),
        ("a", None, None, b"again"),
    ]
    (path,) = (p.path for p in parts if p.path)
    assert path.parent == tmp_path
    assert path.name.startswith("tmp")
    assert path.name.endswith("a.bin")
    assert path.read_bytes() == b"\0\r\n--\r\n-b--b"
    assert path.stat().st_mode & 0o777 == 0o600
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("sent", "ending"),
    [
        ('filename="../../etc/passwd"', "passwd"),
        (r'filename="C:\\dir\\a.txt"', "a.txt"),
        ('filename="a\0b\x1fc.txt"', "abc.txt"),
        ("filename=plain.txt", "plain.txt"),
        ('filename="a%22b.txt"', 'a"b.txt'),
        (r'filename="a\"b.txt"', 'a"b.txt'),
        ("filename=\"x\"; filename*=UTF-8''a%20%E2%82%AC.txt", "a €.txt"),
        ('filename="€.txt"', "€.txt"),
        ('filename=".."', ".."),
        ('filename="' + "€" * 300 + '.txt"', "€.txt"),
        ('filename=""', ""),
    ],
)
def test_a_file_name_never_leaves_the_folder(tmp_path: Path, sent: str, ending: str) -> None:
    body = form((f'Content-Disposition: form-data; name="f"; {sent}', b"x"))
    (part,) = parse_multipart(body, b"b", files={"f"}, folder=lambda: tmp_path)
    assert part.path is not None
    assert part.path.parent == tmp_path
    assert part.path.name.endswith(ending)
    assert list(tmp_path.iterdir()) == [part.path]


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"--b--\r\n", id="no parts"),
        pytest.param(b"--b--", id="no end of line"),
        pytest.param(b"a preamble\r\n--b--\r\nand an epilogue", id="preamble"),
    ],
)
def test_forms_without_parts(tmp_path: Path, body: bytes) -> None:
    assert parse_multipart(body, b"b", files=set(), folder=lambda: tmp_path) == []


@pytest.mark.parametrize(
    ("body", "message"),
    [
        pytest.param(b"", "boundary", id="empty"),
        pytest.param(b"--c\r\n", "boundary", id="another boundary"),
        pytest.param(form(field("a"))[:-6], "cut off", id="no last boundary"),
        pytest.param(
            b"--b\r\nContent-Disposition: form-data; name=a\r\n", "headers", id="cut off in its head"
        ),
        pytest.param(b"--b", "cut off", id="cut off after the boundary"),
        pytest.param(b"--bxyz\r\n", "cut off", id="longer boundary"),
        pytest.param(form(("Content-Type: text/plain", b"x")), "name", id="no name"),
        pytest.param(
            form(
                (
                    'Content-Disposition: form-data; name="a"\r\nContent-Type: multipart/mixed; boundary=c',
                    b"x",
                )
            ),
            "itself made of parts",
            id="nested",
        ),
        pytest.param(form(("X: " + "x" * MAX_HEADER_BYTES, b"")), "headers", id="long headers"),
        pytest.param(form(*[field("a")] * (MAX_PARTS + 1)), "parts", id="many parts"),
    ],
)
@pytest.mark.parametrize("size", [0, 1, 11])
def test_bodies_that_are_no_form(tmp_path: Path, body: bytes, message: str, size: int) -> None:
    with pytest.raises(BadInput, match=message):
        parse_multipart(body, b"b", files=set(), folder=lambda: tmp_path, size=size)


def test_what_must_stay_in_memory_is_limited(tmp_path: Path) -> None:
    body = form(field("a", b"x" * 600), field("b", b"y" * 600))
    with pytest.raises(BentoMLException, match="1000 bytes") as caught:
        parse_multipart(body, b"b", files=set(), folder=lambda: tmp_path, size=100)
    assert caught.value.error_code == 413


@pytest.mark.parametrize(
    ("charset", "content", "text"),
    [
        ("iso-8859-1", b"\xe9", "é"),
        ("windows-1252", b"\x80", "€"),
        ("UTF-8", "é".encode(), "é"),
        ("zip", b"x", None),
        ("utf-16", b"x", None),
        ("windows-1252", b"\x81", None),
    ],
)
def test_character_sets(tmp_path: Path, charset: str, content: bytes, text: str | None) -> None:
    head = f'Content-Disposition: form-data; name="a"\r\nContent-Type: text/plain; charset={charset}'
    if text is None:
        with pytest.raises(BadInput, match="character set"):
            parse_multipart(form((head, content)), b"b", files=set(), folder=lambda: tmp_path)
    else:
        (part,) = parse_multipart(form((head, content)), b"b", files=set(), folder=lambda: tmp_path)
        assert part.data == text.encode()


@pytest.mark.parametrize(
    ("content_type", "boundary"),
    [
        (b"multipart/form-data; boundary=abc", b"abc"),
        (b'multipart/form-data; charset=utf-8; Boundary="a b:c"', b"a b:c"),
        (b"multipart/form-data", None),
        (b"multipart/form-data; boundary=a; boundary=b", None),
        (b"multipart/form-data; boundary=" + b"x" * 71, None),
        (b'multipart/form-data; boundary="a\r\nb"', None),
    ],
)
def test_boundaries(content_type: bytes, boundary: bytes | None) -> None:
    if boundary is None:
        with pytest.raises(BadInput, match="boundary"):
            boundary_of(content_type)
    else:
        assert boundary_of(content_type) == boundary


def test_urlencoded_forms() -> None:
    parts = parse_urlencoded(b"a=1&b=x+y%20z&a=&c=%7B%7D", MAX_PARTS)
    assert [(p.name, p.data) for p in parts] == [("a", b"1"), ("b", b"x y z"), ("a", b""), ("c", b"{}")]
    for bad in (b"\xff=1", b"a=%ff", b"&".join([b"a=1"] * (MAX_PARTS + 1))):
        with pytest.raises(BadInput, match="not a form"):
            parse_urlencoded(bad, MAX_PARTS)
