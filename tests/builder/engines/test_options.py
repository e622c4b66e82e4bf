from __future__ import annotations

from pathlib import Path

import pytest

from bentoml.builder.engines.options import Option, option_words, parse_options
from bentoml.exceptions import InvalidArgument


@pytest.mark.parametrize(
    ("given", "words"),
    [
        pytest.param(["target=dev"], ["--target", "dev"], id="value"),
        pytest.param(["target:dev"], ["--target", "dev"], id="colon"),
        pytest.param(["build-arg=A=B", "build-arg:C=D"], ["--build-arg", "A=B", "--build-arg", "C=D"], id="repeated"),
        pytest.param(["build-arg:A=x:y=z"], ["--build-arg", "A=x:y=z"], id="the first sign counts"),
        pytest.param(["no-cache"], ["--no-cache"], id="flag"),
        pytest.param(["no_cache"], ["--no-cache"], id="underscore"),
        pytest.param(["--no-cache"], ["--no-cache"], id="dashes"),
        pytest.param(["no-cache=true"], ["--no-cache=true"], id="a flag with a value"),
        pytest.param(["pull=never"], ["--pull=never"], id="a value behind its flag alone"),
        pytest.param(["output=type=oci,dest=/a b"], ["--output", "type=oci,dest=/a b"], id="commas"),
        pytest.param(["label=x=$(id);`id`\n"], ["--label", "x=$(id);`id`\n"], id="data"),
        pytest.param(["target=--privileged"], ["--target", "--privileged"], id="dashes in a value"),
        pytest.param(["target="], ["--target", ""], id="empty"),
    ],
)  # fmt: skip
def test_options_of_the_command(given: list[str], words: list[str]) -> None:
    assert option_words(parse_options(given)) == words


@pytest.mark.parametrize(
    "given",
    ["", "=x", "-x", "Target=x", "a b=x", "a\u2028b=x", "--", "--no-cache --privileged", "a--b", "-", ":x"],
)
def test_what_is_no_option_is_refused(given: str) -> None:
    with pytest.raises(InvalidArgument, match="is no option"):
        parse_options([given])


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"no_cache": True}, ["--no-cache"]),
        ({"no_cache": False, "target": None, "label": ()}, []),
        ({"cache_from": ("a", "b")}, ["--cache-from", "a", "--cache-from", "b"]),
        ({"cache_from": ["a"]}, ["--cache-from", "a"]),
        ({"build_arg": {"A": "1", "B": "x y"}}, ["--build-arg", "A=1", "--build-arg", "B=x y"]),
        ({"jobs": 4}, ["--jobs", "4"]),
        ({"metadata_file": Path("/x")}, ["--metadata-file", "/x"]),
    ],
    ids=str,
)
def test_options_of_python(options: dict[str, Option], words: list[str]) -> None:
    assert option_words(options) == words


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"tag": "x"}, "`--image-tag`"),
        ({"No_Cache": True}, "`No_Cache`"),
        ({"a b": "x"}, "`a b`"),
        ({"--x": "y"}, "`--x`"),
        ({"label": "a\0b"}, "NUL"),
    ],
)
def test_mistakes(options: dict[str, Option], said: str) -> None:
    with pytest.raises(InvalidArgument, match=said):
        option_words(options)


def test_a_flag_with_and_without_a_value() -> None:
    with pytest.raises(InvalidArgument, match="with a value and without"):
        parse_options(["pull", "pull=never"])
