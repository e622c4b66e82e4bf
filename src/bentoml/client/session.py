"""Session: the flow of every call, written once for both clients; the wire beneath says what waiting means."""

from __future__ import annotations

import random
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import replace
from itertools import count
from typing import Any, TypeVar

from ..exceptions import BentoMLException, InvalidArgument, RequestTimeout, ServiceUnavailable
from .body import Body, body_of
from .deep_json import loads
from .downloads import Downloads, file_value
from .failures import failure
from .parts import FormReader, form_value
from .plan import Endpoint, RequestPlan, endpoints_of
from .retries import Options, Retries, is_worth_a_retry, retry_after
from .uploads import UNKNOWN, Link, Upload
from .values import plain_optional
from .wire import Answer, Wire

__all__ = ["END", "Session", "Stream"]

END: Any = object()

T = TypeVar("T")

_FIRST_PAUSE = 0.05
_LONGEST_PAUSE = 1.0
_PROBE_SECONDS = 5.0
_MOST_FETCHED = 1 << 30  # bytes of a file that lies elsewhere
_FETCH_SECONDS = 600.0


class Session:
    """Call the APIs of one server; what it answers with files is kept until the session closes."""

    def __init__(
        self,
        wire: Wire,
        downloads: Downloads | None = None,
        headers: Callable[[], Mapping[str, str]] = dict,
    ) -> None:
        self.wire = wire
        self.downloads = Downloads() if downloads is None else downloads
        self.headers = headers  # of each request, made when it is sent
        self.endpoints: Mapping[str, Endpoint] | None = None

    async def connect(self, timeout: float | None, options: Options) -> None:
        """Wait until the server is ready, for at most ``timeout`` seconds (0: do not), and learn what it offers."""
        if timeout != 0:
            await self.wait_until_ready(timeout)
        self.endpoints = endpoints_of(await self._schema(options))

    async def why_not_ready(self, timeout: float | None) -> str | None:
        """Return why the server does not take requests, or nothing when it does."""
        try:
            answer = await self.wire.send("GET", "/readyz", None, {}, timeout)
            try:
                body = await answer.read()
            finally:
                await answer.close()
        except ServiceUnavailable as e:
            return str(e)
        if answer.status == 200:
            return None
        return (
            f"`{self.wire.address}/readyz` answered {answer.status} {body.decode(errors='replace').strip()}"
        )

    async def wait_until_ready(self, limit: float | None) -> None:
        """Return as soon as the server is ready; ``RequestTimeout`` if it is not within ``limit`` seconds."""
        deadline = None if limit is None else time.monotonic() + limit
        pause = _FIRST_PAUSE
        while reason := await self.why_not_ready(_remaining(deadline, _PROBE_SECONDS)):
            if deadline is not None and time.monotonic() >= deadline:
                raise RequestTimeout(f"Server is not ready after {limit:g} seconds: {reason}")
            await self.wire.sleep(_remaining(deadline, pause))
            pause = min(pause * 1.5, _LONGEST_PAUSE)

    async def call(self, endpoint: Endpoint, plan: RequestPlan, options: Options) -> Any:
        """Send a request and return what its answer means."""
        return await self._exchange(plan, options, lambda answer: self._value(endpoint, answer))

    async def ask(self, plan: RequestPlan, options: Options) -> Any:
        """Send a request about a task and return the JSON of its answer."""
        return await self._exchange(plan, options, lambda answer: _json(answer, plan.route))

    def stream(self, endpoint: Endpoint, plan: RequestPlan, options: Options) -> Stream:
        """Return the steps of a call whose answer comes in steps; it is sent when the first one is asked for."""
        return Stream(self, endpoint, plan, options)

    async def close(self) -> None:
        """Close the connections and remove the files."""
        self.downloads.close()
        await self.wire.close()

    async def exchange(
        self, plan: RequestPlan, body: Body | None, options: Options, read: Callable[[Answer], Awaitable[T]]
    ) -> T:
        """Send a request and return what ``read`` makes of its answer; again where that is allowed and may help."""
        tries = options.for_questions() if plan.method == "GET" else options.for_calls()
        headers = {**self.headers(), **({"Accept": plan.accept} if plan.accept else {})}
        began = time.monotonic()
        for tried in count(1):
            try:
                answer = await self.wire.send(plan.method, plan.route, body, headers, options.timeout)
                pause = _pause(answer, tries, tried, time.monotonic() - began)
                if pause is None:
                    return await read(answer)
                await answer.close()
            except ServiceUnavailable as e:
                pause = _pause(e, tries, tried, time.monotonic() - began)
                if pause is None:
                    raise
            await self.wire.sleep(pause)
        raise AssertionError("count() does not end")

    async def body_of(self, plan: RequestPlan, opened: ExitStack, options: Options) -> Body | None:
        """Return what is sent, once all of it is on this machine; ``opened`` ends what was opened for it."""
        if plan.method != "POST":
            return None
        plan = replace(plan, body=await self._fetched(plan.body, options))
        if isinstance(plan.body, bytes):
            return body_of(plan, opened)
        return await self.wire.work(body_of, plan, opened)

    async def _exchange(
        self, plan: RequestPlan, options: Options, read: Callable[[Answer], Awaitable[T]]
    ) -> T:
        async def whole(answer: Answer) -> T:
            try:
                return await read(answer)
            finally:
                await answer.close()

        with ExitStack() as opened:
            body = await self.body_of(plan, opened, options)
            return await self.exchange(plan, body, options, whole)

    async def _fetched(self, content: Any, options: Options) -> Any:
        """Return a body in which no file lies elsewhere any more."""
        if isinstance(content, tuple):
            values = [await self._fetched(field.value, options) for field in content]
            return tuple(field._replace(value=value) for field, value in zip(content, values, strict=True))
        if isinstance(content, Upload) and isinstance(content.content, Link):
            return await self._fetch(content, content.content.url, options)
        return content

    async def _fetch(self, upload: Upload, url: str, options: Options) -> Upload:
        """Return the file at an address as one of this machine's."""
        answer = await self.wire.fetch(url, options.timeout)
        try:
            if not 200 <= answer.status < 300:
                raise InvalidArgument(
                    f"`{url}` cannot be sent: its server answered with status {answer.status}"
                )
            path, file = self.downloads.new(
                {"content-disposition": f'attachment; filename="{upload.filename}"'}
            )
            began, size = time.monotonic(), 0
            with file:
                while (piece := await answer.piece()) is not None:
                    size += len(piece)
                    if size > _MOST_FETCHED or time.monotonic() - began > _FETCH_SECONDS:
                        raise InvalidArgument(
                            f"`{url}` is larger than {_MOST_FETCHED} bytes, or takes longer than {_FETCH_SECONDS:g} "
                            "seconds; download it yourself and give its path"
                        )
                    file.write(piece)
        finally:
            await answer.close()
        said = answer.headers.get("content-type", UNKNOWN)
        is_news = upload.media_type in (None, UNKNOWN) and said != UNKNOWN
        return replace(upload, content=path, media_type=said if is_news else upload.media_type)

    async def _value(self, endpoint: Endpoint, answer: Answer) -> Any:
        if not 200 <= answer.status < 300:
            raise failure(answer.status, await answer.read(), endpoint.route)
        if endpoint.gives_file(answer.headers):
            path, file = self.downloads.new(answer.headers)
            with file:
                while (piece := await answer.piece()) is not None:
                    file.write(piece)
            return await self.wire.work(file_value, path, plain_optional(endpoint.output))
        if endpoint.gives_form(answer.headers):
            with FormReader(answer.headers["content-type"], self.downloads.new) as reader:
                while (piece := await answer.piece()) is not None:
                    reader.feed(piece)
            return await self.wire.work(form_value, reader.end(), endpoint.output, file_value)
        return endpoint.response(answer.status, answer.headers, await answer.read())

    async def _schema(self, options: Options) -> Mapping[str, Any]:
        page = f"`{self.wire.address}/schema.json`"
        plan = RequestPlan("/schema.json", method="GET")
        try:
            schema: Mapping[str, Any] = await self.ask(plan, options)
        except BentoMLException as e:
            if isinstance(e, ServiceUnavailable) and e.body is None:
                raise  # there was no answer
            raise BentoMLException(f"Failed to fetch schema from {page}: {e}", error_code=e.error_code) from e
        return schema


