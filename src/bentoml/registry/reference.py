"""Image references: ``[host[:port]/]repository[:tag][@digest]``, as container tools write them."""

from __future__ import annotations

import re
from typing import NamedTuple

from ..exceptions import InvalidArgument
from ..store.digest import Digest

__all__ = ["Reference"]

DEFAULT_HOST = "docker.io"
_LONGEST = 1000  # characters
_HOST = re.compile(r"(?:[a-zA-Z0-9](?:[a-zA-Z0-9.-]*[a-zA-Z0-9])?|\[[0-9a-fA-F:]+\])(?::[0-9]{1,5})?\Z")
_REPOSITORY = re.compile(
    r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*\Z"
)
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}\Z")


class Reference(NamedTuple):
    """Name an image in a registry; ``str()`` gives the full form."""

    host: str
    repository: str
    tag: str | None
    digest: Digest | None = None
    plain_http: bool | None = None  # as the host suggests

    @classmethod
    def parse(cls, text: str) -> Reference:
        """Parse a reference; without a tag and a digest it means ``latest``.

        With ``http://`` before it, the registry is spoken to in the clear, which is else done on loopback only; with
        ``https://`` it never is.

        Raises:
            InvalidArgument: the text is not a reference.
        """
        shown = text if text.isprintable() and len(text) <= _LONGEST else f"{ascii(text[:_LONGEST])[1:-1]}..."
        if shown != text:
            raise InvalidArgument(
                f"`{shown}` is not an image reference: it is too long, or more than a line of text"
            )
        scheme, _, after = text.rpartition("://")
        rest, _, digest = (after if scheme in ("", "http", "https") else text).partition("@")
        rest, tag = _split_tag(rest)
        host, slash, repository = rest.partition("/")
        names_host = bool(slash) and (bool(set(".:") & set(host)) or host == "localhost")
        if not names_host:
            host, repository = DEFAULT_HOST, rest
        if host == DEFAULT_HOST and "/" not in repository:
            repository = f"library/{repository}"
        well_formed = (
            (names_host or not scheme)
            and _HOST.match(host)
            and _REPOSITORY.match(repository)
            and (tag is None or _TAG.match(tag))
        )
        try:
            pin = Digest.parse(digest) if "@" in text else None
        except ValueError as e:
            raise InvalidArgument(f"`{text}` is not an image reference: {e}") from e
        if not well_formed or len(repository) > 255:
            raise InvalidArgument(
                f"`{text}` is not an image reference; it looks like `python:3.11-slim` or `localhost:5000/team/app:1`"
            )
        plain = {"http": True, "https": False}.get(scheme)
        return cls(host, repository, tag or (None if pin else "latest"), pin, plain)

    def __str__(self) -> str:
        tag = f":{self.tag}" if self.tag else ""
        return f"{self.host}/{self.repository}{tag}" + (f"@{self.digest}" if self.digest else "")


def _split_tag(text: str) -> tuple[str, str | None]:
    """Split at the colon before a tag, which a port's colon is not."""
    name, colon, tag = text.rpartition(":")
    return (name, tag) if colon and "/" not in tag else (text, None)
