"""The NPY format: what numpy writes and reads, and nothing that a caller should not be able to send."""

from __future__ import annotations

import io
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from bentoml.sdk.values.npy import read_npy, write_npy

ARRAYS = [
    pytest.param(np.arange(6).reshape(2, 3), id="integers"),
    pytest.param(np.asfortranarray(np.arange(6.0).reshape(2, 3)), id="fortran"),
    pytest.param(np.arange(24, dtype=np.float32).reshape(2, 3, 4).transpose(1, 0, 2), id="neither order"),
    pytest.param(np.array(3.5), id="no dimensions"),
    pytest.param(np.zeros((0, 4)), id="empty"),
    pytest.param(np.array([True, False]), id="flags"),
    pytest.param(np.arange(4, dtype=">f4"), id="big endian"),
    pytest.param(np.arange(10)[::2], id="gaps"),
    pytest.param(np.array([1, np.nan, np.inf], np.float16), id="half"),
    pytest.param(np.array([2**64 - 1], np.uint64), id="large"),
]


def saved(array: np.ndarray[Any, Any], **options: Any) -> bytes:
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, array, **options)
    return buffer.getvalue()


def with_header(text: str, data: bytes = b"", length: int | None = None) -> bytes:
    head = text.encode()
    return (
        b"\x93NUMPY\x01\x00" + (len(head) if length is None else length).to_bytes(2, "little") + head + data
    )


@pytest.mark.parametrize("array", ARRAYS)
def test_what_numpy_reads_and_writes(array: np.ndarray[Any, Any]) -> None:
    np.testing.assert_array_equal(np.load(io.BytesIO(write_npy(array)), allow_pickle=False), array)
    for data in (saved(array), saved(array, version=(2, 0)), saved(array, version=(3, 0)), write_npy(array)):
        for kind in (bytes, bytearray, memoryview):
            got = read_npy(kind(data))
            np.testing.assert_array_equal(got, array)
            assert (got.shape, got.dtype) == (array.shape, array.dtype.newbyteorder("="))
            assert got.flags.writeable


def test_a_buffer_that_may_be_written_to_is_not_copied() -> None:
    data = bytearray(saved(np.zeros(3)))
    read_npy(data)[0] = 1
    assert read_npy(data).tolist() == [1, 0, 0]


def test_flags_are_flags() -> None:
    data = saved(np.array([True, True]))[:-2] + b"\xff\x00"
    assert read_npy(data).view(np.uint8).tolist() == [1, 0]


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"\x93NUMPY", id="magic alone"),
        pytest.param(b"\x93NUMPY\x09\x00" + bytes(100), id="version"),
        pytest.param(b"\x93NUMPY\x02\x00\xff\xff\xff\xff{}", id="long header"),
        pytest.param(with_header("{}", length=60000), id="header cut off"),
        pytest.param(with_header("{}"), id="no keys"),
        pytest.param(with_header("{'descr': '<f8', 'fortran_order': False, 'shape': (2,), 'x': 1}", bytes(16)), id="other keys"),
        pytest.param(with_header("{'descr': '<f8', 'fortran_order': 1, 'shape': (2,)}", bytes(16)), id="no flag"),
        pytest.param(with_header("{'descr': '<f8', 'fortran_order': False, 'shape': [2]}", bytes(16)), id="no tuple"),
        pytest.param(with_header("{'descr': '<f8', 'fortran_order': False, 'shape': (True,)}", bytes(8)), id="no number"),
        pytest.param(with_header("{'descr': '<f8', 'fortran_order': False, 'shape': (-2,)}"), id="negative"),
        pytest.param(with_header(f"{{'descr': '<f8', 'fortran_order': False, 'shape': {(1,) * 40}}}", bytes(8)), id="dimensions"),
        pytest.param(with_header("{'descr': '<f8', 'fortran_order': False, 'shape': (2,)}", bytes(15)), id="too short"),
        pytest.param(with_header("{'descr': '<f8', 'fortran_order': False, 'shape': (2,)}", bytes(17)), id="too long"),
        pytest.param(with_header("{'descr': '<f8', 'fortran_order': False, 'shape': (999999999999,)}"), id="promises"),
        pytest.param(with_header(f"{{'descr': '<f8', 'fortran_order': False, 'shape': (0, {2**61}, {2**61})}}"), id="more than an array has"),
        pytest.param(with_header("{'descr': '|O', 'fortran_order': False, 'shape': (1,)}", b"cos\nsystem\n"), id="objects"),
        pytest.param(with_header("{'descr': [('a', '<f8')], 'fortran_order': False, 'shape': (1,)}", bytes(8)), id="structure"),
        pytest.param(with_header("{'descr': '<c16', 'fortran_order': False, 'shape': (1,)}", bytes(16)), id="complex"),
        pytest.param(with_header("{'descr': '<U1', 'fortran_order': False, 'shape': (1,)}", b"\xff" * 4), id="text"),
        pytest.param(with_header("{'descr': '|V0', 'fortran_order': False, 'shape': (9999999,)}"), id="nothing in each"),
        pytest.param(with_header("__import__('os').getcwd()"), id="code"),
        pytest.param(with_header("(" * 4000), id="nested"),
        pytest.param(with_header("-" * 4000 + "1"), id="recursion"),
        pytest.param(with_header("{'descr': '<f8', 'fortran_order': False, 'shape': (" + "1" * 3900 + ",)}"), id="huge"),
        pytest.param(with_header("{[]: 1}"), id="no key"),
        pytest.param(with_header("\0"), id="zero"),
        pytest.param(b"\x93NUMPY\x01\x00\x01\x00\xff", id="no text"),
    ],
)  # fmt: skip
def test_what_is_no_array(data: bytes) -> None:
    with pytest.raises(ValueError):  # any reason will do; the caller is told it
        read_npy(data)


@pytest.mark.parametrize(
    "value", [np.array([1j]), np.array(["a"]), np.array([None]), "x", {"a": 1}, [[1], [1, 2]]]
)
def test_what_cannot_be_written(value: Any) -> None:
    with pytest.raises(ValueError, match=r"sent|array"):
        write_npy(value)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    arrays.arrays(
        st.one_of(
            arrays.boolean_dtypes(), arrays.integer_dtypes(), arrays.floating_dtypes(sizes=(16, 32, 64))
        ),
        arrays.array_shapes(min_dims=0, min_side=0, max_side=5),
    )
)
def test_there_and_back(array: np.ndarray[Any, Any]) -> None:
    np.testing.assert_array_equal(read_npy(write_npy(array)), array)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.binary(max_size=300), st.integers(0, 200))
def test_any_bytes(noise: bytes, cut: int) -> None:
    good = saved(np.arange(4.0))
    for data in (noise, good[:cut] + noise, good[:cut] + noise + good[cut + len(noise) :]):
        try:
            assert math.isfinite(read_npy(data).nbytes)
        except ValueError:
            continue
