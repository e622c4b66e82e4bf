"""One answer on a connection: how its end is told, what an application may not send, and clients that leave or are slow."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.runtime.certified import certified
from tests.runtime.wire import Talk, answer, chunked, echo, listening, post, read_all, run, talk
from websockets.asyncio.client import connect

from bentoml.sdk.values.together import together

Headers = list[tuple[bytes, bytes]]

GET = b"GET / HTTP/1.1\r\nHost: here\r\n\r\n"
OLD = b"GET / HTTP/1.0\r\n\r\n"
OLD_KEPT = b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"
HEAD = b"HEAD / HTTP/1.1\r\nHost: here\r\n\r\n"
CLOSE = b"GET / HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n"


def sends(*pieces: bytes, headers: Headers | None = None, status: int = 200) -> Callable[..., Any]:
    """Return an application that sends these bodies."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": status, "headers": headers or []})
        for i, body in enumerate(pieces, 1):
            await send({"type": "http.response.body", "body": body, "more_body": i < len(pieces)})

    return app


TWO = [(b"content-length", b"2")]


@pytest.mark.parametrize(
    ("app", "request_", "head", "body", "closed"),
    [
        pytest.param(sends(b"ok", headers=TWO), GET, b"content-length: 2\r\n", b"ok", False, id="counted"),
        pytest.param(sends(b"o", b"k", headers=TWO), GET, b"content-length: 2\r\n", b"ok", False, id="counted, in two"),
        pytest.param(sends(b"ok"), GET, b"transfer-encoding: chunked\r\n", b"2\r\nok\r\n0\r\n\r\n", False, id="chunked"),
        pytest.param(sends(b"o", b"", b"k", b""), GET, b"transfer-encoding: chunked\r\n", b"1\r\no\r\n1\r\nk\r\n0\r\n\r\n", False, id="chunks"),
        pytest.param(sends(b"ok", headers=[(b"transfer-encoding", b"chunked")]), GET, b"transfer-encoding: chunked\r\n", b"2\r\nok\r\n0\r\n\r\n", False, id="chunked by the application"),
        pytest.param(sends(b"ok", headers=TWO), HEAD, b"content-length: 2\r\n", b"", False, id="HEAD"),
        pytest.param(sends(b"ok"), HEAD, b"", b"", False, id="HEAD, unknown length"),
        pytest.param(sends(b"", status=204), GET, b"", b"", False, id="no content"),
        pytest.param(sends(b"", status=304), GET, b"", b"", False, id="not modified"),
        pytest.param(sends(b"ok", headers=TWO), OLD, b"connection: close\r\n", b"ok", True, id="HTTP/1.0"),
        pytest.param(sends(b"ok", headers=TWO), OLD_KEPT, b"connection: keep-alive\r\n", b"ok", False, id="HTTP/1.0, kept"),
        pytest.param(sends(b"o", b"k"), OLD_KEPT, b"connection: close\r\n", b"ok", True, id="HTTP/1.0, unknown length"),
        pytest.param(sends(b"ok", headers=TWO), CLOSE, b"connection: close\r\n", b"ok", True, id="close"),
        pytest.param(sends(b"ok", headers=[*TWO, (b"Connection", b"Close")]), GET, b"Connection: Close\r\n", b"ok", True, id="closed by the application"),
        pytest.param(sends(b"ok", headers=TWO, status=299), GET, b"HTTP/1.1 299 \r\n", b"ok", False, id="a status without a name"),
        pytest.param(sends(b"x" * 100_000, headers=[(b"content-length", b"100000")]), GET, b"", b"x" * 100_000, False, id="large"),
        pytest.param(sends(b"x" * 100_000), GET, b"", b"186a0\r\n" + b"x" * 100_000 + b"\r\n0\r\n\r\n", False, id="large chunk"),
    ],
)  # fmt: skip
def test_how_an_answer_ends(app: Any, request_: bytes, head: bytes, body: bytes, closed: bool) -> None:
    async def work(one: Talk) -> None:
        got_head, _, got_body = (await one.say(request_)).partition(b"\r\n\r\n")
        got_head += b"\r\n"
        assert head in got_head
        assert got_body == body
        assert one.wire.closed == closed
        assert (b"chunked" in got_head) == (b"chunked" in head or b"\r\n0\r\n" in body)

    talk(app, work)


