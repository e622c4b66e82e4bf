from __future__ import annotations

import pytest

from bentoml.builder.packages.pip_args import read_pip_args, split_option


def test_what_counts_is_kept_and_what_names_an_index_is_told_apart() -> None:
    found = read_pip_args(
        "--pre --timeout 60 -i https://a/simple --extra-index-url='https://b/simple' --no-index --no-deps"
    )
    assert found.words == ("--pre", "--timeout=60", "--no-deps")
    assert found.indexes == {
        "index_url": ["https://a/simple"],
        "extra_index_url": ["https://b/simple"],
        "no_index": [""],
    }
    assert found.mistakes == ()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("--no-binary :all:", "`--no-binary`, which cannot be part of a bento: an image is made of wheels"),
        ("--target=/x", "the bento's own virtual environment"),
        ("-e .", "an editable installation"),
        ("--cert /etc/x.pem", "a path of this machine"),
        ("--frobnicate", "known are -i, --index-url"),
        ("--timeout", "`--timeout` without a value"),
        ("numpy", "'numpy', which is no option"),
        ("--pre 'x", "cannot be read"),
        ("; rm -rf /", "';', which is no option"),
        ("$(id)", "'$(id)', which is no option"),
    ],
)
def test_what_cannot_be_part_of_a_bento_is_refused(text: str, said: str) -> None:
    found = read_pip_args(text)
    assert said in "\n".join(found.mistakes)


def test_options_are_taken_apart_however_they_are_written() -> None:
    assert split_option("--name=value") == split_option("--name value") == ("--name", "value")
    assert split_option("-fvalue") == split_option("-f value") == ("-f", "value")