class Stream:
    """The steps of one answer, for as long as somebody asks for the next."""

    def __init__(self, session: Session, endpoint: Endpoint, plan: RequestPlan, options: Options) -> None:
        self._session = session
        self._endpoint = endpoint
        self._plan = plan
        self._options = options
        self._answer: Answer | None = None
        self._values: Iterator[Any] = iter(())
        self._is_whole = False

    async def next(self) -> Any:
        """Return the next step; ``END`` when there is none any more."""
        if self._answer is None:
            self._answer = await self._begin()
            self._chunks = self._endpoint.chunks(self._answer.headers)
        while True:
            for value in self._values:
                return value
            if self._is_whole:
                return END
            piece = await self._answer.piece()
            self._is_whole = piece is None
            self._values = self._chunks.end() if piece is None else self._chunks.feed(piece)

    async def close(self) -> None:
        """Hang up, unless the stream has ended."""
        if self._answer is not None:
            await self._answer.close()

    async def _begin(self) -> Answer:
        with ExitStack() as opened:
            body = await self._session.body_of(self._plan, opened, self._options)
            answer = await self._session.exchange(self._plan, body, self._options, _begun)
        if 200 <= answer.status < 300:
            return answer
        try:
            raise failure(answer.status, await answer.read(), self._plan.route)
        finally:
            await answer.close()


async def _begun(answer: Answer) -> Answer:
    """Return an answer whose body is read step by step."""
    return answer


async def _json(answer: Answer, route: str) -> Any:
    body = await answer.read()
    if not 200 <= answer.status < 300:
        raise failure(answer.status, body, route)
    try:
        return loads(body)
    except ValueError as e:
        raise BentoMLException(f"the server's answer on `{route}` is not JSON: {e}") from e


def _pause(outcome: Answer | ServiceUnavailable, tries: Retries, tried: int, elapsed: float) -> float | None:
    """Return the seconds until the next try, or None where this outcome is the last."""
    if not is_worth_a_retry(outcome if isinstance(outcome, ServiceUnavailable) else outcome.status):
        return None
    asked = None if isinstance(outcome, ServiceUnavailable) else retry_after(outcome.headers)
    return tries.pause(tried, elapsed, asked, random.random())


def _remaining(deadline: float | None, longest: float) -> float:
    """Return the seconds left until the deadline: no more than ``longest``, and never quite none."""
    return longest if deadline is None else min(longest, max(0.001, deadline - time.monotonic()))
