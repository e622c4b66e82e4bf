"""The media type of a file that an API answers with."""

from __future__ import annotations

from pathlib import Path

import pytest

from bentoml.sdk.values.files import file_answer


@pytest.mark.parametrize(
    ("name", "declared", "expected"),
    [
        ("a.wav", "audio/wav", "audio/wav"),
        ("a.wav", "audio/*", "audio/x-wav"),
        ("a.txt", None, "text/plain"),
        ("a.txt", "text/markdown", "text/plain"),
        ("noname", "text/markdown", "text/markdown"),
        ("noname", "video/*", "application/octet-stream"),
    ],
)
def test_the_name_decides_but_for_an_x(name: str, declared: str | None, expected: str) -> None:
    assert file_answer(Path(name), declared).media_type == expected
