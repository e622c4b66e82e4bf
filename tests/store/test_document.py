from __future__ import annotations

import random

import pytest

from bentoml.exceptions import BentoMLException
from bentoml.store import document


def test_what_is_dumped_is_loaded() -> None:
    value = {
        "b": "1.0",
        "a": [1, 2.5, None, True],
        "é": {"x": b"\0\xff", "c": 1 + 2j},
        "text": "two\nlines: # *x &y",
    }
    text = document.dump(value)
    assert document.load(text) == value
    assert list(document.load(text)) == ["b", "a", "é", "text"]


def test_any_text_comes_back_as_it_was() -> None:
    """A manifest whose text changed on the way would not match its digest: the item would seem damaged."""
    pieces = [
        *" \n\t:#-'\"\\\r!&*[{%@`|>?01.e~,}]=a",
        "\x85",
        "\u2028",
        "\ufeff",
        "\0",
        "\x7f",
        "é",
        "😀",
        "\uffff",
    ]
    pieces += ["null", "yes", "2024-01-01", "<<", "1_000", "0x1f", "1:30", ".inf", "---", "..."]
    chance = random.Random(0)
    for _ in range(300):
        text = "".join(chance.choices(pieces, k=chance.randrange(6)))
        value = {"value": text, "list": [text], text: {text: 1}}
        assert document.load(document.dump(value)) == value


def test_no_aliases_are_written() -> None:
    shared = [1, 2]
    assert "*" not in document.dump({"a": shared, "b": shared})


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("a: 1\na: 2\n", "the key `a` is there twice, line 2, column 1"),
        ("a: {b: 1, b: 2}\n", "the key `b` is there twice, line 1, column 11"),
        ("a: !!python/object/apply:os.system [id]\n", "could not determine a constructor"),
        ("- a\n- b\n", "key: value"),
        ("1: a\n", "key: value"),
        ("", "key: value"),
        ("a: [\n", "not a readable"),
        ("a: \0\n", "not a readable"),
        ("a: !!python/complex nonsense\n", "not a readable"),
        ("a: " + "[" * 100_000, "nested"),
        ("- " * 100_000 + "x", "nested"),
        ("? " * 100_000 + "x", "nested"),
        ("\n".join(" " * n + "a:" for n in range(1000)), "nested"),
    ],
    ids=lambda text: repr(text)[:40],
)
def test_other_documents_are_refused(text: str, why: str) -> None:
    with pytest.raises(BentoMLException, match=why):
        document.load(text)


def test_ordinary_aliases_are_read() -> None:
    assert document.load("a: &x [1]\nb: *x\n") == {"a": [1], "b": [1]}


def test_aliases_that_grow_without_measure_are_refused() -> None:
    lines = ["l0: &l0 [0]"] + [f"l{n}: &l{n} [{', '.join([f'*l{n - 1}'] * 9)}]" for n in range(1, 10)]
    with pytest.raises(BentoMLException, match="aliases"):
        document.load("\n".join(lines))


def test_the_python_values_of_1_x_are_read() -> None:
    text = "a: !!python/tuple [1, [2]]\nb: !!python/complex 1+2j\n"
    assert document.load(text) == {"a": [1, [2]], "b": 1 + 2j}


def test_keys_that_are_merged_in_may_be_overridden() -> None:
    text = "x: &x {a: 1, b: 1}\ny: &y {b: 2}\nz: {<<: [*x, *y], a: 3}\n"
    assert document.load(text)["z"] == {"a": 3, "b": 1}
    with pytest.raises(BentoMLException, match="the key `a` is there twice"):
        document.load(text + "w: {<<: *x, a: 1, a: 2}\n")
