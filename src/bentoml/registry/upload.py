"""Uploads: one blob into a repository, without sending what is there, going on where an earlier attempt ended."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from ..exceptions import BentoMLException, ServiceUnavailable
from .client import Registry
from .contents import Content
from .documents import Descriptor
from .memory import Memory
from .refusals import refused
from .transport import Answer, Body

__all__ = ["Upload"]

_HELD = 8 << 20  # bytes of a body that is held in memory, so that it can be sent again at once
_PART = 32 << 20  # bytes of a part where somebody before the registry takes no more
_RANGE = re.compile(r"(?:bytes=)?0-([0-9]{1,15})\Z")
_HANDLED = (200, 201, 202, 204, 307, 308, 400, 404, 408, 413, 416, 429, 500, 502, 503, 504)
_HOPS = 5
_BYTES = {"Content-Type": "application/octet-stream"}


class _Lost(BentoMLException):
    """The registry does not know the upload any more, or has other bytes of it than we think."""


@dataclass
class Upload:
    """Send one blob; ``sent`` counts the bytes that left, ``told`` is called with the number of each piece."""

    registry: Registry
    descriptor: Descriptor
    content: Content
    memory: Memory
    told: Callable[[int], None]
    sent: int = 0
    mounted: bool = False
    _url: str = ""
    _offset: int = 0
    _told: int = 0
    _part: int = 1 << 62  # the most bytes of one request
    _resumed: bool = False
    _asked: str = ""  # how long the registry asked to wait

    def run(self, source: str | None = None) -> None:
        """Send the blob, unless the repository ``source`` of the same registry has it: then it is mounted from there.

        Raises:
            ServiceUnavailable: the connection breaks again and again.
            BentoMLException: the registry refuses it.
        """
        self._take_up()
        attempt = anew = 0
        while not self.mounted:
            before = self._offset
            try:
                if not self._url:
                    self._begin(source)
                    continue
                self._send()
                break
            except _Lost:
                anew += 1
                if anew > 2:
                    raise
                self._forget()
            except ServiceUnavailable:
                attempt = 1 if self._offset > before else attempt + 1
                if not self.registry.wait(attempt, self._asked):
                    raise
                self._ask_where()
        self._forget()

    def _take_up(self) -> None:
        """Go on with the upload that another run left."""
        if self.descriptor.size > _HELD and (url := self.memory.recall(self._key())):
            self._url = url
            self._ask_where()

    def _key(self) -> list[object]:
        return ["upload", self.registry.host, self.registry.repository, str(self.descriptor.digest)]

    def _begin(self, source: str | None) -> None:
        digest = self.descriptor.digest
        mount = f"?mount={digest}&from={source}" if source else ""
        headers = {"Content-Length": "0"}
        with self.registry.ask("POST", f"blobs/uploads/{mount}", headers, b"", expected=(201, 202)) as answer:
            self.mounted = answer.status == 201
            if not self.mounted:
                self._go_to(answer, 0)
                if self.descriptor.size > _HELD:
                    self.memory.remember(self._key(), self._url)

    def _send(self) -> None:
        if not self._offset and self.descriptor.size <= self._part:
            return self._end(self.descriptor.size)  # a registry hashes what comes so while it comes
        while self._offset < self.descriptor.size:
            self._send_part(min(self._part, self.descriptor.size - self._offset))
        self._end(0)

    def _send_part(self, size: int) -> None:
        start = self._offset
        headers = {**_BYTES, "Content-Length": str(size)}
        if start or size < self.descriptor.size:
            headers["Content-Range"] = f"{start}-{start + size - 1}"
        with self._ask("PATCH", self._url, headers, size) as answer:
            self._go_to(answer, start + size)
        self.memory.remember(self._key(), self._url)
        if not start < self._offset <= start + size:
            raise _Lost(f"registry `{self.registry.host}` took {self._offset} bytes of {start + size}")

    def _end(self, size: int) -> None:
        """Tell the registry what the upload is, with its last bytes."""
        digest = self.descriptor.digest
        url = f"{self._url}{'&' if '?' in self._url else '?'}digest={digest}"
        headers = {**_BYTES, "Content-Length": str(size)}
        with self._ask("PUT", url, headers, size) as answer:
            said = answer.headers.get("docker-content-digest", str(digest))
            if said != str(digest):
                raise BentoMLException(
                    f"registry `{self.registry.host}` stored `{said}` instead of `{digest}`"
                )

    @contextmanager
    def _ask(self, method: str, url: str, headers: dict[str, str], size: int) -> Iterator[Answer]:
        """Send ``size`` bytes from where the upload stands; what is not stored then is sent again or anew."""
        start = self._offset
        body: Body = b""
        if size > _HELD:
            body = lambda: self._counted(start, size)  # noqa: E731  # a new one for each attempt
        elif size:
            body = b"".join(self._counted(start, size))
        for _ in range(_HOPS):
            with self.registry.ask(method, url, headers, body, expected=_HANDLED) as answer:
                if answer.status in (307, 308):
                    url = self.registry.location(answer)
                    continue
                self._check(answer)
                yield answer
                return
        raise BentoMLException(f"registry `{self.registry.host}` redirects without end")

    def _check(self, answer: Answer) -> None:
        status, host = answer.status, self.registry.host
        match status:
            case 200 | 201 | 202 | 204:
                return
            case 413 if self._part > _PART:  # smaller parts may pass
                self._part = _PART
                raise _Lost(f"registry `{host}` refuses {self.descriptor.size} bytes at once")
            case 404:
                raise _Lost(f"registry `{host}` does not know the upload that it began")
            case 400 if self._resumed:
                raise _Lost(f"registry `{host}` has other bytes of an earlier upload")
            case 408 | 416 | 429 | 500 | 502 | 503 | 504:
                self._asked = answer.headers.get("retry-after", "")
                raise ServiceUnavailable(
                    f"registry `{host}` answered {status} for an upload; try again later"
                )
        what = f"`{self.descriptor.digest}`"
        refused(answer, host, self.registry.repository, what, writing=True)

    def _counted(self, start: int, size: int) -> Iterator[bytes]:
        self._tell(start)
        for chunk in self.content.chunks(start, size):
            self.sent += len(chunk)
            self._tell(self._told + len(chunk))
            yield chunk

    def _tell(self, done: int) -> None:
        """Tell how much of the blob is behind us, which is less than before where a part has to be sent again."""
        self.told(done - self._told)
        self._told = done

    def _ask_where(self) -> None:
        """Ask where the upload stands; one that is unknown begins anew."""
        if not self._url:
            return
        self._resumed = True
        try:
            with self.registry.ask("GET", self._url, {}, expected=(200, 204)) as answer:
                self._go_to(answer, 0)
        except BentoMLException:
            self._forget()

    def _go_to(self, answer: Answer, offset: int) -> None:
        """Note where the upload goes on: where the answer says, from the byte that it says or else ``offset``."""
        if "location" in answer.headers:
            self._url = self.registry.location(answer)
        found = _RANGE.match(answer.headers.get("range", ""))
        last = int(found[1]) if found else offset - 1
        self._offset = last + 1 if last else 0  # nothing is `0-0`, too

    def _forget(self) -> None:
        self._url, self._offset, self._resumed = "", 0, False
        self.memory.forget(self._key())
