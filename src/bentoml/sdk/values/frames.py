"""Tables: how JSON becomes a ``pandas.DataFrame`` or ``Series`` and back, and the marker that says which JSON."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import core_schema

from ...exceptions import MissingDependencyException
from .arrays import as_array, check_dtype

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["DataframeSchema", "SeriesSchema", "cells"]

_EMPTY_CELLS = 1_000_000  # that a table may have in any case, ...
_MOST_PER_VALUE = 16  # ... and for each value that was sent


@dataclass(frozen=True, slots=True, init=False)
class DataframeSchema:
    """Take a table as a list of rows (``records``) or an object of columns (``columns``), with these columns if named.

    Rows and columns tell each other apart, so that either is read; ``orient`` says what is answered.
    """

    orient: Literal["records", "columns"]
    columns: tuple[str, ...] | None

    def __init__(
        self, orient: Literal["records", "columns"] = "records", columns: Sequence[str] | None = None
    ) -> None:
        if orient not in ("records", "columns"):
            raise ValueError(f"orient is `records` or `columns`, not `{orient}`")
        if isinstance(columns, str):
            raise ValueError(f"columns is a list of names, not the text `{columns}`")
        object.__setattr__(self, "orient", orient)
        object.__setattr__(self, "columns", None if columns is None else tuple(columns))

    def to_frame(self, value: Any) -> pd.DataFrame:
        """Return the table; ``ValueError`` says why a value is none."""
        pandas = _pandas()
        if isinstance(value, pandas.DataFrame):
            frame = value
        elif isinstance(value, list):
            frame = self._of_rows(value)
        elif isinstance(value, dict):
            frame = _of_columns(value)
        else:
            raise ValueError(f"a table is a list of rows or an object of columns, not {type(value).__name__}")
        return self._selected(frame)

    def to_json_value(self, frame: Any) -> Any:
        """Return what JSON says for a table: its index is left out, a value that is missing is null."""
        frame = self._selected(self.to_frame(frame))
        names = _names(frame)
        columns = [cells(frame.iloc[:, i]) for i in range(len(names))]
        if self.orient == "columns":
            return dict(zip(names, columns, strict=True))
        if not names:
            return [{} for _ in range(len(frame))]
        return [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]

    def json_schema(self) -> dict[str, Any]:
        """Return the schema as `/schema.json` shows it."""
        schema: dict[str, Any] = {"type": "dataframe", "orient": self.orient}
        return schema if self.columns is None else schema | {"columns": list(self.columns)}

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> core_schema.CoreSchema:
        return _schema(self.to_frame, self.to_json_value)

    def __get_pydantic_json_schema__(
        self, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        return self.json_schema()

    def _of_rows(self, rows: list[Any]) -> pd.DataFrame:
        kinds = {type(row) for row in rows}
        if kinds <= {dict}:
            _check_filled(rows)
            frame: pd.DataFrame = _pandas().DataFrame.from_records(rows) if rows else _pandas().DataFrame()
            return frame
        if kinds == {list} and self.columns and {len(row) for row in rows} == {len(self.columns)}:
            named: pd.DataFrame = _pandas().DataFrame(rows, columns=list(self.columns))
            return named
        raise ValueError("each row of a table is an object, with a value for each column")

    def _selected(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Return the columns that are declared, in this order."""
        if self.columns is None or list(frame.columns) == list(self.columns):
            return frame
        if not len(frame.columns) and not len(frame):
            empty: pd.DataFrame = _pandas().DataFrame(columns=list(self.columns))
            return empty
        missing = [name for name in self.columns if name not in frame.columns]
        if missing:
            raise ValueError("columns are missing: " + ", ".join(f"`{name}`" for name in missing))
        return frame[list(self.columns)]


@dataclass(frozen=True, slots=True)
class SeriesSchema:
    """Take a list of values as a ``pandas.Series``, of this dtype if it is given."""

    dtype: str | None = None

    def to_series(self, value: Any) -> pd.Series[Any]:
        """Return the series; ``ValueError`` says why a value is none."""
        pandas = _pandas()
        if isinstance(value, pandas.Series):
            series = value
        elif isinstance(value, list):
            series = pandas.Series(value, dtype=None if value else "object")
        else:
            raise ValueError(f"a series is a list of values, not {type(value).__name__}")
        if self.dtype is not None and str(series.dtype) != self.dtype:
            series = pandas.Series(as_array(series.to_list(), self.dtype, (-1,)), index=series.index)
        converted: pd.Series[Any] = series
        return converted

    def to_json_value(self, series: Any) -> list[Any]:
        """Return the values; one that is missing is null."""
        return cells(self.to_series(series))

    def json_schema(self) -> dict[str, Any]:
        """Return the schema as `/schema.json` shows it."""
        schema: dict[str, Any] = {"type": "array", "items": {}, "format": "pandas-series"}
        return schema if self.dtype is None else schema | {"dtype": self.dtype}

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> core_schema.CoreSchema:
        check_dtype(self.dtype)
        return _schema(self.to_series, self.to_json_value)

    def __get_pydantic_json_schema__(
        self, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        return self.json_schema()


def cells(series: Any) -> list[Any]:
    """Return the values of a column, an index or the like as plain Python, None for each that is missing."""
    values: list[Any] = series.tolist()
    missing = series.isna()
    if not missing.any():
        return values
    return [None if gone else value for value, gone in zip(values, missing.tolist(), strict=True)]


def _schema(validate: Any, serialize: Any) -> core_schema.CoreSchema:
    return core_schema.no_info_plain_validator_function(
        validate,
        serialization=core_schema.plain_serializer_function_ser_schema(
            lambda value: None if value is None else serialize(value), when_used="json"
        ),
    )


def _of_columns(columns: dict[str, Any]) -> pd.DataFrame:
    """Return the table of an object of columns, each a list, or an object of values by row (as pandas writes it)."""
    kinds = {type(column) for column in columns.values()}
    if kinds <= {list} and len({len(column) for column in columns.values()}) > 1:
        raise ValueError("the columns of a table have the same length")
    if not kinds <= {list} and kinds != {dict}:
        raise ValueError("each column of a table is a list of values")
    if kinds == {dict}:
        _check_filled(list(columns.values()))
    frame: pd.DataFrame = _pandas().DataFrame(columns)
    return frame


def _check_filled(lines: list[dict[str, Any]]) -> None:
    """Refuse a table that would be far larger than what was sent: a line for each of many names, each its own."""
    names = set().union(*lines)
    given = sum(map(len, lines))
    if len(names) * len(lines) > _EMPTY_CELLS + _MOST_PER_VALUE * given:
        raise ValueError("the rows of the table have too few columns in common")


def _names(frame: pd.DataFrame) -> list[str]:
    if frame.columns.nlevels > 1:
        raise ValueError("the columns have several levels; give them one name each")
    names = [str(name) for name in frame.columns]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"two columns are named `{twice}`, which JSON cannot say; rename one")
    return names


def _pandas() -> Any:
    try:
        import pandas
    except ImportError as e:
        raise MissingDependencyException(
            "an API takes or gives tables; install pandas, e.g. `pip install 'bentoml[io-pandas]'`"
        ) from e
    return pandas
