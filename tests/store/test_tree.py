from __future__ import annotations

from typing import Any

import pytest
import yaml

from bentoml.exceptions import BentoMLException
from bentoml.store.digest import Digest
from bentoml.store.tree import Entry, Tree

A = Entry("a b", 3, Digest.of(b"abc"))
RUN = Entry("bin/é: #run", 1, Digest.of(b"x"), executable=True)
LINK = Entry("link", 0, Digest.of(b"a b"), link="a b")


def test_lines_are_read_back() -> None:
    tree = Tree.of([LINK, RUN, A])
    assert tree.entries == (A, RUN, LINK)
    assert Tree.parse(tree.lines()) == tree
    assert Tree.parse("") == Tree()
    assert tree.size() == 4


def test_lines_are_yaml_too() -> None:
    assert yaml.safe_load(Tree.of([A, RUN, LINK]).lines()) == [A.to_data(), RUN.to_data(), LINK.to_data()]


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(Entry("a c", 3, A.digest), id="path"),
        pytest.param(Entry("a b", 3, Digest.of(b"abd")), id="content"),
        pytest.param(Entry("a b", 3, A.digest, executable=True), id="executable"),
        pytest.param(Entry("a b", 0, A.digest, link="x"), id="link"),
    ],
)
def test_whatever_differs_changes_the_digest(other: Entry) -> None:
    assert Tree((A,)).digest() != Tree((other,)).digest()


@pytest.mark.parametrize(
    "change",
    [
        {"path": "/etc/passwd"}, {"path": "a/../../b"}, {"path": ".."}, {"path": "a//b"}, {"path": ""}, {"path": "a\0"},
        {"path": None}, {"size": "3"}, {"sha256": "ab"}, {"link": 1},
    ],
    ids=repr,
)  # fmt: skip
def test_an_entry_that_makes_no_sense_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(BentoMLException):
        Entry.from_data({**A.to_data(), **change})


def test_lines_that_make_no_sense_are_refused() -> None:
    with pytest.raises(BentoMLException, match="cannot be read"):
        Tree.parse("- {")
