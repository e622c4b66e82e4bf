"""Context: what an API may know of the request it answers, and say about its response."""

from __future__ import annotations

import shutil
import tempfile
import weakref
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass, field
from http.cookies import Morsel, SimpleCookie
from typing import TYPE_CHECKING, Any, Literal, Protocol

if TYPE_CHECKING:
    from starlette.background import BackgroundTasks
    from starlette.datastructures import MutableHeaders
    from starlette.requests import Request

__all__ = [
    "Context",
    "Cookie",
    "ResponseContext",
    "ServerContext",
    "current_context",
    "request_context",
    "request_ids",
    "server_context",
]


@dataclass(slots=True)
class Cookie:
    """Describe one cookie of a response, as RFC 6265 does; ``None`` leaves an attribute out."""

    key: str
    value: str
    max_age: int | None = None
    expires: int | str | None = None
    path: str | None = "/"
    domain: str | None = None
    secure: bool = False
    httponly: bool = False
    samesite: str | None = "lax"

    def header(self) -> str:
        """Return the value of the ``Set-Cookie`` header.

        Raises:
            http.cookies.CookieError: the key is not a token, or is the name of an attribute.
        """
        morsel: Morsel[str] = Morsel()
        morsel.set(self.key, self.value, _quoted(self.value))
        for name, value in (
            ("max-age", self.max_age),
            ("expires", self.expires),
            ("path", self.path),
            ("domain", self.domain),
            ("samesite", self.samesite),
        ):
            if value is not None:
                morsel[name] = value
        morsel["secure"] = self.secure
        morsel["httponly"] = self.httponly
        return morsel.OutputString()


class ResponseContext:
    """Collect what an API says about its response; what it does not touch costs nothing."""

    __slots__ = ("_background", "_cookies", "_headers", "_status_code")

    def __init__(self) -> None:
        self._status_code = 200
        self._headers: MutableHeaders | None = None
        self._cookies: list[Cookie] | None = None
        self._background: BackgroundTasks | None = None

    @property
    def status_code(self) -> int:
        """The status, 200 where nothing else is said.

        Raises:
            ValueError: what is assigned is no status of a whole answer, which RFC 9110 has from 200 to 599.
        """
        return self._status_code

    @status_code.setter
    def status_code(self, status: int) -> None:
        if not isinstance(status, int) or not 200 <= status <= 599:
            raise ValueError(f"`{status!r}` is no status of an answer; give a number from 200 to 599")
        self._status_code = int(status)

    @property
    def headers(self) -> MutableHeaders:
        """The headers to add; ``append`` keeps several values of one name."""
        if self._headers is None:
            from starlette.datastructures import MutableHeaders

            self._headers = MutableHeaders()
        return self._headers

    @property
    def metadata(self) -> MutableHeaders:
        """The headers, under the name that BentoML 1.0 used."""
        return self.headers

    @property
    def cookies(self) -> list[Cookie]:
        """The cookies to set; may be assigned as a whole."""
        if self._cookies is None:
            self._cookies = []
        return self._cookies

    @cookies.setter
    def cookies(self, cookies: list[Cookie]) -> None:
        self._cookies = list(cookies)

    def set_cookie(
        self,
        key: str,
        value: str,
        max_age: int | None = None,
        expires: int | str | None = None,
        path: str | None = "/",
        domain: str | None = None,
        secure: bool = False,
        httponly: bool = False,
        samesite: Literal["lax", "strict", "none"] | None = "lax",
    ) -> None:
        """Add a cookie."""
        self.cookies.append(
            Cookie(key, value, max_age, expires, path, domain, secure, httponly, samesite),
        )

    @property
    def background(self) -> BackgroundTasks:
        """The tasks to run once the response is sent: ``background.add_task(function, *args)``."""
        if self._background is None:
            from starlette.background import BackgroundTasks

            self._background = BackgroundTasks()
        return self._background

    @property
    def background_tasks(self) -> BackgroundTasks | None:
        """The tasks that were added, or None."""
        return self._background

    def raw_headers(self) -> list[tuple[bytes, bytes]]:
        """Return the headers and cookies as ASGI wants them.

        Raises:
            ValueError: a value holds a line break or another control character, with which one header could
                smuggle in a second one.
        """
        raw = list(self._headers.raw) if self._headers is not None else []
        for cookie in self._cookies or ():
            raw.append((b"set-cookie", cookie.header().encode("latin-1")))
        for name, value in raw:
            if _unsafe(name) or _unsafe(value):
                raise ValueError(f"response header {name!r} holds a control character: {value!r}")
        return raw


class Context:
    """Give an API its request, its response, a folder of its own and the state of its worker.

    ``request`` and ``temp_dir`` are made when they are first asked for: most calls need neither.
    """

    __slots__ = (
        "__weakref__",
        "_make_request",
        "_make_temp_dir",
        "_request",
        "_temp_dir",
        "response",
        "state",
    )

    def __init__(
        self,
        make_request: Callable[[], Request],
        *,
        state: dict[str, Any] | None = None,
        make_temp_dir: Callable[[], str] | None = None,
    ) -> None:
        self.response = ResponseContext()
        self.state: dict[str, Any] = {} if state is None else state
        self._make_request = make_request
        self._make_temp_dir = make_temp_dir
        self._request: Request | None = None
        self._temp_dir: str | None = None

    @property
    def request(self) -> Request:
        """The Starlette request: headers, method, query_params, client, cookies, url; ``metadata`` is its headers."""
        if self._request is None:
            self._request = self._make_request()
            self._request.metadata = self._request.headers  # type: ignore[attr-defined]  # the name of BentoML 1.0
        return self._request

    @property
    def temp_dir(self) -> str:
        """A folder that is this call's alone and that is emptied when the call is over."""
        if self._temp_dir is None:
            self._temp_dir = self._make_temp_dir() if self._make_temp_dir else self._own_folder()
        return self._temp_dir

    def derived(self) -> Context:
        """Return a context for a call within this one: the same request, state and folder, a response of its own."""
        return Context(lambda: self.request, state=self.state, make_temp_dir=lambda: self.temp_dir)

    def _own_folder(self) -> str:
        folder = tempfile.mkdtemp(prefix="bentoml-request-")
        weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)
        return folder


@dataclass
class ServerContext:
    """Say which server this process belongs to; a worker fills it in before it loads the service."""

    bento_name: str = "not available"
    bento_version: str = "not available"
    service_name: str = ""
    service_type: Literal["entry_service", "service", "cli", "observer"] = "observer"
    worker_index: int | None = None
    service_routes: list[str] = field(default_factory=list)


server_context = ServerContext()

request_context: ContextVar[Context] = ContextVar("bentoml.request_context")


class RequestIds(Protocol):
    """Who a request is in the log and in traces."""

    trace_id: int
    span_id: int

    def traceparent(self) -> str:
        """Return the header by which another server goes on with this trace."""


request_ids: ContextVar[RequestIds] = ContextVar("bentoml.request_ids")


def current_context() -> Context:
    """Return the context of the request being answered, or a fresh one where there is none (a direct call)."""
    context = request_context.get(None)
    return Context(_no_request) if context is None else context


def _no_request() -> Request:
    from starlette.requests import Request

    return Request({"type": "http", "method": "POST", "path": "/", "headers": [], "query_string": b""})


def _quoted(value: str) -> str:
    return SimpleCookie().value_encode(value)[1]


def _unsafe(text: bytes) -> bool:
    return any(byte < 32 and byte != 9 for byte in text) or b"\x7f" in text
