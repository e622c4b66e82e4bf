"""Refusals: what an answer of a registry that is no success means, and what to do about it."""

from __future__ import annotations

from typing import NoReturn

from ..exceptions import BentoMLException, NotFound, ServiceUnavailable
from .documents import json_of
from .transport import Answer

__all__ = ["refused", "words_of"]

_MAX_REASON = 64 << 10
_SHOWN = 200


def refused(answer: Answer, host: str, repository: str, what: str, *, writing: bool) -> NoReturn:
    """Raise the error that an answer means; ``what`` was asked for.

    Raises:
        NotFound: it is not there, or is not shown to us.
        ServiceUnavailable: the registry may do it later.
        BentoMLException: it will not do it.
    """
    kind, text = _meaning(answer, host, repository, what, writing)
    raise kind(f"registry `{host}` {text}")


def _meaning(
    answer: Answer, host: str, repository: str, what: str, writing: bool
) -> tuple[type[BentoMLException], str]:
    said, status = words_of(answer), answer.status
    login = f"`docker login {host}`"
    match status:
        case 401 | 403 if writing:
            text = f"does not let us write to `{repository}` (status {status}{said}); {login} with an account that may"
            return BentoMLException, text
        case 401 | 403:
            text = f"does not show `{repository}` to us (status {status}{said}); check the name, or {login}"
            return NotFound, text
        case 404 if writing:
            text = f"has no repository `{repository}` to write to (status 404{said}); check the name; some registries want"
            return NotFound, f"{text} a repository to be made first"
        case 404:
            return NotFound, f"has no {what}; check the name and the tag"
        case 405:
            return BentoMLException, f"takes no uploads (status 405{said}); it may be a mirror, or read-only"
        case 413:
            text = f"refuses {what} as too large (status 413{said}); the limit is often that of a proxy before it"
            return BentoMLException, text
        case 429:
            text = f"still asks us to slow down (status 429{said}); try later, or with fewer `--threads`"
            return ServiceUnavailable, text
        case _ if 300 <= status < 500 and status != 408 and writing:
            return BentoMLException, f"refuses {what} (status {status}{said})"
    return ServiceUnavailable, f"answered {status} for {what}{said}"


def words_of(answer: Answer) -> str:
    """Return what the registry itself says of it, in one line; nothing if it says nothing that can be read."""
    try:
        document = json_of(answer.read(_MAX_REASON))
        first = document["errors"][0]  # type: ignore[index]  # what it is else is caught
        text = f"{first['code']}: {first.get('message', '')}"
    except (BentoMLException, ValueError, KeyError, IndexError, TypeError, AttributeError):
        return ""
    shown = "".join(c for c in text if c.isprintable()).strip(" :")[:_SHOWN]
    return f", {shown}" if shown else ""
