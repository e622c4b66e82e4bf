"""Image references, as container tools read them."""

from __future__ import annotations

import pytest
from tests.builder.oci.images import noise

from bentoml.exceptions import InvalidArgument
from bentoml.registry.reference import Reference
from bentoml.store.digest import Digest

PIN = Digest.of(noise(1))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("python", Reference("docker.io", "library/python", "latest")),
        ("python:3.11-slim", Reference("docker.io", "library/python", "3.11-slim")),
        ("team/app", Reference("docker.io", "team/app", "latest")),
        ("docker.io/python", Reference("docker.io", "library/python", "latest")),
        ("localhost/app:1", Reference("localhost", "app", "1")),
        ("localhost:5000/team/app:v1.2", Reference("localhost:5000", "team/app", "v1.2")),
        ("reg.example/app", Reference("reg.example", "app", "latest")),
        ("[::1]:5000/app:1", Reference("[::1]:5000", "app", "1")),
        (f"reg.example/app@{PIN}", Reference("reg.example", "app", None, PIN)),
        (f"app:1@{PIN}", Reference("docker.io", "library/app", "1", PIN)),
        ("http://reg.example/app:1", Reference("reg.example", "app", "1", plain_http=True)),
        ("https://reg.example/app:1", Reference("reg.example", "app", "1", plain_http=False)),
    ],
)
def test_references_are_read(text: str, expected: Reference) -> None:
    assert Reference.parse(text) == expected
    again = Reference.parse(str(expected))
    assert str(again) == str(expected)


@pytest.mark.parametrize(
    "text",
    ["", "UPPER", "a b", "app:", "app:ta g", "app@sha256:12", "app@", "-app", "reg.example/", "a//b", "reg.example/../x",
     "http://user:secret@reg.example/app", "http://registry/app", "ftp://reg.example/app", "app:" + "t" * 129, "reg.example:port/app", "reg.example/a\nb"],
)  # fmt: skip
def test_what_is_no_reference_is_refused(text: str) -> None:
    with pytest.raises(InvalidArgument, match="not an image reference"):
        Reference.parse(text)
