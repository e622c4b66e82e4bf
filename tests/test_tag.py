from __future__ import annotations

import logging
from typing import Any

import pytest

from bentoml import Tag
from bentoml.exceptions import BentoMLException


@pytest.mark.parametrize(
    "text", ["iris", "iris:v1", "a", "mistralai--mistral-7b-v0.1:m7lmf5ac2cmubnnz", "a.b_c-d:1.0"]
)
def test_str_gives_back_what_was_parsed(text: str) -> None:
    assert str(Tag.from_str(text)) == text
    assert Tag.from_taglike(Tag.from_taglike(text)) == Tag.from_str(text)


def test_parts() -> None:
    tag = Tag("iris", "v1")
    assert (tag.name, tag.version, tag.path(), tag.latest_path()) == ("iris", "v1", "iris/v1", "iris/latest")
    assert Tag("iris").path() == "iris"
    assert Tag("iris", "") == Tag("iris")
    assert repr(tag) == "Tag(name='iris', version='v1')"
    assert len({tag, Tag.from_str("iris:v1")}) == 1
    assert sorted([Tag("b"), Tag("a", "2"), Tag("a", "1"), Tag("a")]) == [
        Tag("a"),
        Tag("a", "1"),
        Tag("a", "2"),
        Tag("b"),
    ]


BAD = ["", ".", "..", "-a", "a-", "a/b", "../a", "/a", "a b", "ä", "a\n", "a\0", "a" * 64, "_a", "a$", "a\\b"]


@pytest.mark.parametrize("name", BAD, ids=repr)
def test_a_bad_name_is_a_value_error_without_a_version(name: str) -> None:
    with pytest.raises(ValueError, match="is not valid"):
        Tag(name)


@pytest.mark.parametrize("part", [bad for bad in BAD if bad], ids=repr)
def test_a_bad_part_is_our_error_with_a_version(part: str) -> None:
    with pytest.raises(BentoMLException, match="Invalid Tag"):
        Tag("iris", part)
    with pytest.raises(BentoMLException, match="Invalid Tag"):
        Tag(part, "v1")


def test_63_characters_are_allowed() -> None:
    assert Tag("a" * 63, "b" * 63).name == "a" * 63


def test_a_trailing_colon_is_refused() -> None:
    with pytest.raises(BentoMLException, match="contains trailing ':'"):
        Tag.from_str("iris:")


def test_a_second_colon_is_refused() -> None:
    with pytest.raises(BentoMLException, match="Invalid Tag"):
        Tag.from_str("iris:v1:v2")


def test_upper_case_is_lowered_with_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "bentoml"):
        assert Tag("Iris", "V1") == Tag("iris", "v1")
    assert "iris" in caplog.text


def test_what_is_not_a_string_is_refused() -> None:
    with pytest.raises(ValueError, match="a string"):
        Tag(1)  # type: ignore[arg-type]  # what a user without a type checker may do


def test_a_new_version_is_random_and_valid() -> None:
    one, other = Tag("iris").make_new_version(), Tag("iris").make_new_version()
    assert one != other
    assert one.version is not None and len(one.version) == 16
    with pytest.raises(ValueError, match="already has a version"):
        one.make_new_version()


@pytest.mark.parametrize("thing", [None, 7, b"iris:v1"])
def test_what_is_no_tag_is_a_type_error(thing: Any) -> None:
    with pytest.raises(TypeError, match="expected a tag such as 'name:version'"):
        Tag.from_taglike(thing)
