"""Chunks: the steps of a stream, put together again from pieces that the network cut anywhere."""

from __future__ import annotations

import codecs
import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Protocol

from ..exceptions import BentoMLException
from .values import from_json

__all__ = ["Chunks", "chunks_of"]

_SAYS_NO_TYPE = {"is_stream", "media_type", "title", "description"}


class Chunks(Protocol):
    """Turn pieces of a body into values."""

    def feed(self, data: bytes) -> Iterator[Any]:
        """Yield what is complete with this piece."""
        ...

    def end(self) -> Iterator[Any]:
        """Yield what is left when the body has ended."""
        ...


def chunks_of(schema: Mapping[str, Any]) -> Chunks:
    """Return the decoder for a stream whose steps have this schema.

    Text and bytes have no borders between steps: what has arrived is one chunk, a character is never cut in two.
    Other values are lines of JSON, one for each step.
    """
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
        self._decoder = json.JSONDecoder()
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
                value, length = self._decoder.raw_decode(text)
            except ValueError as e:
                raise BentoMLException(f"a step of the stream is not JSON: {e}") from e
            yield self._convert(value)
            text = text[length:].lstrip()
