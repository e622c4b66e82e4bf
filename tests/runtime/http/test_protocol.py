"""HTTP/1.1 on one connection: what is understood, in which order it is answered, and what is refused."""

from __future__ import annotations

import asyncio
import gc
import hashlib
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.runtime.wire import Talk, answer, chunked, echo, listening, post, read_all, talk

from bentoml.runtime.http.exchange import Exchange
from bentoml.runtime.http.protocol import Connection
from bentoml.runtime.http.reader import Reader
from bentoml.sdk.configuration.sections import Limits

GET = b"GET / HTTP/1.1\r\nHost: here\r\n\r\n"
CLOSING = b"GET / HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n"


def bodies(text: bytes) -> list[bytes]:
    """Return what the answers of ``echo`` said, without their heads."""
    return [part.partition(b"\r\n\r\n")[2] for part in text.split(b"HTTP/1.1 ")[1:]]


def said(method: str, path: str, body: bytes = b"", query: str = "") -> bytes:
    return f"{method} {path} {query} {len(body)} {hashlib.sha256(body).hexdigest()[:8]}".encode()


STREAM = b"".join(
    [
        post("/a", b"one"),
        GET,
        chunked("/b?x=1", [b"two", b"x" * 300, b"\r\n\r\n"], "Trailer: X-Sum"),
        post("/c%20d", b""),
        post("/e", b"y" * 5000, "Expect: 100-continue"),
        b"\r\n" + post("http://else.where:80/f?q", b"six"),
        b"POST /g HTTP/1.1\r\nhost: h\r\ntransfer-encoding: chunked\r\n\r\n1;ext=1\r\nz\r\n0\r\nX-Sum: 1\r\n\r\n",
        b"OPTIONS * HTTP/1.1\r\nHost: here\r\n\r\n",
        post("/last", b"end", "Connection: close"),
    ]
)
ANSWERS = [
    said("POST", "/a", b"one"),
    said("GET", "/"),
    said("POST", "/b", b"two" + b"x" * 300 + b"\r\n\r\n", "x=1"),
    said("POST", "/c d"),
    said("POST", "/e", b"y" * 5000),
    said("POST", "/f", b"six", "q"),
    said("POST", "/g", b"z"),
    said("OPTIONS", "*"),
    said("POST", "/last", b"end"),
]


def without_continues(text: bytes) -> bytes:
    return text.replace(b"HTTP/1.1 100 Continue\r\n\r\n", b"")


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.integers(1, len(STREAM) - 1), max_size=12), st.booleans())
def test_however_the_bytes_are_cut_the_answers_are_the_same(cuts: list[int], gently: bool) -> None:
    at = [0, *sorted(set(cuts)), len(STREAM)]
    pieces = [STREAM[a:b] for a, b in pairwise(at)]

    async def work(one: Talk) -> None:
        text = without_continues(await one.say(*pieces, gently=gently))
        assert bodies(text) == ANSWERS
        assert one.wire.closed

    talk(echo, work)


def test_byte_by_byte() -> None:
    async def work(one: Talk) -> None:
        text = await one.say(*(STREAM[i : i + 1] for i in range(len(STREAM))), gently=True)
        assert bodies(without_continues(text)) == ANSWERS

    talk(echo, work)


