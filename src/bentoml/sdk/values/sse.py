"""SSE: one event of a stream of server-sent events, as browsers read them."""

from __future__ import annotations

import re
from dataclasses import dataclass

__all__ = ["SSE"]

_LINE_END = re.compile(r"\r\n|\r|\n")  # HTML, "Server-sent events", 9.2.5


@dataclass(frozen=True, slots=True)
class SSE:
    """Describe one event; ``retry`` is milliseconds. A streaming API may yield it as it is, or its ``marshal()``."""

    data: str
    event: str | None = None
    id: str | None = None
    retry: int | None = None

    def marshal(self) -> str:
        """Return the event as text, its blank line included; data of several lines stays one event.

        Raises:
            ValueError: the name or the id of the event holds a line break, which would begin another field.
        """
        fields = [
            f"{name}: {_one_line(name, str(value))}\n"
            for name, value in (("event", self.event), ("id", self.id), ("retry", self.retry))
            if value is not None
        ]
        fields += [f"data: {line}\n" for line in _LINE_END.split(str(self.data))]
        return "".join(fields) + "\n"


def _one_line(name: str, value: str) -> str:
    if _LINE_END.search(value) or "\0" in value:
        raise ValueError(f"the `{name}` of an event is one line of text, not `{value!r}`")
    return value
