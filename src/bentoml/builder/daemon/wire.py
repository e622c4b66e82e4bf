"""The wire to an engine: a request goes out, a reply comes back. Its own socket we speak to ourselves; what leads elsewhere, the SDK knows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from typing import NamedTuple, Protocol

from ...exceptions import BentoMLException

__all__ = ["SECONDS", "Reply", "Wire", "unreachable"]

SECONDS = 600  # of silence, after which an engine counts as gone: it may be moving gigabytes


class Reply(NamedTuple):
    """What an engine answered; ``chunks`` is its body as it comes, to be read once. Names of ``headers`` are in lower case."""

    status: int
    headers: Mapping[str, str]
    chunks: Iterator[bytes]


class Wire(Protocol):
    """Carry requests to one engine."""

    def ask(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None = None,
        body: Iterable[bytes] | None = None,
    ) -> AbstractContextManager[Reply]:
        """Open the reply to a request for ``path``, such as ``/images/json``; a body is sent as a tar.

        Raises:
            BentoMLException: the engine cannot be reached, or the connection broke; so does reading the reply.
        """
        ...


def unreachable(host: str, reason: object) -> BentoMLException:
    """Return the error for an engine that does not answer."""
    return BentoMLException(
        f"the container engine at `{host}` cannot be reached: {reason}; start it, set `DOCKER_HOST`, "
        "or write the image to a folder with `--output type=oci,dest=FOLDER`"
    )
