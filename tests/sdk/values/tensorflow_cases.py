"""Tensors of the real tensorflow, in an environment that has it: `test_tensor_libraries.py` runs this file there."""

from __future__ import annotations

import json
from typing import Annotated, Any

import numpy as np
import pytest
import tensorflow as tf
from pydantic import ValidationError

import bentoml
from bentoml.sdk.method import APIMethod
from bentoml.sdk.values.npy import NPY, read_npy, write_npy
from bentoml.sdk.values.output import Output, OutputError
from bentoml.sdk.values.serde import Input
from bentoml.validators import DType, Shape


class Embedded(bentoml.IODescriptor):
    vector: tf.Tensor


class Everything:
    def plain(self, t: tf.Tensor) -> None: ...
    def typed(self, t: Annotated[tf.Tensor, DType("float32"), Shape((-1, 2))]) -> None: ...
    def brain(self, t: Annotated[tf.Tensor, DType(tf.bfloat16)]) -> None: ...
    def optional(self, t: tf.Tensor | None = None) -> None: ...


def input_of(name: str) -> Input:
    return APIMethod(getattr(Everything, name)).input


def encoded(value: object, annotation: Any = tf.Tensor) -> Any:
    body, _ = Output(annotation).encode(value)
    assert isinstance(body, bytes)
    return json.loads(body)


def test_tensors_come_in() -> None:
    plain = input_of("plain").from_json(b'{"t": [[1, 2], [3, 4]]}')["t"]
    assert tf.is_tensor(plain)
    assert (plain.dtype, plain.numpy().tolist()) == (tf.int64, [[1, 2], [3, 4]])
    typed = input_of("typed").from_json(b'{"t": [1, 2, 3, 4]}')["t"]
    assert (typed.dtype, tuple(typed.shape)) == (tf.float32, (2, 2))
    assert input_of("brain").from_json(b'{"t": [1.5]}')["t"].dtype == tf.bfloat16
    assert input_of("optional").from_json(b"{}")["t"] is None
    exact = input_of("plain").from_npy(write_npy(np.eye(2, dtype=np.float32)))["t"]
    assert exact.numpy().tolist() == [[1, 0], [0, 1]]


@pytest.mark.parametrize(
    "body", [b'{"t": [[1], [1, 2]]}', b'{"t": ["x"]}', b'{"t": "x"}', b'{"t": [1e300, 1]}', b'{"t": [1]}']
)
def test_what_is_no_tensor(body: bytes) -> None:
    with pytest.raises(ValidationError):
        input_of("typed").from_json(body)


@pytest.mark.parametrize(
    ("tensor", "expected"),
    [
        (tf.constant([[1.5, 2]]), [[1.5, 2]]),
        (tf.constant([1.5], dtype=tf.bfloat16), [1.5]),
        (tf.constant(3), 3),
        (tf.constant([True]), [True]),
        (tf.constant([float("nan")]), [None]),
        (tf.Variable([1, 2]), [1, 2]),
    ],
)
def test_tensors_go_out(tensor: Any, expected: Any) -> None:
    assert encoded(tensor) == expected
    assert encoded({"t": tensor}, dict[str, Any]) == {"t": expected}
    assert encoded({"vector": tensor}, Embedded) == {"vector": expected}
    body, media_type = Output(tf.Tensor).encode_for(tensor, NPY.encode())
    assert media_type == NPY
    assert isinstance(body, bytes)
    assert read_npy(body).shape == np.shape(expected)


def test_what_cannot_go_out() -> None:
    for value in (tf.constant([1j]), "text"):
        with pytest.raises(OutputError):
            Output(tf.Tensor).encode(value)


def test_text() -> None:
    assert encoded(tf.constant(["text"])) == ["text"]


def test_schema() -> None:
    assert input_of("typed").schema()["properties"]["t"]["format"] == "tf-tensor"