def test_no_content_has_no_length() -> None:
    async def work(one: Talk) -> None:
        text = await one.say(GET)
        assert text.startswith(b"HTTP/1.1 204 No Content\r\n") and text.endswith(b"\r\n\r\n")
        assert b"content-length" not in text and not one.wire.closed

    talk(sends(b"ok", headers=TWO, status=204), work)


@pytest.mark.parametrize(
    ("steps", "body"),
    [
        ([b"one", b"", b"three"], b"3\r\none\r\n5\r\nthree\r\n0\r\n\r\n"),
        ([b"x" * 1023, b"y" * 1024], b"3ff\r\n%b\r\n400\r\n%b\r\n0\r\n\r\n" % (b"x" * 1023, b"y" * 1024)),
        ([b"x" * 65_536, b"", b"y"], b"10000\r\n%b\r\n1\r\ny\r\n0\r\n\r\n" % (b"x" * 65_536)),
        ([b"", b""], b"0\r\n\r\n"),
    ],
    ids=["short", "long", "very long", "nothing"],
)
def test_steps_that_leave_together_are_chunks_of_their_own(steps: list[bytes], body: bytes) -> None:
    async def work(one: Talk) -> None:
        text = await one.say(GET)
        assert text.partition(b"\r\n\r\n")[2] == body

    talk(sends(together(steps), b""), work)


def test_steps_in_an_answer_without_chunks_are_its_bytes() -> None:
    async def work(one: Talk, request: bytes) -> None:
        assert (await one.say(request)).endswith(b"\r\n\r\nok")

    talk(sends(together([b"o", b"k"]), headers=TWO), lambda one: work(one, GET))
    talk(sends(together([b"o", b"k"]), b""), lambda one: work(one, OLD))


async def nothing(scope: Any, receive: Any, send: Any) -> None:
    """End without an answer."""


async def fails(scope: Any, receive: Any, send: Any) -> None:
    raise ValueError("a secret")


@pytest.mark.parametrize(
    "app",
    [
        pytest.param(nothing, id="nothing"),
        pytest.param(fails, id="error"),
        pytest.param(sends(b"long", headers=TWO), id="longer than it says"),
        pytest.param(sends(b"", b"x", headers=[(b"a", b"b\r\nSet-Cookie: c")]), id="line break in a value"),
        pytest.param(sends(b"", headers=[(b"a", b"b\nc")]), id="line feed in a value"),
        pytest.param(sends(b"", headers=[(b"a", b"b\0c")]), id="zero byte in a value"),
        pytest.param(sends(b"", headers=[(b"a: b\r\nc", b"d")]), id="line break in a name"),
        pytest.param(sends(b"", headers=[(b"a b", b"c")]), id="space in a name"),
        pytest.param(sends(b"", headers=[(b"a", b"b\nc")], status=204), id="line feed, no body"),
        pytest.param(sends(b"ok", headers=[*TWO, *TWO]), id="two lengths"),
        pytest.param(sends(b"ok", headers=TWO, status=42), id="no status"),
        pytest.param(sends(b"ok", headers=TWO, status=1000), id="too great a status"),
        pytest.param(sends(b"", status=101), id="a status that is no answer"),
    ],
)
def test_an_application_that_fails_is_500_and_says_nothing_of_why(
    app: Any, caplog: pytest.LogCaptureFixture
) -> None:
    async def work(one: Talk) -> None:
        text = await one.say(GET + GET)
        assert text.startswith(b"HTTP/1.1 500 ")
        assert b"connection: close\r\n" in text
        assert b"secret" not in text and b"Set-Cookie" not in text
        head, _, body = text.partition(b"\r\n\r\n")
        assert b"content-length: %d\r\n" % len(body) in head and b"transfer-encoding" not in head
        assert body.startswith(b'{"error":')
        assert text.count(b"HTTP/1.1 ") == 1
        assert one.wire.closed

    with caplog.at_level(logging.ERROR):
        talk(app, work)
    assert caplog.records


