"""Reader: typed access to the keys of a manifest; each mistake is an error that names the key."""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, datetime
from typing import Any

from ..exceptions import BentoMLException
from ..tag import Tag
from .digest import Digest

__all__ = ["Reader"]


class Reader:
    """Read a mapping; a key that is absent or null has the default."""

    def __init__(self, data: object) -> None:
        if not isinstance(data, dict):
            raise BentoMLException(f"a mapping is expected, not `{data!r}`")
        self.data: dict[str, Any] = data

    def has(self, key: str) -> bool:
        """Say whether the key has a value."""
        return self.data.get(key) is not None

    def text(self, key: str, default: str = "") -> str:
        """Return a string; numbers, as hand-written versions are, become strings."""
        value = self.data.get(key)
        if value is None:
            return default
        if isinstance(value, dict | list):
            raise BentoMLException(f"`{key}` must be a string")
        return str(value)

    def mapping(self, key: str) -> dict[str, Any]:
        """Return a mapping."""
        value = self.data.get(key)
        if value is None:
            return {}
        if not isinstance(value, dict):
            raise BentoMLException(f"`{key}` must be a mapping, not `{value!r}`")
        return value

    def others(self, known: Collection[str]) -> dict[str, Any]:
        """Return the keys that are none of these, with their values."""
        return {key: value for key, value in self.data.items() if key not in known}

    def inner(self, key: str) -> Reader:
        """Return a reader of a mapping."""
        return Reader(self.mapping(key))

    def items(self, key: str) -> list[Any]:
        """Return a list."""
        value = self.data.get(key)
        if value is None:
            return []
        if not isinstance(value, list):
            raise BentoMLException(f"`{key}` must be a list, not `{value!r}`")
        return value

    def time(self, key: str) -> datetime:
        """Return a time; one without a zone is in UTC."""
        value = self.data.get(key)
        try:
            time = value if isinstance(value, datetime) else datetime.fromisoformat(str(value))
        except ValueError as e:
            raise BentoMLException(
                f"`{key}` must be a time such as 2026-01-31T12:00:00+00:00, not `{value}`"
            ) from e
        return time if time.tzinfo else time.replace(tzinfo=UTC)

    def digest(self, key: str) -> Digest | None:
        """Return a digest."""
        value = self.data.get(key)
        try:
            return None if value is None else Digest.parse(str(value))
        except ValueError as e:
            raise BentoMLException(f"`{key}`: {e}") from e

    def tag(self) -> Tag:
        """Return the tag that `name` and `version` make."""
        name, version = self.text("name"), self.text("version")
        if not (name and version):
            raise BentoMLException("`name` and `version` must be there")
        return Tag(name, version)