def test_an_ordinary_answer_is_one_write() -> None:
    async def work(one: Talk) -> None:
        await one.say(post("/", b"x"))
        assert len(one.wire.sent) == 1
        assert one.wire.sent[0].startswith(b"HTTP/1.1 200 OK\r\n")
        assert not one.wire.closed

    talk(echo, work)


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        pytest.param(b"nonsense\r\n\r\n", 400, id="no request line"),
        pytest.param(b"GET / HTTP/1.1\r\n\r\n", 400, id="no host"),
        pytest.param(b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400, id="two hosts"),
        pytest.param(b"GET / HTTP/2.0\r\nHost: a\r\n\r\n", 505, id="HTTP/2"),
        pytest.param(b"GET / HTTP/0.9\r\nHost: a\r\n\r\n", 505, id="HTTP/0.9"),
        pytest.param(b"GET /\xff HTTP/1.1\r\nHost: a\r\n\r\n", 400, id="no ASCII path"),
        pytest.param(b"GET /a#b HTTP/1.1\r\nHost: a\r\n\r\n", 400, id="fragment"),
        pytest.param(b"GET a HTTP/1.1\r\nHost: a\r\n\r\n", 400, id="relative path"),
        pytest.param(b"GET ftp://a/ HTTP/1.1\r\nHost: a\r\n\r\n", 400, id="another scheme"),
        pytest.param(b"CONNECT a:80 HTTP/1.1\r\nHost: a\r\n\r\n", 400, id="connect"),
        pytest.param(b"CONNECT /a HTTP/1.1\r\nHost: a\r\n\r\n", 400, id="connect to a path"),
        pytest.param(b"CONNECT http://a/b HTTP/1.1\r\nHost: a\r\n\r\n", 400, id="connect to an address"),
        pytest.param(b"GET / HTTP/1.1\r\nHost: a\r\nA b: c\r\n\r\n", 400, id="space in a name"),
        pytest.param(b"GET / HTTP/1.1\r\nHost: a\r\nA : c\r\n\r\n", 400, id="space before the colon"),
        pytest.param(b"GET / HTTP/1.1\r\nHost: a\r\nA: b\r\n c\r\n\r\n", 400, id="folded"),
        pytest.param(b"GET / HTTP/1.1\r\nHost: a\r\nA: b\0c\r\n\r\n", 400, id="zero byte"),
        pytest.param(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab", 400, id="two lengths"),
        pytest.param(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\na", 400, id="twice the same length"),
        pytest.param(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +1\r\n\r\na", 400, id="signed length"),
        pytest.param(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\na", 400, id="negative length"),
        pytest.param(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0x1\r\n\r\na", 400, id="hexadecimal length"),
        pytest.param(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1, 1\r\n\r\na", 400, id="list of lengths"),
        pytest.param(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999999999999\r\n\r\na", 400, id="length of 65 bits"),
        pytest.param(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400, id="both"),
        pytest.param(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n0\r\n\r\n", 400, id="both, turned"),
        pytest.param(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400, id="two codings"),
        pytest.param(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 501, id="gzip"),
        pytest.param(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n", 400, id="chunked is not the last"),
        pytest.param(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", 501, id="unknown coding"),
        pytest.param(b"POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400, id="chunked in HTTP/1.0"),
        pytest.param(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n", 400, id="no chunk size"),
        pytest.param(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nab\r\n0\r\n\r\n", 400, id="wrong chunk size"),
        pytest.param(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\nab\n0\n\n", 400, id="bare line feeds"),
    ],
)  # fmt: skip
def test_what_is_refused(request_: bytes, status: int) -> None:
    async def work(one: Talk) -> None:
        text = await one.say(request_ + GET)
        assert text.startswith(b"HTTP/1.1 %d " % status)
        assert b"connection: close\r\n" in text
        assert b'{"error":' in text
        assert text.count(b"HTTP/1.1 ") == 1, "what follows is not answered: nobody knows what it is"
        assert one.wire.ended
        assert await one.say(GET) == text

    talk(echo, work)


LOW = Limits(headers=5, header_size=1000, head_timeout=0.2, body_timeout=0.2)


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        pytest.param(b"GET / HTTP/1.1\r\nHost: a\r\n" + b"A: b\r\n" * 4 + b"\r\n", 200, id="as many as allowed"),
        pytest.param(b"GET / HTTP/1.1\r\nHost: a\r\n" + b"A: b\r\n" * 5 + b"\r\n", 431, id="one too many"),
        pytest.param(b"GET / HTTP/1.1\r\nHost: a\r\n" + b"A: b\r\n" * 90_000, 431, id="without end"),
        pytest.param(b"GET / HTTP/1.1\r\nHost: a\r\nA: " + b"b" * 980 + b"\r\n\r\n", 200, id="as long as allowed"),
        pytest.param(b"GET / HTTP/1.1\r\nHost: a\r\nA: " + b"b" * 1000 + b"\r\n\r\n", 431, id="too long"),
        pytest.param(b"GET / HTTP/1.1\r\nHost: a\r\nA: " + b"b" * 5_000_000, 431, id="one without end"),
        pytest.param(b"GET / HTTP/1.1\r\n" + b"b" * 5_000_000, 431, id="a name without end"),
        pytest.param(b"GET /" + b"x" * 999 + b" HTTP/1.1\r\nHost: a\r\n\r\n", 200, id="target as long as allowed"),
        pytest.param(b"GET /" + b"x" * 1000 + b" HTTP/1.1\r\nHost: a\r\n\r\n", 414, id="target too long"),
        pytest.param(b"GET /" + b"x" * 5_000_000, 414, id="target without end"),
        pytest.param(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1;" + b"x" * 90_000, 431, id="chunk extension"),
        pytest.param(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n" + b"X: y\r\n" * 90, 431, id="trailers"),
        pytest.param(post("/", b"x" * 70_000), 200, id="a long body is none of this"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("size", [700, 1 << 18])
def test_limits_of_the_head(request_: bytes, status: int, size: int) -> None:
    async def work(one: Talk) -> None:
        text = await one.say(*(request_[i : i + size] for i in range(0, len(request_), size)))
        assert text.startswith(b"HTTP/1.1 %d " % status)

    talk(echo, work, limits=LOW)


def test_a_refusal_waits_for_the_answers_before_it() -> None:
    gate = asyncio.Event()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await gate.wait()
        await answer(send, b"first")

    async def work(one: Talk) -> None:
        assert await one.say(GET + b"nonsense\r\n\r\n") == b""
        gate.set()
        await one.settle()
        text = one.wire.text
        assert bodies(text)[0] == b"first"
        assert text.split(b"HTTP/1.1 ")[2].startswith(b"400 ")
        assert one.wire.ended

    talk(app, work)


def test_a_body_that_breaks_ends_its_exchange() -> None:
    ends: list[str] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        try:
            await read_all(receive)
        except ConnectionError:
            ends.append("gone")

    async def work(one: Talk) -> None:
        text = await one.say(
            b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n", b"zz\r\n"
        )
        assert text.startswith(b"HTTP/1.1 400 ")
        assert ends == ["gone"]

    talk(app, work)


def test_a_head_and_a_body_that_do_not_come_are_408() -> None:
    async def work(one: Talk, begun: bytes, status: bytes) -> None:
        await one.say(begun)
        for _ in range(8):  # a byte now and then does not help a head
            await asyncio.sleep(0.05)
            if status == b"408" and one.wire.ended:
                break
        await one.settle()
        assert one.wire.text.startswith(b"HTTP/1.1 " + status) if status else one.wire.text == b""
        assert one.wire.ended or one.wire.closed

    talk(echo, lambda one: work(one, b"GET / HTTP/1.1\r\nHo", b"408"), limits=LOW)
    talk(
        echo,
        lambda one: work(one, b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nx", b"408"),
        limits=LOW,
    )
    talk(echo, lambda one: work(one, b"", b""), limits=LOW)


def test_a_head_that_trickles_is_408() -> None:
    async def work(one: Talk) -> None:
        for byte in b"GET / HTTP/1.1\r\nHost: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa":
            await one.say(bytes([byte]))
            await asyncio.sleep(0.02)
            if one.wire.ended:
                break
        assert one.wire.text.startswith(b"HTTP/1.1 408 ")

    talk(echo, work, limits=LOW)


def test_a_head_that_we_do_not_read_is_not_late() -> None:
    """While requests wait for their turn nothing is read, however much of the next one the client has sent."""
    gate = asyncio.Event()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await gate.wait()
        await answer(send, b"ok")

    async def work(one: Talk) -> None:
        await one.say(GET + GET + GET[:9])
        assert one.wire.paused
        await asyncio.sleep(0.5)
        gate.set()
        await one.settle()
        await one.say(GET[9:])
        assert bodies(one.wire.text) == [b"ok"] * 3
        await one.say(GET[:9])
        await asyncio.sleep(0.5)
        await one.settle()
        assert b"HTTP/1.1 408 " in one.wire.text, "this time it is the client who lets us wait"

    talk(app, work, limits=LOW)


def test_a_head_whose_rest_does_not_come_once_we_read_again_is_late() -> None:
    gate = asyncio.Event()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await gate.wait()
        await answer(send, b"ok")

    async def work(one: Talk) -> None:
        await one.say(GET + GET + GET[:9])
        gate.set()
        await asyncio.sleep(0.5)
        assert bodies(one.wire.text)[:2] == [b"ok", b"ok"]
        assert b"HTTP/1.1 408 " in one.wire.text

    talk(app, work, limits=LOW)


def test_a_whole_answer_is_left_to_a_client_whose_body_breaks_afterwards() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await answer(send, b"too large", 413)

    async def work(one: Talk) -> None:
        head = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
        await one.say(head + b"1\r\na\r\n")
        text = await one.say(b"zz\r\n")
        assert bodies(text) == [b"too large"]
        assert one.wire.ended and not one.wire.aborted

    talk(app, work)


def test_a_body_that_trickles_is_read() -> None:
    async def work(one: Talk) -> None:
        await one.say(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n")
        for _ in range(5):
            await asyncio.sleep(0.1)
            await one.say(b"x")
        assert bodies(one.wire.text) == [said("POST", "/", b"xxxxx")]

    talk(echo, work, limits=LOW)


def test_an_idle_connection_is_closed_without_a_word() -> None:
    async def work(one: Talk) -> None:
        text = await one.say(GET)
        await asyncio.sleep(0.6)
        assert one.wire.closed
        assert one.wire.text == text

    talk(echo, work, keep_alive=0.2)


def test_pipelined_requests_are_answered_in_order_and_not_all_read_at_once() -> None:
    seen: list[str] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append(scope["path"])
        await asyncio.sleep(0)
        await answer(send, scope["path"].encode())

    async def work(one: Talk) -> None:
        requests = b"".join(b"GET /%d HTTP/1.1\r\nHost: a\r\n\r\n" % i for i in range(5000))
        one.connection.data_received(requests)
        await asyncio.sleep(0)
        assert one.wire.paused
        assert seen == ["/0"]
        for _ in range(30_000):
            await asyncio.sleep(0)
            if len(seen) == 5000:
                break
        await one.settle()
        assert bodies(one.wire.text) == [b"/%d" % i for i in range(5000)]
        assert not one.wire.paused

    talk(app, work)


@pytest.mark.parametrize("head_only", [True, False])
def test_a_request_that_began_before_the_answer_ended_is_read_on(head_only: bool) -> None:
    """A client that has had all of an answer's length may send the next request before the application has ended."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["path"] == "/first":
            await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
            await send({"type": "http.response.body", "body": b"ok", "more_body": True})
            await asyncio.sleep(0.02)
            await send({"type": "http.response.body"})
        else:
            await answer(send, b"%d" % len(await read_all(receive)))

    async def work(one: Talk) -> None:
        one.connection.data_received(b"GET /first HTTP/1.1\r\nHost: a\r\n\r\n")
        await asyncio.sleep(0.005)
        head = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 200000\r\n\r\n"
        begun = head if head_only else head + b"x" * 50_000
        one.connection.data_received(begun)
        assert [one.wire.paused] == [True]
        await asyncio.sleep(0.05)
        assert not one.wire.paused, "there is a body to be read"
        one.connection.data_received(b"x" * (200_000 + len(head) - len(begun)))
        await one.settle()
        assert bodies(one.wire.text) == [b"ok", b"200000"]

    talk(app, work)


def test_a_long_body_waits_until_it_is_read() -> None:
    gate = asyncio.Event()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await gate.wait()
        await answer(send, b"%d" % len(await read_all(receive)))

    async def work(one: Talk) -> None:
        one.connection.data_received(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2000000\r\n\r\n")
        sent = 0
        while not one.wire.paused:
            one.connection.data_received(b"x" * 50_000)
            sent += 50_000
            assert sent <= 500_000
        gate.set()
        assert bodies(await one.say(*[b"x" * 50_000] * ((2_000_000 - sent) // 50_000), gently=True)) == [
            b"2000000"
        ]

    talk(app, work)


def test_a_client_that_asks_for_permission() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["path"] == "/no":
            await answer(send, b"no", 413)
        else:
            await answer(send, await read_all(receive))

    async def yes(one: Talk) -> None:
        assert await one.say(
            b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n"
        ) == (b"HTTP/1.1 100 Continue\r\n\r\n")
        assert bodies(await one.say(b"ok"))[1:] == [b"ok"]
        assert not one.wire.closed

    async def no(one: Talk) -> None:
        text = await one.say(
            b"POST /no HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n"
        )
        assert text.startswith(b"HTTP/1.1 413 ")
        assert b"connection: close\r\n" in text
        assert one.wire.ended

    talk(app, yes)
    talk(app, no)


def test_the_rest_of_a_body_that_nobody_wants_is_thrown_away() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await answer(send, b"early")

    async def work(one: Talk) -> None:
        await one.say(
            b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 600000\r\n\r\n", *[b"x" * 60_000] * 10, GET
        )
        assert bodies(one.wire.text) == [b"early", b"early"]
        assert not one.wire.closed

    talk(app, work)


def test_an_upgrade_that_is_not_known_is_an_ordinary_request() -> None:
    head = b"POST /%d HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nContent-Length: 2\r\n\r\nok"

    async def work(one: Talk) -> None:
        text = await one.say(b"".join(head % i for i in range(300)) + GET)
        for _ in range(400):
            await one.settle()
        assert bodies(one.wire.text) == [
            *(said("POST", f"/{i}", b"ok") for i in range(300)),
            said("GET", "/"),
        ], text

    talk(echo, work)


@pytest.mark.parametrize("said", ["Upgrade, close", "close, Upgrade", "Upgrade\r\nConnection: close"])
def test_an_upgrade_that_is_not_known_may_be_the_last_request(said: str) -> None:
    head = f"POST /1 HTTP/1.1\r\nHost: a\r\nConnection: {said}\r\nUpgrade: h2c\r\nContent-Length: 2\r\n\r\nok"

    async def work(one: Talk) -> None:
        text = await one.say(head.encode())
        assert text.startswith(b"HTTP/1.1 200 ") and b"connection: close\r\n" in text
        assert one.wire.closed

    talk(echo, work)


@pytest.mark.parametrize(
    "request_",
    [
        pytest.param(post("/a", b"ok", "Connection: Upgrade", "Upgrade: websocket"), id="POST"),
        pytest.param(chunked("/a", [b"ok"], "Connection: Upgrade", "Upgrade: websocket"), id="chunked"),
        pytest.param(
            post("/a", b"ok", "Connection: Upgrade", "Upgrade: websocket").replace(b"POST", b"GET"), id="GET"
        ),
    ],
)
def test_a_handshake_with_a_body_is_an_ordinary_request(request_: bytes) -> None:
    """The protocol for websockets would wait for it without an end."""

    async def work(one: Talk) -> None:
        text = await one.say(request_ + GET)
        assert bodies(text) == [said(request_.split()[0].decode(), "/a", b"ok"), said("GET", "/")]

    talk(echo, work)


def test_shutdown_lets_the_answer_end_and_drops_the_rest() -> None:
    gate = asyncio.Event()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await gate.wait()
        await answer(send, b"done")

    async def busy(one: Talk) -> None:
        await one.say(GET + GET)
        one.connection.shutdown()
        gate.set()
        await one.settle()
        assert bodies(one.wire.text) == [b"done"]
        assert b"connection: close\r\n" in one.wire.text
        assert one.wire.closed

    async def idle(one: Talk) -> None:
        one.connection.shutdown()
        assert one.wire.closed

    talk(app, busy)
    talk(app, idle)


def test_over_a_real_socket_the_refusal_of_a_flood_can_be_read() -> None:
    async def main() -> None:
        async with listening(echo) as port:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"GET / HTTP/1.1\r\nHost: a\r\n" + b"X-Y: z\r\n" * 200_000)
            text = await asyncio.wait_for(reader.read(), 60)
            assert text.startswith(b"HTTP/1.1 431 ")
            writer.close()

    asyncio.run(main())


def test_a_connection_leaves_nothing_for_the_garbage_collector() -> None:
    async def kept(one: Talk) -> None:
        await one.say(GET, GET + GET, GET[:9])

    async def closed(one: Talk) -> None:
        await one.say(CLOSING)

    async def refused(one: Talk) -> None:
        await one.say(GET, b"nonsense\r\n\r\n")

    def open_connections() -> int:
        return sum(isinstance(thing, Connection | Reader | Exchange) for thing in gc.get_objects())

    gc.collect()
    before = open_connections()
    gc.disable()
    try:
        for work in (kept, closed, refused):
            talk(echo, work)
            assert open_connections() == before, work.__name__
    finally:
        gc.enable()