def test_an_answer_that_breaks_off_is_not_taken_for_whole(caplog: pytest.LogCaptureFixture) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"a part", "more_body": True})
        raise ValueError("oh")

    async def work(one: Talk) -> None:
        assert (await one.say(GET)).endswith(b"6\r\na part\r\n")
        assert one.wire.aborted

    with caplog.at_level(logging.ERROR):
        talk(app, work)
    assert "oh" in caplog.text


def test_nobody_is_told_to_go_on_in_the_middle_of_an_answer() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"first ", "more_body": True})
        await send({"type": "http.response.body", "body": await read_all(receive)})

    async def work(one: Talk) -> None:
        head = post("/", b"rest", "Expect: 100-continue").removesuffix(b"rest")
        text = await one.say(head)
        assert text.endswith(b"\r\n\r\n6\r\nfirst \r\n"), "the client sees that its body is awaited"
        assert (await one.say(b"rest")).endswith(b"\r\n\r\n6\r\nfirst \r\n4\r\nrest\r\n0\r\n\r\n")
        assert one.wire.closed

    talk(app, work)


def test_messages_out_of_place() -> None:
    errors: list[str] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        for message in ({"type": "http.response.body", "body": b""}, {"type": "lifespan.startup.complete"}):
            try:
                await send(message)
            except RuntimeError as e:
                errors.append(str(e))
        await answer(send, b"ok")
        try:
            await answer(send, b"again")
        except RuntimeError as e:
            errors.append(str(e))

    async def work(one: Talk) -> None:
        assert (await one.say(GET)).endswith(b"ok")
        assert [error.split("`")[1] for error in errors] == [
            "http.response.body",
            "lifespan.startup.complete",
            "http.response.start",
        ]

    talk(app, work)


def test_a_client_that_leaves() -> None:
    seen: list[str] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await read_all(receive)
        seen.append((await receive())["type"])
        await answer(send, b"to nobody")
        seen.append("sent")

    async def work(one: Talk) -> None:
        await one.say(post("/", b"x"))
        one.hang_up()
        await one.settle()
        assert seen == ["http.disconnect", "sent"]
        assert one.wire.text == b""

    talk(app, work)


