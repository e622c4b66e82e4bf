"""The markers of arrays, and the schema that stands for one."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import pytest
from pydantic import TypeAdapter, ValidationError

from bentoml.exceptions import MissingDependencyException
from bentoml.sdk.values.adapter import adapt
from bentoml.validators import DType, Shape, TensorSchema


def test_markers() -> None:
    assert Shape([2, -1]) == Shape((2, -1))
    assert DType(np.float32) == DType("float32") == DType("torch.float32")
    assert hash(Shape((1,))) == hash(Shape([1]))
    for wrong in ((-2,), (1.5,), (True,), ("a",)):
        with pytest.raises(ValueError, match="a dimension is a whole number"):
            Shape(wrong)  # type: ignore[arg-type]  # the case


def test_an_array_may_be_missing() -> None:
    adapter: TypeAdapter[Any] = TypeAdapter(adapt(np.ndarray | None))
    assert adapter.validate_python(None) is None
    assert adapter.validate_json(b"[1]").tolist() == [1]
    assert adapter.dump_json(np.arange(2)) == b"[0,1]"
    assert adapter.dump_json(None) == b"null"
    with pytest.raises(ValidationError):
        adapter.validate_python("x")


def test_defaults_are_as_they_are_written() -> None:
    schema = TensorSchema()
    assert (schema.format, schema.dtype, schema.shape) == ("numpy-array", None, None)
    assert schema.json_schema() == {
        "type": "tensor", "format": "numpy-array", "contentMediaType": "application/x-npy",
    }  # fmt: skip


@pytest.mark.parametrize(("kind", "library"), [("torch-tensor", "torch"), ("tf-tensor", "tensorflow")])
def test_a_library_that_is_not_installed(kind: Any, library: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(MissingDependencyException, match=f"pip install {library}"):
        TensorSchema(kind).to_value([1])
