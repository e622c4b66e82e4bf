"""Tables from JSON and back."""

from __future__ import annotations

import json
from typing import Annotated, Any

import numpy as np
import pandas as pd
import pytest
from pydantic import TypeAdapter, ValidationError

from bentoml.sdk.values.adapter import adapt
from bentoml.sdk.values.output import Output, OutputError
from bentoml.validators import DataframeSchema, DType


def read(annotation: Any, value: object) -> Any:
    return TypeAdapter(adapt(annotation)).validate_json(json.dumps(value))


def written(annotation: Any, value: object) -> Any:
    body, media_type = Output(annotation).encode(value)
    assert media_type == "application/json"
    assert isinstance(body, bytes)
    return json.loads(body)


COLUMNS = Annotated[pd.DataFrame, DataframeSchema(orient="columns")]
NAMED = Annotated[pd.DataFrame, DataframeSchema(columns=["b", "a"])]


@pytest.mark.parametrize(
    ("annotation", "value", "expected"),
    [
        pytest.param(pd.DataFrame, [{"a": 1, "b": "x"}, {"a": 2, "b": None}], {"a": [1, 2], "b": ["x", None]}, id="rows"),
        pytest.param(pd.DataFrame, {"a": [1, 2]}, {"a": [1, 2]}, id="columns where rows are declared"),
        pytest.param(COLUMNS, {"a": [1.5, None]}, {"a": [1.5, None]}, id="columns"),
        pytest.param(COLUMNS, [{"a": 1}], {"a": [1]}, id="rows where columns are declared"),
        pytest.param(COLUMNS, {"a": {"0": 1, "1": 2}}, {"a": [1, 2]}, id="columns as pandas writes them"),
        pytest.param(NAMED, [{"a": 1, "b": 2, "c": 3}], {"b": [2], "a": [1]}, id="named columns"),
        pytest.param(NAMED, [[1, 2], [3, 4]], {"b": [1, 3], "a": [2, 4]}, id="rows without names"),
        pytest.param(NAMED, [], {"b": [], "a": []}, id="named, empty"),
        pytest.param(pd.DataFrame, [], {}, id="empty"),
        pytest.param(pd.DataFrame, [{"a": 1}, {"b": 2}], {"a": [1, None], "b": [None, 2]}, id="missing values"),
        pytest.param(pd.DataFrame, [{"a": {"x": [1]}}], {"a": [{"x": [1]}]}, id="objects in cells"),
    ],
)  # fmt: skip
def test_tables(annotation: Any, value: object, expected: dict[str, list[Any]]) -> None:
    frame = read(annotation, value)
    assert isinstance(frame, pd.DataFrame)
    assert list(frame.columns) == list(expected)
    assert written(COLUMNS, frame) == expected


