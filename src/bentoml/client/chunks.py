"""Chunks: the steps of a stream, put together again from pieces that the network cut anywhere."""

from __future__ import annotations

import codecs
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Protocol

from ..exceptions import BentoMLException
from .deep_json import loads, raw_decode
from .failures import failure
from .values import from_json

__all__ = ["Chunks", "chunks_of"]

EVENTS = "text/event-stream"

_SAYS_NO_TYPE = {"is_stream", "media_type", "title", "description"}


class Chunks(Protocol):
    """Turn pieces of a body into values."""

    def feed(self, data: bytes) -> Iterator[Any]:
        """Yield what is complete with this piece."""
        ...

    def end(self) -> Iterator[Any]:
        """Yield what is left when the body has ended."""
        ...


def chunks_of(schema: Mapping[str, Any], media_type: str = "", url: str = "") -> Chunks:
    """Return the decoder for a stream whose steps have this schema.

    Text and bytes have no borders between steps: what has arrived is one chunk, a character is never cut in two.
    Other values are lines of JSON, one for each step. An error that ends a stream of events is raised.
    """
    steps = _steps_of(schema)
    return Events(steps, url) if media_type == EVENTS else steps


def _steps_of(schema: Mapping[str, Any]) -> Chunks:
    if schema.get("format") == "binary":
        return RawChunks()
    if schema.get("type") == "string" or not schema.keys() - _SAYS_NO_TYPE:
        return TextChunks()
    return JSONChunks(lambda value: from_json(value, schema))


class RawChunks:
    """Give bytes as they come."""

    def feed(self, data: bytes) -> Iterator[Any]:
        """Yield the piece."""
        yield data

    def end(self) -> Iterator[Any]:
        """Yield nothing."""
        return iter(())


class TextChunks:
    """Give text as it comes; an incomplete character waits for its rest."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")

    def feed(self, data: bytes) -> Iterator[Any]:
        """Yield the text that is complete."""
        if text := self._decoder.decode(data):
            yield text

    def end(self) -> Iterator[Any]:
        """Yield a replacement character where the last one never became complete."""
        if text := self._decoder.decode(b"", final=True):
            yield text


class JSONChunks:
    """Give one value for each line of JSON; several values on one line, as BentoML 1.x sends them, come one by one."""

    def __init__(self, convert: Callable[[Any], Any]) -> None:
        self._convert = convert
        self._pieces: list[bytes] = []

    def feed(self, data: bytes) -> Iterator[Any]:
        """Yield the values of the lines that are complete."""
        *lines, rest = data.split(b"\n")
        for line in lines:
            self._pieces.append(line)
            yield from self._values()
        self._pieces.append(rest)

    def end(self) -> Iterator[Any]:
        """Yield the values of a last line that no line break ended."""
        yield from self._values()

    def _values(self) -> Iterator[Any]:
        text = b"".join(self._pieces).decode(errors="replace").strip()
        self._pieces.clear()
        while text:
            try:
                value, length = raw_decode(text)
            except ValueError as e:
                raise BentoMLException(f"a step of the stream is not JSON: {e}") from e
            yield self._convert(value)
            text = text[length:].lstrip()


class Events:
    """Take the error off the end of a stream of events: ``event: error`` with ``{"error": ..., "status": ...}``.

    Whatever looks like this event waits until it is known whether something comes after it, which makes it one of the
    user's own. Nothing else waits.
    """

    _BEGIN = b"\n\nevent: error\ndata: "
    _MOST = 16 * 1024  # bytes of an error

    def __init__(self, steps: Chunks, url: str) -> None:
        self._steps = steps
        self._url = url
        self._held = b""
        self._before = b"\n\n"  # what came last: an event begins after an empty line, or with the stream

    def feed(self, data: bytes) -> Iterator[Any]:
        """Yield what cannot be part of the error."""
        data = self._held + data
        keep = len(data) - self._candidate(data)
        self._held = data[keep:]
        if keep:
            self._before = (self._before + data[:keep])[-2:]
            yield from self._steps.feed(data[:keep])

    def end(self) -> Iterator[Any]:
        """Yield what is left, or raise the error that the stream ended with."""
        if (error := self._error()) is not None:
            raise error
        if self._held:
            yield from self._steps.feed(self._held)
        yield from self._steps.end()

    def _candidate(self, data: bytes) -> int:
        """Return how many bytes at the end of ``data`` may be the error, or its beginning."""
        text = self._before + data
        whole = text.rfind(self._BEGIN)
        if whole >= 0:
            event = text[whole + 2 :]
            if event.find(b"\n\n") in (-1, len(event) - 2) and len(event) < self._MOST:
                return (
                    len(data) if whole == 2 else len(event)
                )  # the server may have put the empty line before it
        tail = text[-len(self._BEGIN) :]
        part = tail.rfind(b"\n\ne")
        return len(tail) - part - 2 if part >= 0 and self._BEGIN.startswith(tail[part:]) else 0

    def _error(self) -> BentoMLException | None:
        event = self._held if self._held.startswith(b"\n\n") else b"\n\n" + self._held
        if not (event.startswith(self._BEGIN) and event.endswith(b"\n\n")):
            return None
        body = event[len(self._BEGIN) :].strip()
        try:
            value = loads(body)
            return failure(int(value["status"]), body, self._url) if isinstance(value["error"], str) else None
        except (ValueError, KeyError, TypeError):
            return None
