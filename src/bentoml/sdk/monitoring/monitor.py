"""`bentoml.monitor`: keep what a model was given and answered, column by column, wherever the service says."""

from __future__ import annotations

import inspect
import logging
import pkgutil
import threading
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, get_args

from ...exceptions import BentoMLConfigException, BentoMLException
from ..configuration.sections import Monitoring
from ..context import request_ids, server_context

__all__ = [
    "DataType",
    "MonitorBase",
    "NoOpMonitor",
    "Record",
    "Role",
    "close_monitors",
    "monitor",
    "use_monitoring",
]

logger = logging.getLogger(__name__)

Role = Literal["feature", "prediction", "target"]
DataType = Literal["numerical", "categorical", "numerical_sequence"]

TIME, REQUEST, TRACE = "timestamp", "request_id", "trace_id"  # columns that every row has

_TYPES = {
    "default": "bentoml.sdk.monitoring.monitor_files:FileMonitor",
    "otlp": "bentoml.sdk.monitoring.monitor_otlp:OtlpMonitor",
}


class MonitorBase:
    """Take the rows of one monitor; subclass it to send them elsewhere.

    There is one object for each name in a process. Its two methods are called by one thread at a time; what they raise is
    logged, and the request goes on.
    """

    def __init__(self, name: str, **options: Any) -> None:
        self.name = name
        self.options = options

    def export_schema(self, columns_schema: dict[str, dict[str, str]]) -> None:
        """Take the columns, by name, each with ``name``, ``role`` and ``type``: before the first row, and when they change."""
        raise NotImplementedError

    def export_data(self, datas: dict[str, deque[Any]]) -> None:
        """Take rows, as equally long columns by name; ``timestamp``, ``request_id`` and ``trace_id`` are among them."""
        raise NotImplementedError

    def close(self) -> None:
        """Write what is left: the process ends."""


class NoOpMonitor(MonitorBase):
    """Take nothing: monitoring is disabled."""

    def export_schema(self, columns_schema: dict[str, dict[str, str]]) -> None:
        """Do nothing."""

    def export_data(self, datas: dict[str, deque[Any]]) -> None:
        """Do nothing."""


class Record:
    """What one ``with bentoml.monitor(...)`` block logs; it is written as a whole when the block ends without an error."""

    def __init__(self) -> None:
        self.columns: dict[str, dict[str, str]] = {}
        self.data: dict[str, deque[Any]] = {}

    def log(self, data: Any, name: str, role: Role, data_type: DataType) -> None:
        """Log one value of a column.

        Raises:
            BentoMLException: the role or the type is not known, or the column has another one already.
        """
        self._column(name, role, data_type).append(data)

    def log_batch(self, data_batch: Iterable[Any], name: str, role: Role, data_type: DataType) -> None:
        """Log values of a column, one for each row.

        Raises:
            BentoMLException: as ``log``.
        """
        self._column(name, role, data_type).extend(data_batch)

    def log_table(self, data: Iterable[Sequence[Any]], schema: Iterable[Mapping[str, str]]) -> None:
        """Log rows; ``schema`` has ``name``, ``role`` and ``type`` for each of their columns.

        Raises:
            BentoMLException: as ``log``, or a row is as long as the schema is not.
        """
        columns: list[Any] = [self._column(c["name"], c["role"], c["type"]) for c in schema]
        for row in data:
            if len(row) != len(columns):
                raise BentoMLException(f"a row has {len(row)} values, and the schema {len(columns)} columns")
            for column, value in zip(columns, row, strict=True):
                column.append(value)

    def check(self) -> None:
        """Check that all columns are equally long.

        Raises:
            BentoMLException: they are not.
        """
        lengths = {name: len(values) for name, values in self.data.items()}
        if len(set(lengths.values())) > 1:
            said = ", ".join(f"`{name}` has {length}" for name, length in lengths.items())
            raise BentoMLException(f"the columns of a monitor have as many values as one another, but {said}")

    def _column(self, name: str, role: str, data_type: str) -> deque[Any]:
        for word, given, known in (("role", role, get_args(Role)), ("type", data_type, get_args(DataType))):
            if given not in known:
                raise BentoMLException(
                    f"the {word} of column `{name}` is `{given}`; there are {', '.join(known)}"
                )
        if name in (TIME, REQUEST, TRACE):
            raise BentoMLException(f"`{name}` is a column that every monitor has; give yours another name")
        column = {"name": name, "role": role, "type": data_type}
        if self.columns.setdefault(name, column) != column:
            raise BentoMLException(f"column `{name}` was logged with another role or type before")
        return self.data.setdefault(name, deque())


