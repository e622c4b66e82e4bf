"""Events as browsers read them."""

from __future__ import annotations

import pytest

from bentoml.io import SSE


@pytest.mark.parametrize(
    ("event", "text"),
    [
        pytest.param(SSE("a"), "data: a\n\n", id="data"),
        pytest.param(SSE(""), "data: \n\n", id="empty"),
        pytest.param(SSE("x\n"), "data: x\ndata: \n\n", id="line end"),
        pytest.param(SSE("x\r\ny\rz"), "data: x\ndata: y\ndata: z\n\n", id="line ends"),
        pytest.param(SSE("a\nb", "e", "1", 3), "event: e\nid: 1\nretry: 3\ndata: a\ndata: b\n\n", id="all"),
    ],
)
def test_text(event: SSE, text: str) -> None:
    assert event.marshal() == text


@pytest.mark.parametrize("event", [SSE("a", event="x\ny"), SSE("a", id="1\rdata: 2"), SSE("a", id="\0")])
def test_a_field_cannot_begin_another_one(event: SSE) -> None:
    with pytest.raises(ValueError, match="one line"):
        event.marshal()
