"""What people write for a place in a registry, and what is meant."""

from __future__ import annotations

import pytest

from bentoml.exceptions import BentoMLException, InvalidArgument
from bentoml.registry.places import checked_tag, pull_place, push_place
from bentoml.tag import Tag

IRIS = Tag("iris", "v1")
HOME = {"BENTOML_REGISTRY": "registry.example/team"}


@pytest.mark.parametrize(
    ("repository", "registry", "expected"),
    [
        (None, None, "registry.example/team/iris:v1"),
        (None, "localhost:5000", "localhost:5000/iris:v1"),
        (None, "localhost:5000/a/b/", "localhost:5000/a/b/iris:v1"),
        (None, "http://reg.example", "reg.example/iris:v1"),
        (None, "docker.io/me", "docker.io/me/iris:v1"),
        ("localhost:5000/flowers", None, "localhost:5000/flowers:v1"),
        ("localhost:5000/team/flowers:prod", "other.example", "localhost:5000/team/flowers:prod"),
        ("localhost:5000", None, "localhost:5000/iris:v1"),
        ("http://reg.example:80", None, "reg.example:80/iris:v1"),
    ],
    ids=["env", "option", "path", "plain", "hub", "repository", "tag", "host", "plain-host"],
)
def test_where_a_push_goes(repository: str | None, registry: str | None, expected: str) -> None:
    place = push_place(IRIS, repository, registry, HOME)
    assert str(place) == expected
    assert place.plain_http == (True if (repository or registry or "").startswith("http://") else None)


@pytest.mark.parametrize(
    ("text", "registry", "expected"),
    [
        ("iris", None, "registry.example/team/iris:latest"),
        ("iris:v1", None, "registry.example/team/iris:v1"),
        ("iris@prod", None, "registry.example/team/iris:prod"),
        ("iris:v1", "localhost:5000", "localhost:5000/iris:v1"),
        ("localhost:5000/iris", None, "localhost:5000/iris:latest"),
        ("http://reg.example/team/iris:v1", None, "reg.example/team/iris:v1"),
        (f"reg.example/iris@sha256:{'0' * 64}", None, f"reg.example/iris@sha256:{'0' * 64}"),
    ],
    ids=["name", "tag", "alias", "option", "reference", "plain", "digest"],
)
def test_where_a_pull_comes_from(text: str, registry: str | None, expected: str) -> None:
    assert str(pull_place(text, registry, HOME)) == expected


@pytest.mark.parametrize(
    "text", ["team/iris:v1", "UPPER/x", "reg.example/../x", "reg.example/x:a b", "reg.example/x@y"]
)
def test_what_names_no_registry_is_refused(text: str) -> None:
    with pytest.raises(InvalidArgument, match=r"is not an image reference|does not name a registry"):
        pull_place(text, None, {})
    with pytest.raises(InvalidArgument):
        push_place(IRIS, text, None, {})


@pytest.mark.parametrize("registry", ["", "team", "reg.example/UPPER", "reg.example/a b", "reg.example:port"])
def test_a_registry_that_is_none_is_refused(registry: str) -> None:
    with pytest.raises((InvalidArgument, BentoMLException)):
        push_place(IRIS, None, registry, {})


def test_a_name_that_is_no_repository_says_what_to_do() -> None:
    with pytest.raises(
        InvalidArgument, match=r"`localhost:5000/a\.-b:1` is no place.*another name can be given"
    ):
        push_place(Tag("a.-b", "1"), None, "localhost:5000", {})
    assert str(push_place(Tag("a.-b", "1"), "localhost:5000/ab", None, {})) == "localhost:5000/ab:1"


def test_without_any_registry_the_error_says_how_to_name_one() -> None:
    for error in ("HOST/REPOSITORY", "--registry", "BENTOML_REGISTRY", "no BentoCloud", "docker login"):
        with pytest.raises(BentoMLException, match=error):
            push_place(IRIS, None, None, {})
    with pytest.raises(BentoMLException, match="`HOST/iris:v1`"):
        pull_place("iris:v1", None, {})


@pytest.mark.parametrize("tag", ["", "a b", "-x", "a/b", "x" * 129, "a:b", "ä"])
def test_a_tag_that_registries_refuse_is_refused(tag: str) -> None:
    with pytest.raises(InvalidArgument):
        checked_tag(tag)