@pytest.mark.parametrize(
    ("annotation", "value", "message"),
    [
        (pd.DataFrame, 3, "a list of rows or an object of columns, not int"),
        (pd.DataFrame, None, "not NoneType"),
        (pd.DataFrame, [1], "each row of a table is an object"),
        (pd.DataFrame, [[1]], "each row of a table is an object"),
        (pd.DataFrame, [{"a": 1}, [1]], "each row of a table is an object"),
        (pd.DataFrame, {"a": 1}, "each column of a table is a list"),
        (pd.DataFrame, {"a": [1], "b": {"0": 1}}, "each column of a table is a list"),
        (pd.DataFrame, {"a": [1], "b": [1, 2]}, "the same length"),
        (NAMED, [{"a": 1}], "columns are missing: `b`"),
        (NAMED, [[1, 2], [1]], "each row of a table is an object"),
        (pd.Series, {"a": 1}, "a series is a list of values, not dict"),
        (Annotated[pd.Series, DType("int8")], [300], "does not fit int8"),
    ],
)
def test_what_is_no_table(annotation: Any, value: object, message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        read(annotation, value)


@pytest.mark.parametrize("wrapped", [False, True], ids=["rows", "columns"])
def test_a_table_far_larger_than_what_was_sent(wrapped: bool) -> None:
    lines = [{f"c{i}": 1} for i in range(2000)]
    value = {str(i): line for i, line in enumerate(lines)} if wrapped else lines
    with pytest.raises(ValidationError, match="too few columns in common"):
        read(pd.DataFrame, value)
    assert read(pd.DataFrame, [{f"c{i}": 1} for i in range(20)]).shape == (20, 20)


def test_every_kind_of_cell() -> None:
    frame = pd.DataFrame(
        {
            "text": ["x", None],
            "day": pd.to_datetime(["2020-01-01", None]),
            "zone": pd.to_datetime(["2020-01-01T00:00:00Z", None]),
            "kind": pd.Categorical(["u", None]),
            "whole": pd.array([1, None], dtype="Int64"),
            "flag": [True, False],
            "span": pd.to_timedelta([1, None], "s"),
            "float": [np.inf, 0.5],
            3: [{"a": np.arange(2)}, [np.float32(1.5)]],
        },
        index=[5, 5],
    )
    first, second = written(pd.DataFrame, frame)
    assert first == {
        "text": "x", "day": "2020-01-01T00:00:00", "zone": "2020-01-01T00:00:00Z", "kind": "u", "whole": 1,
        "flag": True, "span": "PT1S", "float": None, "3": {"a": [0, 1]},
    }  # fmt: skip
    assert [name for name, value in second.items() if value is None] == [
        "text",
        "day",
        "zone",
        "kind",
        "whole",
        "span",
    ]
    assert second["3"] == [1.5]
    assert written(pd.DataFrame, pd.DataFrame(index=[1, 2])) == [{}, {}]
    assert written(pd.DataFrame | None, None) is None
    assert written(list[pd.DataFrame], [frame[["flag"]]]) == [[{"flag": True}, {"flag": False}]]
    assert written(dict[str, Any], {"table": frame[["flag"]], "column": frame["day"], "index": frame.index}) == {
        "table": [{"flag": True}, {"flag": False}], "column": ["2020-01-01T00:00:00", None], "index": [5, 5],
    }  # fmt: skip


@pytest.mark.parametrize(
    ("annotation", "value"),
    [
        (pd.DataFrame, pd.DataFrame([[1, 2]], columns=["a", "a"])),
        (pd.DataFrame, pd.DataFrame({("a", "b"): [1]})),
        (pd.DataFrame, pd.DataFrame({"a": [object()]})),
        (pd.DataFrame, "text"),
        (NAMED, pd.DataFrame({"a": [1]})),
        (pd.Series, 3),
    ],
)
def test_tables_that_json_cannot_say(annotation: Any, value: object) -> None:
    with pytest.raises(OutputError):
        Output(annotation).encode(value)


def test_series() -> None:
    assert read(pd.Series, [1, 2]).tolist() == [1, 2]
    assert read(pd.Series, []).tolist() == []
    assert read(Annotated[pd.Series, DType("float32")], [1, None]).dtype == np.float32
    assert written(pd.Series, pd.Series([1.0, np.nan], index=["a", "a"])) == [1.0, None]
    assert written(pd.Series, [1]) == [1]


def test_schemas() -> None:
    assert Output(NAMED).schema() == {"type": "dataframe", "orient": "records", "columns": ["b", "a"]}
    assert Output(COLUMNS).schema() == {"type": "dataframe", "orient": "columns"}
    assert Output(pd.Series).schema() == {"type": "array", "items": {}, "format": "pandas-series"}
    assert Output(Annotated[pd.Series, DType("int8")]).schema()["dtype"] == "int8"


@pytest.mark.parametrize("arguments", [{"orient": "split"}, {"columns": "abc"}])
def test_markers_that_mean_nothing(arguments: Any) -> None:
    with pytest.raises(ValueError, match=r"orient|columns"):
        DataframeSchema(**arguments)
