"""Names of platforms and bases."""

from __future__ import annotations

import pytest

from bentoml.builder.oci.model import Base, Platform

DIGEST = f"sha256:{'0' * 64}"


@pytest.mark.parametrize("text", ["linux/amd64", "linux/arm64", "linux/arm/v7"])
def test_platforms(text: str) -> None:
    platform = Platform.parse(text)
    assert str(platform) == text == "/".join(platform.to_json().values())


@pytest.mark.parametrize("text", ["", "linux", "linux/", "/amd64", "linux/a/b/c", "linux/amd 64"])
def test_what_is_no_platform(text: str) -> None:
    with pytest.raises(ValueError, match="is not a platform"):
        Platform.parse(text)


@pytest.mark.parametrize(
    ("name", "title"),
    [
        ("python:3.11-slim", "python:3.11-slim"),
        (f"localhost:5000/team/base:1@{DIGEST}", "localhost:5000/team/base:1"),
        (f"debs:bookworm:curl@{DIGEST}", "debs:bookworm:curl"),
        ("docker://mine:1", "docker://mine:1"),
        ("oci:/srv/me/base:1", "oci:base:1"),
        ("rootfs:../root/", "rootfs:root"),
        ("docker-archive:base.tar:mine:1", "docker-archive:base.tar:mine:1"),
    ],
)
def test_the_title_of_a_base_tells_no_place_of_this_machine(name: str, title: str) -> None:
    assert Base(name, None, {}, (), Platform()).title == title
