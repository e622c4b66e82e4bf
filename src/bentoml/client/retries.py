"""Retries: what is tried again, and after what pause; decisions only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from .failures import BrokenConnection, Unreachable

__all__ = ["Options", "Retries", "is_worth_a_retry", "retry_after"]

_BUSY = {429, 502, 503}
_QUIET = 2  # retries of what only asks


@dataclass(frozen=True, slots=True)
class Retries:
    """Say how often and for how long to try again.

    The pauses double, each shortened by chance by up to a half, so that clients that failed together do not come back
    together (AWS Architecture Blog, "Exponential Backoff And Jitter"). No try begins later than ``total`` seconds after
    the first.
    """

    limit: int
    total: float | None
    first: float = 0.1
    longest: float = 10.0

    def pause(self, tried: int, elapsed: float, asked: float | None, chance: float) -> float | None:
        """Return the seconds until the next try, or None when there is none.

        ``tried`` counts the tries so far, ``asked`` is what the server wants (``Retry-After``), ``chance`` lies in [0, 1).
        """
        if tried > self.limit:
            return None
        drawn = min(self.longest, self.first * 2 ** (tried - 1)) * (1 - chance / 2)
        pause = drawn if asked is None else max(asked, drawn)
        return None if self.total is not None and elapsed + pause > self.total else pause


@dataclass(frozen=True, slots=True)
class Options:
    """What a caller may choose for each call: seconds to wait for an answer, and how often to try again."""

    timeout: float | None = 30
    retries: int = 0

    def __post_init__(self) -> None:
        if self.timeout is not None and not (isinstance(self.timeout, int | float) and self.timeout >= 0):
            raise ValueError(f"`timeout` is a number of seconds, or None, not `{self.timeout!r}`")
        if self.retries < 0:
            raise ValueError(f"`retries` is a number of tries after the first, not {self.retries}")

    def for_calls(self) -> Retries:
        """Return how often a call is tried: it may do something, and is sent again only where that is asked for."""
        return Retries(self.retries, self.timeout)

    def for_questions(self) -> Retries:
        """Return how often something is asked that changes nothing."""
        return replace(self.for_calls(), limit=max(self.retries, _QUIET))


def is_worth_a_retry(outcome: int | Exception) -> bool:
    """Say whether a status, or an error of the connection, may be another one next time.

    A server that did not answer in time is not asked again: it may still be at work.
    """
    if isinstance(outcome, int):
        return outcome in _BUSY
    return isinstance(outcome, Unreachable | BrokenConnection)


def retry_after(headers: Mapping[str, str], now: datetime | None = None) -> float | None:
    """Return the seconds that a server asks to wait (RFC 9110, 10.2.3), or None."""
    text = headers.get("retry-after", "").strip()
    if text.isdecimal():
        return float(text)
    try:
        moment = parsedate_to_datetime(text)
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return max(0.0, (moment - (now or datetime.now(UTC))).total_seconds())
