"""Arrays from nested lists: nothing is cut off, wrapped around or guessed."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from bentoml.sdk.arrays import as_array


@pytest.mark.parametrize(
    ("value", "dtype", "shape", "expected"),
    [
        pytest.param([1, 2], None, None, np.array([1, 2]), id="integers"),
        pytest.param([[1, 2.5]], None, None, np.array([[1, 2.5]]), id="floats"),
        pytest.param([True], None, None, np.array([True]), id="flags"),
        pytest.param(3, None, None, np.array(3), id="number"),
        pytest.param([], None, None, np.array([]), id="empty"),
        pytest.param(["a", "b"], None, None, np.array(["a", "b"]), id="strings"),
        pytest.param([1, None], None, None, np.array([1, np.nan]), id="none is nan"),
        pytest.param([1, 2], "float32", None, np.array([1, 2], np.float32), id="to float"),
        pytest.param([1.0, 2.0], "int8", None, np.array([1, 2], np.int8), id="whole floats to integers"),
        pytest.param(["1.5"], "float64", None, np.array([1.5]), id="texts to numbers"),
        pytest.param([1, 2, 3, 4], None, (2, 2), np.array([[1, 2], [3, 4]]), id="reshaped"),
        pytest.param([1, 2, 3, 4], None, (-1, 1), np.array([[1], [2], [3], [4]]), id="any length"),
        pytest.param([[1, 2]], None, (-1, -1), np.array([[1, 2]]), id="any lengths"),
    ],
)
def test_arrays(value: Any, dtype: str | None, shape: tuple[int, ...] | None, expected: Any) -> None:
    array = as_array(value, dtype, shape)
    np.testing.assert_array_equal(array, expected)
    assert array.dtype == expected.dtype


@pytest.mark.parametrize(
    ("value", "dtype", "shape"),
    [
        pytest.param("text", None, None, id="text"),
        pytest.param({"a": 1}, None, None, id="object"),
        pytest.param(None, None, None, id="none"),
        pytest.param([[1], [1, 2]], None, None, id="ragged"),
        pytest.param([{}], None, None, id="objects"),
        pytest.param(["a", 1], None, None, id="mixed"),
        pytest.param([b"\xff", b"a"], None, None, id="bytes"),
        pytest.param(["a"], "float32", None, id="no number"),
        pytest.param([1.5], "int64", None, id="cut off"),
        pytest.param([300], "uint8", None, id="wrapped around"),
        pytest.param([-1], "uint8", None, id="negative"),
        pytest.param([float("nan")], "int64", None, id="nan to integer"),
        pytest.param([1, 2, 3], None, (2, 2), id="shape"),
        pytest.param([1, 2, 3, 4], None, (-1, -1), id="dimensions"),
    ],
)
def test_what_is_no_such_array(value: Any, dtype: str | None, shape: tuple[int, ...] | None) -> None:
    with pytest.raises(ValueError):  # any reason will do; the caller is told it
        as_array(value, dtype, shape)


def test_an_array_that_fits_is_not_copied() -> None:
    array = np.zeros((2, 2), np.float32)
    assert as_array(array, "float32", (2, 2)) is array
