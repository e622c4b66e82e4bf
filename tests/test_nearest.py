from __future__ import annotations

import pytest

from bentoml.nearest import nearest

KNOWN = ("service", "name", "description", "labels", "models", "envs", "env")


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("servce", "service"),
        ("desc", "description"),
        ("env", "env"),
        ("lables", "labels"),
        ("xyz", None),
        ("d", None),
    ],
)
def test_the_name_that_was_meant(written: str, meant: str | None) -> None:
    assert nearest(written, KNOWN) == meant
