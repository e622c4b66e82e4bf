"""Who a request is in the log."""

from __future__ import annotations

import pytest

from bentoml.runtime.call import _trace_of

TRACE, SPAN = b"0af7651916cd43dd8448eb211c80319c", b"b7ad6b7169203331"


@pytest.mark.parametrize(
    ("parent", "is_kept"),
    [
        pytest.param(b"00-" + TRACE + b"-" + SPAN + b"-01", True, id="valid"),
        pytest.param(b"00-" + TRACE + b"-" + SPAN + b"-00", True, id="not sampled"),
        pytest.param(b"ff-" + TRACE + b"-" + SPAN + b"-01", False, id="no version"),
        pytest.param(b"00-" + b"0" * 32 + b"-" + SPAN + b"-01", False, id="no trace"),
        pytest.param(b"00-" + TRACE + b"-" + b"0" * 16 + b"-01", False, id="no parent"),
        pytest.param(b"00-" + TRACE.upper() + b"-" + SPAN + b"-01", False, id="upper case"),
        pytest.param(b"nonsense", False, id="nonsense"),
    ],
)
def test_the_trace_of_the_caller(parent: bytes, is_kept: bool) -> None:
    """As W3C Trace Context has it: what is not valid is as if it were not there."""
    assert (_trace_of(parent) == int(TRACE, 16)) is is_kept
