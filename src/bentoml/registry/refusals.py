"""Refusals: what an answer of a registry that is no success means, and what to do about it."""

from __future__ import annotations

import json
from typing import NoReturn

from ..exceptions import BentoMLException, NotFound, ServiceUnavailable
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
    registry, said = f"registry `{host}`", words_of(answer)
    match answer.status:
        case 401 | 403 if not writing:
            raise NotFound(
                f"{registry} does not show `{repository}` to us (status {answer.status}{said}); "
                f"check the name, or `docker login {host}`"
            )
        case 401 | 403:
            raise BentoMLException(
                f"{registry} does not let us write to `{repository}` (status {answer.status}{said}); "
                f"`docker login {host}` with an account that may"
            )
        case 404 if writing:
            raise NotFound(
                f"{registry} has no repository `{repository}` to write to (status 404{said}); "
                "check the name; some registries want a repository to be made first"
            )
        case 404:
            raise NotFound(f"{registry} has no {what}; check the name and the tag")
        case 405:
            raise BentoMLException(
                f"{registry} takes no uploads (status 405{said}); it may be a mirror, or read-only"
            )
        case 413:
            raise BentoMLException(
                f"{registry} refuses {what} as too large (status 413{said}); the limit is often that of a proxy before it"
            )
        case 429:
            raise ServiceUnavailable(
                f"{registry} still asks us to slow down (status 429{said}); try later, or with fewer `--threads`"
            )
        case status if 300 <= status < 500 and status != 408 and writing:
            raise BentoMLException(f"{registry} refuses {what} (status {status}{said})")
        case status:
            raise ServiceUnavailable(f"{registry} answered {status} for {what}{said}")


def words_of(answer: Answer) -> str:
    """Return what the registry itself says of it, in one line; nothing if it says nothing that can be read."""
    try:
        document = json.loads(answer.read(_MAX_REASON))
        first = document["errors"][0]
        text = f"{first['code']}: {first.get('message', '')}"
    except (BentoMLException, ValueError, KeyError, IndexError, TypeError, AttributeError):
        return ""
    shown = "".join(c for c in text if c.isprintable()).strip(" :")[:_SHOWN]
    return f", {shown}" if shown else ""
