"""What people may see of what a step says."""

from __future__ import annotations

import pytest

from bentoml.builder.steps.container import shown

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