def test_receive_after_the_answer_says_that_it_is_over() -> None:
    seen: list[str] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        waiting = asyncio.create_task(receive())
        await asyncio.sleep(0)
        await answer(send, b"ok")
        seen.append((await receive())["type"])
        seen.append((await waiting)["type"])

    async def work(one: Talk) -> None:
        await one.say(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n")
        assert seen == ["http.disconnect"] * 2

    talk(app, work)


def test_a_client_that_reads_slowly_makes_the_application_wait() -> None:
    sent: list[int] = []
    talks: list[Talk] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for i in range(4):
            await send({"type": "http.response.body", "body": b"x", "more_body": i < 3})
            sent.append(i)
            if i == 1:
                talks[0].connection.pause_writing()

    async def work(one: Talk) -> None:
        talks.append(one)
        await one.say(GET)
        assert sent == [0, 1]
        one.connection.resume_writing()
        await one.settle()
        assert sent == [0, 1, 2, 3]

    talk(app, work)


def test_a_slow_reader_over_a_real_socket_bounds_what_is_kept() -> None:
    sent = 0

    async def app(scope: Any, receive: Any, send: Any) -> None:
        nonlocal sent
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for _ in range(400):
            await send({"type": "http.response.body", "body": b"x" * 100_000, "more_body": True})
            sent += 1
        await send({"type": "http.response.body", "body": b""})

    async def main() -> None:
        async with listening(app) as port:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(GET.replace(b"Host", b"Connection: close\r\nHost"))
            await asyncio.sleep(0.2)
            assert sent < 200
            assert (await asyncio.wait_for(reader.read(), 60)).endswith(b"\r\n0\r\n\r\n")
            writer.close()

    run(main())


def test_a_task_that_is_told_to_end_answers_500() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await asyncio.sleep(60)

    async def work(one: Talk) -> None:
        await one.say(GET)
        for task in one.state.tasks:
            task.cancel()
        await one.settle()
        assert one.wire.text.startswith(b"HTTP/1.1 500 ")

    talk(app, work)


def test_the_scope() -> None:
    scopes: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        scopes.append(scope)
        await answer(send, b"")

    async def work(one: Talk) -> None:
        await one.say(b"GET /a%2Fb?c=%20 HTTP/1.1\r\nHOST: x\r\nX-A: 1\r\nx-a:  2 \r\n\r\n")
        await one.say(b"GET http://other:1?q HTTP/1.1\r\nHost: x\r\n\r\n")

    talk(app, work)
    first, second = scopes
    assert first == {
        "type": "http", "asgi": {"version": "3.0", "spec_version": "2.3"}, "http_version": "1.1", "method": "GET",
        "scheme": "http", "path": "/a/b", "raw_path": b"/a%2Fb", "query_string": b"c=%20", "root_path": "", "state": {},
        "headers": [(b"host", b"x"), (b"x-a", b"1"), (b"x-a", b"2")],
        "client": ("127.0.0.1", 4711), "server": ("127.0.0.1", 3000),
    }  # fmt: skip
    assert (second["path"], second["query_string"], second["headers"]) == ("/", b"q", [(b"host", b"other:1")])


def test_defaults_of_the_server_come_first_and_change_with_the_date() -> None:
    async def work(one: Talk) -> None:
        one.state.default_headers = [(b"date", b"today")]
        assert b"200 OK\r\ndate: today\r\n" in await one.say(GET)
        one.state.default_headers = [(b"date", b"tomorrow")]
        assert b"200 OK\r\ndate: tomorrow\r\n" in await one.say(GET)
        assert b"date: tomorrow\r\n" in (await one.say(b"x\r\n\r\n")).partition(b" 400 ")[2]

    talk(echo, work)


def test_websockets_are_handed_over() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        assert scope["type"] == "websocket"
        assert (await receive())["type"] == "websocket.connect"
        await send({"type": "websocket.accept"})
        message = await receive()
        await send({"type": "websocket.send", "text": message["text"] + scope["path"]})

    async def main() -> None:
        async with listening(app) as port, connect(f"ws://127.0.0.1:{port}/there") as client:
            await client.send("hello ")
            assert await client.recv() == "hello /there"

    asyncio.run(main())


def test_what_comes_behind_the_handshake_of_a_websocket_is_not_read_as_http() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        await asyncio.sleep(60)

    async def work(one: Talk) -> None:
        one.wire.set_protocol = lambda protocol: None  # type: ignore[method-assign]  # the test keeps the old one
        head = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
        await one.say(head + b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n" + b"\x00" * 200_000)
        assert b" 400 " not in one.wire.text
        for task in one.state.tasks:
            task.cancel()
        for protocol in list(one.state.connections):
            protocol.connection_lost(None)

    talk(app, work)


def test_many_requests_in_chunks_over_one_connection() -> None:
    async def work(one: Talk) -> None:
        for size in (0, 1, 1000, 300_000):
            text = await one.say(chunked("/x", [b"z" * size] if size else []), gently=True)
            assert f" {size} ".encode() in text.rpartition(b"\r\n\r\n")[2]

    talk(echo, work)


def test_tls(tmp_path: Path) -> None:
    server, client = certified(tmp_path)

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await answer(send, scope["scheme"].encode())

    async def ask(port: int, request: bytes) -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=client)
        writer.write(request)
        text = await asyncio.wait_for(reader.read(), 60)
        writer.close()
        return text

    async def main() -> None:
        async with listening(app, ssl=server) as port:
            assert (await ask(port, CLOSE)).endswith(b"https")
            assert (await ask(port, b"nonsense\r\n\r\n")).startswith(b"HTTP/1.1 400 ")

    asyncio.run(main())
