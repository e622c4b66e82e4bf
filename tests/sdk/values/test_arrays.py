"""Arrays from nested lists: nothing is cut off, wrapped around or guessed."""

from __future__ import annotations

import tracemalloc
from typing import Any

import numpy as np
import pytest

from bentoml.sdk.values.arrays import as_array, check_dtype, dtype_name


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


MANY = [0.5] * 100


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        pytest.param(MANY, np.full(100, 0.5), id="floats"),
        pytest.param([[MANY]] * 3, np.full((3, 1, 100), 0.5), id="nested"),
        pytest.param([MANY] * 1000, np.full((1000, 100), 0.5), id="more than go at once"),
        pytest.param([*MANY, 1, True, 2**70], np.array([*MANY, 1.0, 1.0, 2.0**70]), id="integers and flags"),
        pytest.param([*MANY, None], np.array([*MANY, np.nan]), id="none is nan"),
        pytest.param([*MANY, float("inf")], np.array([*MANY, np.inf]), id="infinity"),
        pytest.param([MANY, tuple(MANY)], np.full((2, 100), 0.5), id="a tuple among lists"),
        pytest.param([*MANY, 10**400], None, id="no float is so large"),
        pytest.param([*MANY, "1"], None, id="text"),
        pytest.param([*MANY, [1.5]], None, id="a list at the end"),
        pytest.param([MANY, MANY[1:]], None, id="ragged"),
    ],
)
def test_many_floats(value: Any, expected: Any) -> None:
    """They take another way than few."""
    if expected is None:
        with pytest.raises(ValueError, match="not an array"):
            as_array(value)
        return
    array = as_array(value)
    np.testing.assert_array_equal(array, expected)
    assert array.dtype == np.float64
    assert array.flags.writeable


def test_a_list_that_holds_itself_is_refused() -> None:
    endless: list[Any] = []
    endless.append(endless)
    with pytest.raises(ValueError, match="dimension"):
        as_array(endless)


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


@pytest.mark.parametrize(
    "value",
    [
        pytest.param(["x" * 100_000] + ["x"] * 50_000, id="texts"),
        pytest.param([["x"] * 1000] * 50 + [["x" * 100_000] * 1000], id="nested"),
        pytest.param([1] * 50_000 + ["x" * 100_000], id="numbers"),
        pytest.param([1.5] * 50_000 + [None, "x" * 100_000], id="numbers and nothing"),
    ],
)
def test_texts_take_no_more_room_than_they_need(value: Any) -> None:
    """Numpy makes room for the longest text in each place: 20 GB here."""
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match="very different lengths"):
            as_array(value)
        assert tracemalloc.get_traced_memory()[1] < 10_000_000
    finally:
        tracemalloc.stop()


def test_texts_of_different_lengths() -> None:
    values = ["x" * length for length in range(500)]
    assert as_array(values).tolist() == values
    assert as_array([["a", "b" * 1000]] * 300).shape == (300, 2)


def test_a_long_text_is_not_repeated() -> None:
    with pytest.raises(ValueError, match="not an array") as caught:
        as_array(["x" * 100_000], "float32")
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize(
    ("value", "dtype"),
    [
        pytest.param([1e300], "float32", id="float overflow"),
        pytest.param([-1e300, np.inf], "float16", id="float overflow beside infinity"),
        pytest.param([2**63], "int64", id="first integer beyond"),
        pytest.param([2.0**63], "int64", id="first float beyond"),
        pytest.param([2**70], "uint64", id="huge"),
        pytest.param([10**400], None, id="beyond all floats"),
        pytest.param([2], "bool", id="no flag"),
        pytest.param(np.array([1j]), None, id="complex"),
        pytest.param(np.zeros(1, [("a", "f4")]), None, id="structure"),
        pytest.param(np.array([b"a"]), None, id="bytes"),
        pytest.param({1, 2}, None, id="set"),
    ],
)
def test_numbers_that_do_not_fit(value: Any, dtype: str | None) -> None:
    with pytest.raises(ValueError):  # any reason will do; the caller is told it
        as_array(value, dtype)


@pytest.mark.parametrize(
    ("value", "dtype", "expected"),
    [
        pytest.param([2**63 - 1], "int64", 2**63 - 1, id="largest integer"),
        pytest.param([2**64 - 1], "uint64", 2**64 - 1, id="largest without a sign"),
        pytest.param([float("inf")], "float32", float("inf"), id="infinity"),
        pytest.param([3.4028235e38], "float32", 3.4028234663852886e38, id="largest float"),
        pytest.param([1, 0], "bool", True, id="flags"),
        pytest.param([True], "float32", 1.0, id="flag as a number"),
        pytest.param([1], "bfloat16", 1.0, id="what numpy does not have"),
        pytest.param(np.array(["a", None], object), None, "a", id="objects of the service"),
    ],
)
def test_numbers_that_just_fit(value: Any, dtype: str | None, expected: object) -> None:
    assert as_array(value, dtype).tolist()[0] == expected


@pytest.mark.parametrize("dtype", ["complex64", "O", "i4,f4", "float33", "S1", "M8[s]"])
def test_element_types_that_cannot_be_sent(dtype: str) -> None:
    with pytest.raises(TypeError, match="element type"):
        check_dtype(dtype)


@pytest.mark.parametrize("dtype", [None, "float32", "bfloat16", "float8_e4m3fn", "bool", "str"])
def test_element_types_that_can(dtype: str | None) -> None:
    check_dtype(dtype)


def test_names_of_element_types() -> None:
    for dtype in ("float32", np.float32, np.dtype("float32"), "torch.float32"):
        assert dtype_name(dtype) == "float32"


def test_an_array_that_fits_is_not_copied() -> None:
    array = np.zeros((2, 2), np.float32)
    assert as_array(array, "float32", (2, 2)) is array
