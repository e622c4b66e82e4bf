"""HTTP over a socket: what is written, what is understood, and what is refused rather than taken for whole."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.builder.daemon.raw_engine import answer, raw

from bentoml.exceptions import BentoMLException


def test_what_is_written(tmp_path: Path) -> None:
    with raw(tmp_path, answer(200, b""), answer(200, b""), answer(200, b"")) as (wire, engine):
        for request in (
            ("GET", "/images/a b/json", None, None),
            ("POST", "/images/a/tag", {"repo": "h:5/x&y", "tag": "1"}, None),
            ("POST", "/images/load", None, [b"ab", b"", b"c" * 20]),
        ):
            with wire.ask(*request) as reply:
                assert reply.status == 200 and b"".join(reply.chunks) == b""
    heads = [b"GET /images/a%20b/json HTTP/1.1", b"POST /images/a/tag?repo=h%3A5%2Fx%26y&tag=1 HTTP/1.1"]
    common = b"\r\nHost: docker\r\nUser-Agent: bentoml\r\nConnection: close\r\n"
    body = b"Content-Type: application/x-tar\r\nTransfer-Encoding: chunked\r\n\r\n"
    assert engine.asked == [
        heads[0] + common + b"\r\n",
        heads[1] + common + b"Content-Length: 0\r\n\r\n",
        b"POST /images/load HTTP/1.1" + common + body + b"2\r\nab\r\n14\r\n" + b"c" * 20 + b"\r\n0\r\n\r\n",
    ]


@pytest.mark.parametrize(
    ("reply", "status", "body"),
    [
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabcd", 200, b"abc", id="a length"),
        pytest.param(b"HTTP/1.0 200\nX:\n\nuntil the end", 200, b"until the end", id="until the end"),
        pytest.param(
            b"HTTP/1.1 200 OK\r\nTRANSFER-ENCODING: Chunked\r\n\r\n3;x=y\r\nabc\r\nA\r\n0123456789\r\n0\r\n\r\n",
            200, b"abc0123456789", id="chunks",
        ),
        pytest.param(b"HTTP/1.1 204 No Content\r\n\r\n", 204, b"", id="no content"),
        pytest.param(answer(404, b"gone"), 404, b"gone", id="an error"),
    ],
)  # fmt: skip
def test_what_is_understood(tmp_path: Path, reply: bytes, status: int, body: bytes) -> None:
    with raw(tmp_path, reply) as (wire, _), wire.ask("GET", "/x") as got:
        assert (got.status, b"".join(got.chunks)) == (status, body)


HEAD = b"HTTP/1.1 200 OK\r\n"


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        pytest.param(b"", "it ended too early", id="nothing"),
        pytest.param(b"SSH-2.0-OpenSSH\r\n", "speaks no HTTP", id="another protocol"),
        pytest.param(b"HTTP/1.1 2x0 OK\r\n\r\n", "speaks no HTTP", id="no status"),
        pytest.param(b"HTTP/1.1 200 OK\r\nX: y", "it ended too early", id="half a head"),
        pytest.param(HEAD + b"X" * (1 << 17), "a line of it is too long", id="an endless line"),
        pytest.param(HEAD + b"X: y\r\n" * 300, "too many headers", id="endless headers"),
        pytest.param(HEAD + b"Content-Length: 5\r\n\r\nabc", "it ended too early", id="less than its length"),
        pytest.param(HEAD + b"Content-Length: -1\r\n\r\n", "`-1` is no length", id="a negative length"),
        pytest.param(HEAD + b"Content-Length: 1_0\r\n\r\n", "`1_0` is no length", id="a length for Python"),
        pytest.param(
            HEAD + b"Transfer-Encoding: chunked\r\n\r\n5\r\nabc", "it ended too early", id="half a chunk"
        ),
        pytest.param(
            HEAD + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n", "it ended too early", id="no last chunk"
        ),
        pytest.param(HEAD + b"Transfer-Encoding: chunked\r\n\r\nxyz\r\n", "`xyz` is no length", id="no size"),
        pytest.param(
            HEAD + b"Transfer-Encoding: gzip\r\n\r\nabc", "`gzip` is not known", id="another coding"
        ),
    ],
)
def test_what_is_refused(tmp_path: Path, reply: bytes, said: str) -> None:
    with (
        pytest.raises(BentoMLException, match=f"the connection to .*unix://{tmp_path}/s` broke: .*{said}"),
        raw(tmp_path, reply) as (wire, _),
        wire.ask("GET", "/x") as got,
    ):
        list(got.chunks)


def test_an_engine_that_says_nothing_is_not_waited_for(tmp_path: Path) -> None:
    with raw(tmp_path) as (wire, _):
        hasty = type(wire)(wire.path, seconds=0.05)
        with pytest.raises(BentoMLException, match="broke: timed out"), hasty.ask("GET", "/x"):
            pass
