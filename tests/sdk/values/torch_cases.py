"""Tensors of the real torch, in an environment that has it: `test_tensor_libraries.py` runs this file there."""

from __future__ import annotations

import json
from typing import Annotated, Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from starlette.testclient import TestClient

import bentoml
from bentoml.sdk.method import APIMethod
from bentoml.sdk.values.npy import NPY, read_npy, write_npy
from bentoml.sdk.values.output import Output, OutputError
from bentoml.sdk.values.serde import Input
from bentoml.validators import DType, Shape


class Embedded(bentoml.IODescriptor):
    vector: torch.Tensor
    name: str = "x"


class Everything:
    def plain(self, t: torch.Tensor) -> None: ...
    def typed(self, t: Annotated[torch.Tensor, DType("float32"), Shape((-1, 2))]) -> None: ...
    def brain(self, t: Annotated[torch.Tensor, DType(torch.bfloat16)]) -> None: ...
    def optional(self, t: torch.Tensor | None = None) -> None: ...
    def model(self, e: Embedded) -> None: ...


def input_of(name: str) -> Input:
    return APIMethod(getattr(Everything, name)).input


def encoded(value: object, annotation: Any = torch.Tensor) -> Any:
    body, media_type = Output(annotation).encode(value)
    assert media_type == "application/json"
    assert isinstance(body, bytes)
    return json.loads(body)


def test_tensors_come_in() -> None:
    plain = input_of("plain").from_json(b'{"t": [[1, 2], [3, 4]]}')["t"]
    assert (type(plain), plain.dtype, plain.tolist()) == (torch.Tensor, torch.int64, [[1, 2], [3, 4]])
    typed = input_of("typed").from_json(b'{"t": [1, 2, 3, 4]}')["t"]
    assert (typed.dtype, tuple(typed.shape)) == (torch.float32, (2, 2))
    typed += 1  # it may be written to
    brain = input_of("brain").from_json(b'{"t": [1.5, null]}')["t"]
    assert brain.dtype == torch.bfloat16
    assert brain[1].isnan()
    assert input_of("optional").from_json(b"{}")["t"] is None
    assert input_of("optional").from_json(b'{"t": true}')["t"].dtype == torch.bool
    model = input_of("model").from_json(b'{"e": {"vector": [0.5]}}')["e"]
    assert type(model) is Embedded
    assert model.vector.tolist() == [0.5]


@pytest.mark.parametrize(
    "array", [np.eye(2, dtype=np.float32), np.asfortranarray(np.ones((2, 3))), np.arange(4, dtype=">i4")]
)
def test_tensors_from_exact_bytes(array: np.ndarray[Any, Any]) -> None:
    tensor = input_of("plain").from_npy(write_npy(array))["t"]
    assert tensor.tolist() == array.tolist()
    tensor += 1


@pytest.mark.parametrize(
    "body", [b'{"t": [[1], [1, 2]]}', b'{"t": ["x"]}', b'{"t": "x"}', b'{"t": [1e300, 1]}', b'{"t": [1]}']
)
def test_what_is_no_tensor(body: bytes) -> None:
    with pytest.raises(ValidationError) as caught:
        input_of("typed").from_json(body)
    assert caught.value.errors()[0]["loc"] == ("t",)


@pytest.mark.parametrize(
    ("tensor", "expected"),
    [
        (torch.ones(2, requires_grad=True) * 2, [2, 2]),
        (torch.tensor([1.5, 2], dtype=torch.bfloat16), [1.5, 2]),
        (torch.tensor([1.5], dtype=torch.float16), [1.5]),
        (torch.tensor(3), 3),
        (torch.tensor([True]), [True]),
        (torch.tensor([float("nan"), float("inf")]), [None, None]),
        (torch.arange(6).reshape(2, 3).T, [[0, 3], [1, 4], [2, 5]]),
        (torch.eye(2).to_sparse(), [[1, 0], [0, 1]]),
        (torch.zeros(0, 3), []),
        (torch.nn.Parameter(torch.ones(1)), [1]),
        (torch.tensor([1, 2], dtype=torch.uint8), [1, 2]),
        (torch.tensor([1.0]).to(torch.float8_e4m3fn), [1]),
    ],
)
def test_tensors_go_out(tensor: torch.Tensor, expected: object) -> None:
    assert encoded(tensor) == expected
    assert encoded({"t": tensor}, dict[str, Any]) == {"t": expected}
    assert encoded({"t": tensor}, dict[str, torch.Tensor]) == {"t": expected}
    assert encoded(Embedded.model_construct(vector=tensor, name="n"), Embedded) == {
        "vector": expected,
        "name": "n",
    }
    assert Output(torch.Tensor).encode_for(tensor, NPY.encode())[1] == NPY


def test_exact_bytes_go_out() -> None:
    tensor = torch.arange(6, dtype=torch.float32).reshape(2, 3).requires_grad_()
    body, media_type = Output(torch.Tensor).encode_for(tensor, b"application/x-npy, */*;q=0.5")
    assert (media_type, isinstance(body, bytes)) == (NPY, True)
    np.testing.assert_array_equal(read_npy(body), tensor.detach().numpy())  # type: ignore[arg-type]  # bytes, as asked


def test_what_cannot_go_out() -> None:
    for value in (torch.tensor([1j]), "text", None):
        with pytest.raises(OutputError):
            Output(torch.Tensor).encode(value)


def test_schema() -> None:
    assert input_of("typed").schema()["properties"]["t"] == {
        "type": "tensor", "format": "torch-tensor", "dtype": "float32", "shape": [-1, 2], "dim": 2,
        "contentMediaType": NPY, "title": "T",
    }  # fmt: skip


@bentoml.service
class Doubling:
    @bentoml.api
    def double(self, tensor: torch.Tensor) -> torch.Tensor:
        return tensor * 2


def test_a_service() -> None:
    assert isinstance(Doubling, bentoml.Service)
    with TestClient(Doubling.to_asgi()) as client:
        assert client.post("/double", json={"tensor": [1, 2]}).json() == [2, 4]
        exact = {"content-type": NPY, "accept": NPY}
        answer = client.post("/double", content=write_npy(np.array([0.1], np.float32)), headers=exact)
        assert read_npy(answer.content).tolist() == (np.array([0.1], np.float32) * 2).tolist()
