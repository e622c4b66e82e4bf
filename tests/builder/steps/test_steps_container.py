"""What people may see of what a step says, and what of killed processes is left in an engine."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from docker.errors import APIError

from bentoml.builder.steps.container import forget_images, shown

KEY = "-----BEGIN KEY-----\nc2VjcmV0\n-----END KEY-----\n"


@pytest.mark.parametrize(
    ("line", "secrets", "seen"),
    [
        ("plain", {}, "plain"),
        ("token=abc123 abc123", {"TOKEN": "abc123"}, "token=*** ***"),
        ("abc123def", {"A": "abc123", "B": "abc123def"}, "***"),
        ("c2VjcmV0", {"KEY": KEY}, "***"),
        ("Looking at https://me:hush@host/simple", {}, "Looking at https://***@host/simple"),
        ("a b", {"EMPTY": "", "BLANK": " \n"}, "a b"),
    ],
    ids=["plain", "value", "the longer first", "a line of it", "credentials", "nothing"],
)
def test_secrets_are_not_shown(line: str, secrets: dict[str, str], seen: str) -> None:
    assert shown(line, secrets) == seen


@dataclass
class Images:
    """The images of an engine, by when they were tagged; those in ``used`` have a container."""

    times: dict[str, str]
    used: tuple[str, ...] = ()
    removed: list[str] = field(default_factory=list)

    def images(self, name: str) -> list[dict[str, Any]]:
        return [{"Id": tag, "RepoTags": [tag]} for tag in self.times if tag.startswith(f"{name}:")]

    def inspect_image(self, name: str) -> dict[str, Any]:
        return {"Metadata": {"LastTagTime": self.times[name]}}

    def remove_image(self, name: str) -> None:
        if name in self.used:
            raise APIError("conflict: a container is using it")
        self.removed.append(name)


def test_images_of_killed_processes_go_when_nobody_can_need_them() -> None:
    now = datetime.now(UTC)
    old, new = ((now - timedelta(seconds=age)).isoformat() for age in (900, 100))
    engine = Images(
        {"steps:used": old, "steps:old": old, "steps:new": new, "steps:odd": "0001-01-01T00:00:00Z", "steps:x": "", "else:old": old},
        used=("steps:used",),
    )  # fmt: skip
    forget_images(SimpleNamespace(api=engine), "steps", seconds=600)  # type: ignore[arg-type]  # as far as it is asked
    assert engine.removed == ["steps:old"]
