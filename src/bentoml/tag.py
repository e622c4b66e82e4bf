"""Tag: the name and version under which the store keeps a model or a bento."""

from __future__ import annotations

import logging
import re
import secrets
from base64 import b32encode
from dataclasses import dataclass, replace
from functools import total_ordering
from pathlib import PurePosixPath

from .exceptions import BentoMLException

__all__ = ["Tag"]

logger = logging.getLogger(__name__)

_PART = re.compile(r"[a-z0-9]([-._a-z0-9]*[a-z0-9])?\Z")
_MAX_LENGTH = 63
_RULE = (
    "it consists of lower-case letters, digits, `-`, `.` and `_`, starts and ends with a letter or digit, "
    f"and is at most {_MAX_LENGTH} characters long"
)


@total_ordering
@dataclass(frozen=True, slots=True)
class Tag:
    """Identify an item of the store as ``name:version``; without a version it means the latest one.

    Upper case is lowered, with a warning. Each part follows the grammar of
    container image names, so that a tag is always a safe path, image name and label.

    Raises:
        ValueError: the name breaks the grammar and no version is given.
        BentoMLException: the name or the version breaks the grammar.
    """

    name: str
    version: str | None = None

    def __post_init__(self) -> None:
        version = self.version or None
        error = ValueError if version is None else BentoMLException
        object.__setattr__(self, "name", _checked(self.name, "name", self.name, error))
        if version is not None:
            version = _checked(version, "version", f"{self.name}:{version}", BentoMLException)
        object.__setattr__(self, "version", version)

    @classmethod
    def from_str(cls, text: str) -> Tag:
        """Parse ``name`` or ``name:version``; ``str()`` of the result gives the text back."""
        name, colon, version = text.partition(":")
        if colon and not version:
            raise BentoMLException(f"tag `{text}` contains trailing ':'; write `{name}` or `{name}:VERSION`")
        return cls(name, version or None)

    @classmethod
    def from_taglike(cls, taglike: str | Tag) -> Tag:
        """Return a Tag as it is and parse a string; anything else is a ``TypeError``."""
        if isinstance(taglike, Tag):
            return taglike
        if isinstance(taglike, str):
            return cls.from_str(taglike)
        raise TypeError(f"expected a tag such as 'name:version', not `{type(taglike).__name__}`")

    def make_new_version(self) -> Tag:
        """Return this name with a random version, for callers that have no content to name it by."""
        if self.version is not None:
            raise ValueError(f"tag `{self}` already has a version")
        return replace(self, version=b32encode(secrets.token_bytes(10)).decode().lower())

    def path(self) -> str:
        """Return the relative path of the item in its store: ``name/version``, or ``name`` without a version."""
        return str(PurePosixPath(self.name, self.version)) if self.version else self.name

    def latest_path(self) -> str:
        """Return the relative path of the file that names the latest version."""
        return str(PurePosixPath(self.name, "latest"))

    def __str__(self) -> str:
        return f"{self.name}:{self.version}" if self.version else self.name

    def __repr__(self) -> str:
        return f"Tag(name={self.name!r}, version={self.version!r})"

    def __lt__(self, other: object) -> bool:
        if not isinstance(other, Tag):
            return NotImplemented
        return (self.name, self.version or "") < (other.name, other.version or "")


def _checked(part: object, what: str, whole: str, error: type[Exception]) -> str:
    if not isinstance(part, str):
        raise error(f"the {what} of a tag is a string, not `{type(part).__name__}`")
    lowered = part.lower()
    if len(lowered) > _MAX_LENGTH or not _PART.match(lowered):
        raise error(f"Invalid Tag {whole!r}: the {what} {part!r} is not valid; {_RULE}")
    if lowered != part:
        logger.warning("Tag %s: converting %s to lowercase: %s", whole, what, lowered)
    return lowered
