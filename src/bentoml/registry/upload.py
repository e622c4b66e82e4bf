"""Uploads: one blob into a repository, without sending what is there, going on where an earlier attempt ended."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ..exceptions import BentoMLException, ServiceUnavailable
from .client import Registry
from .documents import Descriptor
from .memory import Memory, Note
from .pace import PROGRESS
from .refusals import refused, words_of
from .transport import Answer

if TYPE_CHECKING:
    from .contents import Content

__all__ = ["OtherContent", "Upload"]

logger = logging.getLogger(__name__)

_SMALL = 8 << 20  # bytes that are sent anew rather than taken up
_PART = 32 << 20  # bytes of a part where somebody before the registry takes no more
_RANGE = re.compile(r"(?:bytes=)?0-([0-9]{1,15})\Z")
_HANDLED = (200, 201, 202, 204, 307, 308, 400, 404, 408, 413, 416, 429, 500, 502, 503, 504)
_HOPS = 5
_BYTES = {"Content-Type": "application/octet-stream"}


class _Lost(BentoMLException):
    """The registry does not know the upload any more, or has other bytes of it than we think."""


class OtherContent(BentoMLException):
    """The registry got other bytes than their digest says."""


class _InParts(BentoMLException):
    """So much at once is refused, but smaller parts may pass."""


@dataclass
class Upload:
    """Send one blob; ``sent`` counts the bytes that left, ``told`` is called with the number of each piece.

    All attempts are made here, and none by the transport: what a registry has of an upload after one of them is only
    known when it is asked.
    """

    registry: Registry
    descriptor: Descriptor
    content: Content
    memory: Memory
    told: Callable[[int], None]
    part: int = _PART
    sent: int = 0
    mounted: bool = False
    _url: str = ""
    _offset: int = 0
    _told: int = 0
    _in_parts: bool = False
    _resumed: bool = False
    _asked: str = ""  # how long the registry asked to wait
    _note: Note = field(default_factory=Note)  # where a later run finds it

    def run(self, source: str | None = None) -> None:
        """Send the blob, unless the repository ``source`` of the same registry has it: then it is mounted from there.

        Raises:
            ServiceUnavailable: the connection breaks again and again.
            BentoMLException: the registry refuses it.
        """
        is_large = self.descriptor.size > _SMALL
        with self.memory.note(self._key()) if is_large else nullcontext(Note()) as self._note:
            self._take_up()
            self._run(source)
            self._forget()

    def _run(self, source: str | None) -> None:
        attempt = anew = 0
        while not self.mounted:
            before = self._offset
            try:
                if self._url:
                    self._send()
                    break
                self._begin(source)
            except _InParts:
                self._in_parts = True
            except _Lost:
                anew += 1
                if anew > 2:
                    raise
                self._forget()
            except ServiceUnavailable:
                attempt += 1
                asked, self._asked = self._asked, ""
                if not self.registry.wait(attempt, asked):
                    raise
                self._ask_where()
                if self._offset - before >= PROGRESS:
                    attempt = 0

    def _take_up(self) -> None:
        """Go on with the upload that another run left."""
        if url := self._note.recall():
            self._url = url
            self._ask_where()

    def _key(self) -> list[object]:
        return ["upload", self.registry.host, self.registry.repository, str(self.descriptor.digest)]

    def _begin(self, source: str | None) -> None:
        if source:
            try:
                return self._open(f"?mount={self.descriptor.digest}&from={source}")
            except ServiceUnavailable:
                raise
            except BentoMLException as e:  # we may not read there, or nothing is ever mounted
                logger.debug("nothing is mounted from `%s`: %s", source, e)
        self._open("")

    def _open(self, query: str) -> None:
        with self._ask("POST", f"blobs/uploads/{query}", {}, 0) as answer:
            self.mounted = answer.status == 201
            if not self.mounted:
                self._go_to(answer, 0)

    def _send(self) -> None:
        size = self.descriptor.size
        if not self._offset and not self._in_parts:
            return self._end(size)  # a registry hashes what comes so while it comes
        while self._offset < size:
            self._send_part(min(self.part if self._in_parts else size, size - self._offset))
        self._end(0)

    def _send_part(self, size: int) -> None:
        start = self._offset
        headers = {**_BYTES, "Content-Range": f"{start}-{start + size - 1}"}
        with self._ask("PATCH", self._url, headers, size) as answer:
            self._go_to(answer, start + size)
        if not start < self._offset <= start + size:
            raise _Lost(f"registry `{self.registry.host}` took {self._offset} bytes of {start + size}")

    def _end(self, size: int) -> None:
        """Tell the registry what the upload is, with its last bytes."""
        digest = self.descriptor.digest
        url = f"{self._url}{'&' if '?' in self._url else '?'}digest={digest}"
        with self._ask("PUT", url, _BYTES, size) as answer:
            said = answer.headers.get("docker-content-digest", str(digest))
            if said != str(digest):
                raise BentoMLException(
                    f"registry `{self.registry.host}` stored `{said}` instead of `{digest}`"
                )

    @contextmanager
    def _ask(self, method: str, place: str, headers: dict[str, str], size: int) -> Iterator[Answer]:
        """Send ``size`` bytes from where the upload stands, to wherever the registry leads."""
        start, headers = self._offset, {**headers, "Content-Length": str(size)}
        for _ in range(_HOPS):
            body = lambda: self._counted(start, size)  # noqa: E731  # anew where we have to log in first
            with self.registry.ask(method, place, headers, body, expected=_HANDLED) as answer:
                if answer.status in (307, 308):
                    place = self.registry.location(answer)
                    continue
                self._check(answer)
                yield answer
                return
        raise BentoMLException(f"registry `{self.registry.host}` redirects without end")

    def _check(self, answer: Answer) -> None:
        status, host, what = answer.status, self.registry.host, f"`{self.descriptor.digest}`"
        match status:
            case 200 | 201 | 202 | 204:
                return
            case 413 if not self._in_parts:
                raise _InParts(f"registry `{host}` refuses {self.descriptor.size} bytes at once")
            case 404 if self._url:
                raise _Lost(f"registry `{host}` does not know the upload of {what} that it began")
            case 400 if self._resumed:
                raise _Lost(f"registry `{host}` has other bytes of an earlier upload of {what}")
            case 400 if answer.url.partition("digest=")[2]:
                raise OtherContent(
                    f"registry `{host}` refuses what it got for {what} (status 400{words_of(answer)})"
                )
            case 416:
                raise ServiceUnavailable(f"registry `{host}` has another part of {what} than it said")
        self._asked = answer.headers.get("retry-after", "")
        refused(answer, host, self.registry.repository, what, writing=True)

    def _counted(self, start: int, size: int) -> Iterator[bytes]:
        if size:
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
        """Ask where the upload stands; one that is unknown, or small, begins anew."""
        self._resumed = True
        try:
            if self._url and self.descriptor.size > _SMALL:
                with self.registry.ask("GET", self._url, {}, expected=(200, 204)) as answer:
                    self._go_to(answer, 0)
                return
        except BentoMLException:
            pass
        self._forget()

    def _go_to(self, answer: Answer, offset: int) -> None:
        """Note where the upload goes on: where the answer says, from the byte that it says or else ``offset``."""
        if "location" in answer.headers or not self._url:
            self._url = self.registry.location(answer)
            self._note.write(self._url)
        found = _RANGE.match(answer.headers.get("range", ""))
        last = int(found[1]) if found else offset - 1
        self._offset = last + 1 if last else 0  # nothing is `0-0`, too

    def _forget(self) -> None:
        self._url, self._offset, self._resumed = "", 0, False
        self._note.write("")
