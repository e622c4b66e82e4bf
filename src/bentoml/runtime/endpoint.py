"""One API as an ASGI callable: the body in, the user's function called, the answer out."""

from __future__ import annotations

import asyncio
import inspect
import logging
from asyncio import current_task
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Message

from ..sdk.context import Context, request_context
from ..sdk.method import APIMethod
from ..sdk.values.images import holds_images
from ..sdk.values.serde import FileAnswer
from .answer import JSON, TEXT, Answer, Headers, Recorder, Stream, file_response, overridden
from .call import Call, Receive, Scope, Send, Server
from .errors import FOREIGN, RAISED, error_body, of_exception, users_traceback
from .form_response import FormResponse
from .guard.room import NoRoom
from .intake.body import (
    SHORT,
    Body,
    Decoded,
    Upload,
    check_length,
    decode,
    is_long,
    read_body,
    whole_body,
)
from .intake.url_inputs import fetched
from .streams import AsyncChunks, Chunks, ThreadChunks, error_event, send_chunks, watch

__all__ = ["Endpoint"]

logger = logging.getLogger(__name__)

_ALWAYS = 16 << 10  # bytes of a body for which there is always room


class Endpoint:
    """Answer the requests of one API; ``function`` is the method of the service's instance.

    A sync function has all of its work, the reading of its input and the writing of its output included, done in a
    worker thread; for an async one it is done on the event loop, but for images and long bodies: they are read in a
    thread, too, so that others need not wait.
    """

    def __init__(
        self,
        method: APIMethod[..., Any],
        function: Callable[..., Any],
        server: Server,
        *,
        label: str,
        context: bool,
    ) -> None:
        self._function = function
        self._server = server
        self._label = label
        self._input = method.input
        self._output = method.output
        self._is_async = method.is_async
        self._ctx = method.ctx_param
        self._ctx_place = method.ctx_place
        self._is_plain = not method.input.root and method.ctx_param is None
        self._context = context  # whether this or another API may ask for the context
        self._cell = server.metrics.started(label) if server.metrics else 0
        self._media_type = method.output.media_type
        self._may_be_npy = method.output.may_be_npy
        self._media_type_bytes = method.output.media_type.encode("latin-1")
        self._server_header = server.header
        self._takes_host = server.origins.takes if server.origins else None
        self._limit = server.limits.body
        self._digits = len(str(server.limits.body))  # of a length that may be over it
        self._is_inline = method.is_async and not method.is_stream
        self._is_stream = method.is_stream
        self._reads_here = method.is_async or method.is_stream
        self._takes_images = self._reads_here and holds_images(method.input.schema())
        self._prepares = self._takes_images or method.input.takes_urls

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request.

        An ordinary request is answered in this one coroutine: another one would cost it a hundredth of its time.
        """
        server = self._server
        traffic = server.traffic
        call = Call(scope, server)
        if server.metrics is not None:
            server.metrics.begin(self._cell)
        if (
            scope["method"] != "POST"
            or traffic.count >= traffic.limit
            or (
                self._takes_host is not None
                and (b"origin" in call.headers or not self._takes_host(call.headers.get(b"host", b"")))
                and not _may(server, call)
            )
        ):
            return await self._refuse(call, send)
        answer: Answer | Stream | Response
        call.task = current_task(server.loop)
        traffic.enter(call)
        try:
            try:
                if len(call.headers.get(b"content-length", b"")) >= self._digits:
                    check_length(call)
                message = await receive()
                given: Body | Decoded | None
                given = whole_body(message, self._limit)
                if given is not None and len(given) > _ALWAYS:
                    call.keep(len(given))
                if given is None or self._prepares or (len(given) > SHORT and self._reads_here):
                    given = await self._prepared(call, given, message, receive)
                elif self._context:
                    self._make_context(call, given)
                if self._is_inline:
                    answer = self._encoded(call, await self._called(call, given))
                elif self._is_stream:
                    answer = await self._stream(call, given, receive)
                else:
                    answer = await self._run_in_thread(call, given)
            except asyncio.CancelledError as e:
                answer = self._cancelled(call, e)
            except RAISED as e:  # the boundary of the user's code
                answer = self._failed(call, e)
            traffic.begun(call)
            if type(answer) is Answer:
                await send(self._head(call, answer))
                await send({"type": "http.response.body", "body": answer.body})
            else:
                await self._send(call, answer, receive, send)
        finally:
            call.task = None  # whose context knows the call: nothing is to be left for the garbage collector
            traffic.leave(call)
            call.end(self._label)
            if call.context is not None or call.folder is not None:
                await _finish(call)
            elif call.kept and not call.lent:
                call.keep(0)

    async def _refuse(self, call: Call, send: Send) -> None:
        """Answer what does not come to the API: another method than POST, a foreign web page, one request too many."""
        method = call.scope["method"]
        answer = _NOT_ALLOWED
        if method == "POST":
            answer = _TOO_MANY if _may(self._server, call) else _FOREIGN
        await send(self._head(call, answer))
        await send({"type": "http.response.body", "body": b"" if method == "HEAD" else answer.body})
        call.end(self._label)

    async def _prepared(
        self, call: Call, body: Body | None, message: Message, receive: Receive
    ) -> Body | Decoded:
        """Return what came where it is more than a short body that is there already."""
        if body is None:
            body = await read_body(call, message, receive, self._input)
        if self._context:
            self._make_context(call, body)
        if self._input.takes_urls:
            body = await fetched(call, self._input, body)
        if self._reads_here and (self._takes_images or is_long(call, body)):
            return await self._read_ahead(call, body)
        return body

    async def _read_ahead(self, call: Call, body: Body) -> Decoded:
        call.job = self._server.disk.submit(decode, call, self._input, body, abandoned=call.release)
        return Decoded(await call.job)

    # The kinds of functions that are not simply awaited.

    def _run_in_thread(self, call: Call, body: Body | Decoded) -> Awaitable[Answer | Response]:
        call.job = self._server.threads.submit(self._work, call, body, abandoned=call.release)
        return call.job

    def _work(self, call: Call, body: Body | Decoded) -> Answer | Response:
        return self._encoded(call, self._called(call, body))

    async def _stream(self, call: Call, body: Body | Decoded, receive: Receive) -> Stream:
        """Run a generator to its first step; from here on it ends when the client goes away."""
        args, kwargs = self._arguments(call, body)
        watcher = watch(call, receive)
        try:
            chunks = await self._chunks(call, args, kwargs)
            first, (status, headers) = await self._begun(call, chunks)
        except BaseException:
            watcher.cancel()
            raise
        return Stream(status, first, chunks, self._media_type_bytes, headers, watcher)

    async def _chunks(self, call: Call, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Chunks:
        server = self._server
        if self._is_async or inspect.isgeneratorfunction(self._function):  # calling these does nothing yet
            steps = self._function(*args, **kwargs)
        else:
            steps = call.job = server.threads.submit(
                partial(self._function, *args, **kwargs), abandoned=call.release
            )
        if inspect.isawaitable(steps):
            steps = await steps
        if hasattr(steps, "__aiter__"):
            return AsyncChunks(steps, self._output.encode_chunk)
        return ThreadChunks(iter(steps), self._output.encode_chunk, server.threads, server.loop)

    async def _begun(self, call: Call, chunks: Chunks) -> tuple[bytes | None, tuple[int, Headers | None]]:
        """Return the first chunk, and what the API has said about its answer by then."""
        try:
            return await chunks.first(), _context_answer(call)
        except asyncio.CancelledError:
            call.lent = chunks.abandon(call.release)
            raise
        except RAISED:
            await chunks.close()
            raise

    # Input and output.

    def _called(self, call: Call, body: Body | Decoded) -> Any:
        if self._is_plain:
            return self._function(**decode(call, self._input, body))
        args, kwargs = self._arguments(call, body)
        return self._function(*args, **kwargs)

    def _make_context(self, call: Call, body: Body) -> None:
        call.context = Context(
            lambda: Request(call.scope, _replay(body)),
            state=self._server.state,
            make_temp_dir=lambda: str(call.temp_dir()),
        )
        request_context.set(call.context)

    def _arguments(self, call: Call, body: Body | Decoded) -> tuple[tuple[Any, ...], dict[str, Any]]:
        arguments = decode(call, self._input, body)
        args: tuple[Any, ...] = ()
        if self._input.root:
            args, arguments = tuple(arguments.values()), {}
        if self._ctx_place is not None:
            args = (*args[: self._ctx_place], call.context, *args[self._ctx_place :])
        elif self._ctx is not None:
            arguments[self._ctx] = call.context
        return args, arguments

    def _encoded(self, call: Call, value: Any) -> Answer | Response:
        if isinstance(value, Response):
            return value
        if self._may_be_npy and (accept := call.headers.get(b"accept")):
            body, media_type = self._output.encode_for(value, accept)
        else:
            body, media_type = self._output.encode(value)
        status, headers = (200, None) if call.context is None else _context_answer(call)
        if status in _BODILESS:
            body = b""
        if not isinstance(body, bytes):
            response = file_response(body) if isinstance(body, FileAnswer) else FormResponse(body)
            response.status_code = status
            response.raw_headers = overridden(response.raw_headers, headers or [])
            return response
        known = media_type == self._media_type
        return Answer(
            status, body, self._media_type_bytes if known else media_type.encode("latin-1"), headers
        )

    # Errors.

    def _cancelled(self, call: Call, error: asyncio.CancelledError) -> Answer:
        """Answer a request whose time is over; any other cancellation of the task goes on to who asked for it."""
        call.lent = call.lent or (call.job is not None and call.job.cancelled())
        if call.task is None or not call.task.cancelling():
            return self._failed(call, error)  # the user's code let one of its own tasks be cancelled
        if not call.expired and not call.gone:
            raise error
        call.task.uncancel()
        call.context = None
        if call.gone:
            return Answer(_CLIENT_GONE, b"")  # for the log: nobody reads it
        timeout = self._server.traffic.timeout
        return Answer(504, error_body(f"Not able to process the request in {timeout} seconds"))

    def _failed(self, call: Call, error: BaseException) -> Answer:
        call.context = None  # what the API said about its response is void, background tasks included
        if isinstance(error, NoRoom):
            return Answer(503, error_body(error.message), headers=_IN_A_MOMENT)
        status, body = of_exception(error)
        if status >= 500:
            _log(call, error)
        return Answer(status, body)

    # Answers.

    def _head(self, call: Call, answer: Answer) -> dict[str, Any]:
        call.status = answer.status
        call.media_type = media_type = answer.media_type
        call.length = length = b"%d" % len(answer.body)
        headers = call.ids()
        headers += self._server_header, (b"content-type", media_type), (b"content-length", length)
        if answer.headers:
            headers = overridden(headers, answer.headers)
        return {"type": "http.response.start", "status": answer.status, "headers": headers}

    async def _send(
        self, call: Call, answer: Answer | Stream | Response, receive: Receive, send: Send
    ) -> None:
        """Send an answer that is not in memory as a whole."""
        if isinstance(answer, Stream):
            await self._send_stream(call, answer, send)
        elif isinstance(answer, Response):
            await answer(call.scope, receive, Recorder(send, call, [self._server_header, *call.ids()]))

    async def _send_stream(self, call: Call, answer: Stream, send: Send) -> None:
        call.status = answer.status
        call.media_type = answer.media_type
        headers = [self._server_header, (b"content-type", answer.media_type), *call.ids()]
        if answer.headers:
            headers = overridden(headers, answer.headers)
        try:
            head = {"type": "http.response.start", "status": answer.status, "headers": headers}
            await send_chunks(head, answer.first, answer.chunks, call, send)
        except RAISED as e:  # the boundary of the user's code: the answer has begun
            _log(call, e)
            status, body = of_exception(e)
            if dict(headers)[b"content-type"].startswith(b"text/event-stream"):
                event = error_event(body, status, answer.chunks.last)
                await send({"type": "http.response.body", "body": event})
            # Any other stream is left without its end, and the server cuts it off: nobody takes it for whole.
        finally:
            answer.watcher.cancel()


async def _finish(call: Call) -> None:
    """Run the tasks that the API left for after the answer, then give its folder back."""
    try:
        if call.context is not None and (tasks := call.context.response.background_tasks) is not None:
            for task in tasks.tasks:
                try:
                    await task()
                except RAISED as e:  # the boundary of the user's code: the others run all the same
                    _log(call, e, "background task of ")
    finally:
        call.context = None  # which knows the call as well
        if not call.lent:
            call.release()


def _log(call: Call, error: BaseException, part: str = "") -> None:
    call.failed(error)
    exc_info = (type(error), error, users_traceback(error))
    logger.error(
        "Exception on %s%s", part, call.scope["path"], exc_info=exc_info, extra={"trace": call.trace()}
    )


def _context_answer(call: Call) -> tuple[int, Headers | None]:
    """Return the status and the headers that the API set through its context."""
    if call.context is None:
        return 200, None
    response = call.context.response
    return response.status_code, response.raw_headers()


def _may(server: Server, call: Call) -> bool:
    return server.origins is None or server.origins.allow(call.scope, call.headers)


def _replay(body: Body) -> Receive:
    """Return a ``receive`` for a request whose body has been read already."""

    async def receive() -> dict[str, Any]:
        if isinstance(body, Upload):
            raise RuntimeError(
                "the upload was written to the disk as it came; its fields are the API's parameters"
            )
        return {"type": "http.request", "body": body, "more_body": False}

    return receive


_CLIENT_GONE = 499  # as nginx has it in its log

_FOREIGN = Answer(403, FOREIGN)
_BODILESS = (204, 304)
_NOT_ALLOWED = Answer(405, b"Method Not Allowed", TEXT, [(b"allow", b"POST")])
_IN_A_MOMENT = [(b"retry-after", b"1")]
_TOO_MANY = Answer(429, error_body("Too many requests"), JSON, _IN_A_MOMENT)