@contextmanager
def monitor(
    name: str,
    monitor_class: str | type[MonitorBase] | None = None,
    monitor_options: Mapping[str, Any] | None = None,
) -> Iterator[Record]:
    """Log what a model was given and answered: ``with bentoml.monitor("iris") as m: m.log(1.5, "x", "feature", "numerical")``.

    Without a class and options, the service's ``monitoring`` setting says where to; a class is ``default``, ``otlp``, or the
    import path of a ``MonitorBase``. When the block ends without an error, its rows are written.

    Raises:
        BentoMLException: the columns do not fit one another.
        BentoMLConfigException: there is no such class.
    """
    record = Record()
    yield record
    record.check()
    if any(record.data.values()):
        _current.exporter(name, monitor_class, monitor_options).write(record)


def use_monitoring(settings: Monitoring, root: Path) -> None:
    """Say how the service of this process is monitored; ``root`` is what a relative ``log_path`` is relative to."""
    close_monitors()
    _current.settings, _current.root = settings, root


def close_monitors() -> None:
    """Write what is left, and forget the monitors."""
    _current.close()


class _Exporter:
    """Give the records of one monitor to the object that takes them, one at a time; its errors never reach a request."""

    def __init__(self, target: MonitorBase) -> None:
        self._target = target
        self._lock = threading.Lock()
        self._known: dict[str, dict[str, str]] | None = None
        self._failing = False

    def write(self, record: Record) -> None:
        data = record.data | _common(len(next(iter(record.data.values()))))
        with self._lock:
            try:
                if self._known != record.columns:
                    self._target.export_schema(record.columns)
                    self._known = record.columns
                self._target.export_data(data)
            except (
                Exception
            ) as e:  # a full disk, or the user's own class: the request is worth more than the record
                if not self._failing:
                    logger.error(
                        "monitor `%s` cannot write: %s", self._target.name, e, exc_info=_unless_disk(e)
                    )
                self._failing = True
            else:
                self._failing = False

    def close(self) -> None:
        with self._lock:
            try:
                self._target.close()
            except Exception:  # as above
                logger.exception("monitor `%s` failed while closing", self._target.name)


def _unless_disk(error: Exception) -> Exception | None:
    return None if isinstance(error, OSError) else error


def _common(rows: int) -> dict[str, deque[Any]]:
    """Return the columns that every row has."""
    ids = request_ids.get(None)
    found = {
        TIME: datetime.now(UTC).isoformat(),
        REQUEST: None if ids is None else str(ids.span_id),
        TRACE: None if ids is None else str(ids.trace_id),
    }
    return {name: deque([value] * rows) for name, value in found.items()}


@dataclass
class _Monitors:
    """The monitors of this process."""

    settings: Monitoring = field(default_factory=Monitoring)
    root: Path | None = None
    exporters: dict[tuple[str, str, str], _Exporter] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def exporter(
        self, name: str, wanted: str | type[MonitorBase] | None, options: Mapping[str, Any] | None
    ) -> _Exporter:
        key = name, str(wanted), repr(options)
        found = self.exporters.get(key)
        if found is None:
            with self.lock:
                found = self.exporters.get(key)
                if found is None:
                    found = self.exporters[key] = _Exporter(self._made(name, wanted, options))
        return found

    def close(self) -> None:
        with self.lock:
            exporters, self.exporters = self.exporters, {}
        for exporter in exporters.values():
            exporter.close()

    def _made(
        self, name: str, wanted: str | type[MonitorBase] | None, options: Mapping[str, Any] | None
    ) -> MonitorBase:
        if not self.settings.enabled:
            return NoOpMonitor(name)
        if options is None:
            same_type = wanted is None or wanted == self.settings.type
            options = self.settings.options if same_type and self.settings.options else {}
        cls = _class_of(self.settings.type if wanted is None else wanted)
        if cls.__module__.startswith("bentoml.sdk."):
            _check_options(cls, options)
            options = {**options, "root": self.root or Path.cwd(), "worker": server_context.worker_index or 1}
        made: MonitorBase = cls(name, **options)
        return made


_current = _Monitors()


def _check_options(cls: Any, options: Mapping[str, Any]) -> None:
    known = set(inspect.signature(cls).parameters) - {"name", "root", "worker"}
    if unknown := sorted(set(options) - known):
        said, there = (", ".join(f"`{name}`" for name in names) for names in (unknown, sorted(known)))
        raise BentoMLConfigException(f"the options of this type of monitor are {there}, and not {said}")


def _class_of(wanted: str | type[MonitorBase]) -> Any:
    if not isinstance(wanted, str):
        return wanted
    path = _TYPES.get(wanted, wanted)
    try:
        return pkgutil.resolve_name(path)
    except (ValueError, AttributeError, ModuleNotFoundError) as e:
        raise BentoMLConfigException(
            f"there is no monitor `{wanted}`: give `default`, `otlp`, or the import path of a class, "
            f"such as `package.module:Class` ({e})"
        ) from e
