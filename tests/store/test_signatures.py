from __future__ import annotations

from typing import Any

import pytest

from bentoml.store.signatures import plain_signatures


def test_batch_dim_is_there_only_where_it_means_something() -> None:
    assert plain_signatures(None) == {}
    assert plain_signatures(
        {
            "a": {},
            "b": {"batchable": True},
            "c": {"batchable": True, "batch_dim": 1, "input_spec": {"x": (1,)}},
            "d": {"batchable": True, "batch_dim": (0, 2)},
            "e": {"batchable": False, "batch_dim": 3},
        }
    ) == {
        "a": {"batchable": False},
        "b": {"batchable": True, "batch_dim": [0, 0]},
        "c": {"batchable": True, "batch_dim": [1, 1], "input_spec": {"x": [1]}},
        "d": {"batchable": True, "batch_dim": [0, 2]},
        "e": {"batchable": False},
    }


@pytest.mark.parametrize(
    "signatures",
    [["predict"], {"a": True}, {"a": {"batchabel": True}}, {"a": {"batchable": True, "batch_dim": "x"}}],
    ids=repr,
)
def test_mistakes_are_named(signatures: Any) -> None:
    with pytest.raises(ValueError, match=r"signature|batch_dim"):
        plain_signatures(signatures)
