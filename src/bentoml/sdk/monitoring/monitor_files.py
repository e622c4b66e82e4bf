"""The monitor that writes lines of JSON: a file of rows and one of columns for each worker, new ones each day."""

from __future__ import annotations

import fcntl
import logging
import logging.config
import os
import re
import time
from collections import deque
from contextlib import suppress
from datetime import date, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

import orjson
import yaml

from ...exceptions import BentoMLConfigException, BentoMLException
from ..context import server_context
from .monitor import MonitorBase

__all__ = ["FileMonitor"]

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")
_DATA, _SCHEMA = "bentoml_monitor_data", "bentoml_monitor_schema"


class FileMonitor(MonitorBase):
    """Write to ``<log_path>/<name>/data/data.<worker>.log`` and ``<log_path>/<name>/schema/schema.<worker>.log``.

    With ``log_config_file``, a logging configuration in YAML, the lines go to its loggers ``bentoml_monitor_data`` and
    ``bentoml_monitor_schema`` instead.

    Raises:
        BentoMLException: the name is not one of a folder.
        BentoMLConfigException: the logging configuration cannot be used.
    """

    def __init__(
        self,
        name: str,
        *,
        root: Path,
        worker: int,
        log_path: str = "monitoring",
        log_config_file: str | None = None,
    ) -> None:
        super().__init__(name)
        if not _NAME.fullmatch(name):
            raise BentoMLException(
                f"`{name}` cannot name a monitor: letters, digits, `_`, `.` and `-`, and the first is no `.` or `-`"
            )
        folder = root / log_path / name
        self._schema: _Lines | _Logger
        self._data: _Lines | _Logger
        if log_config_file is not None:
            _configure(root / log_config_file)
            self._schema, self._data = _Logger(_SCHEMA), _Logger(_DATA)
        else:
            self._schema = _Lines(folder / "schema", f"schema.{worker}")
            self._data = _Lines(folder / "data", f"data.{worker}")

    def export_schema(self, columns_schema: dict[str, dict[str, str]]) -> None:
        """Write one line."""
        about = {"bento_name": server_context.bento_name, "bento_version": server_context.bento_version}
        self._schema.write([{"meta_data": about, "columns": list(columns_schema.values())}])

    def export_data(self, datas: dict[str, deque[Any]]) -> None:
        """Write a line for each row."""
        self._data.write([dict(zip(datas, row, strict=True)) for row in zip(*datas.values(), strict=True)])

    def close(self) -> None:
        """Let another process have the files."""
        self._schema.close()
        self._data.close()


class _Lines:
    """A file of lines that no other process writes to; on a new day it is put aside under its date."""

    def __init__(self, folder: Path, stem: str) -> None:
        self._folder = folder
        self._stem = stem
        self._path = folder
        self._file = -1
        self._until = 0.0

    def write(self, objects: list[dict[str, Any]]) -> None:
        """Write all of these or, if that fails, none of them."""
        now = time.time()
        if now >= self._until:
            self._begin(datetime.fromtimestamp(now).date())
        text = b"".join(map(_line, objects))
        size = os.fstat(self._file).st_size
        try:
            written = os.write(self._file, text)
            if written != len(text):
                raise OSError(f"only {written} of {len(text)} bytes could be written to `{self._path}`")
        except OSError:
            with suppress(OSError):
                os.ftruncate(self._file, size)
            raise

    def close(self) -> None:
        """Let another process take the file."""
        if self._file >= 0:
            os.close(self._file)
        self._file, self._until = -1, 0.0

    def _begin(self, today: date) -> None:
        """Open the file of today, after putting one of another day aside."""
        self._folder.mkdir(parents=True, exist_ok=True)
        if self._file < 0:
            self._claim()
        last = datetime.fromtimestamp(os.fstat(self._file).st_mtime).date()
        if os.fstat(self._file).st_size and last != today:
            self._path.rename(_unused(self._path.with_name(f"{self._path.name}.{last.isoformat()}")))
            self.close()
            self._claim()
        midnight = datetime.combine(today + timedelta(days=1), datetime.min.time())
        self._until = midnight.timestamp()

    def _claim(self) -> None:
        """Open the first of ``data.1.log``, ``data.1-2.log``, ... that no other process has, as another server may."""
        for n in count(1):
            path = self._folder / (f"{self._stem}.log" if n == 1 else f"{self._stem}-{n}.log")
            file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                os.close(file)
                continue
            if path.exists() and os.path.samestat(
                os.fstat(file), path.stat()
            ):  # nobody put it aside meanwhile
                self._path, self._file = path, file
                return
            os.close(file)


class _Logger:
    """A logger that the user has configured."""

    def __init__(self, name: str) -> None:
        self._logger = logging.getLogger(name)

    def write(self, objects: list[dict[str, Any]]) -> None:
        for one in objects:
            self._logger.info("%s", _line(one).decode().rstrip("\n"))

    def close(self) -> None:
        """Do nothing: the logger is the user's."""


def _configure(path: Path) -> None:
    try:
        logging.config.dictConfig(yaml.safe_load(path.read_text()))
    except (OSError, yaml.YAMLError, ValueError, TypeError, AttributeError) as e:
        raise BentoMLConfigException(f"`{path}` is no logging configuration that can be used: {e}") from e


def _unused(path: Path) -> Path:
    names = (path if n == 1 else path.with_name(f"{path.name}-{n}") for n in count(1))
    return next(name for name in names if not name.exists())


def _line(row: dict[str, Any]) -> bytes:
    options = orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_NON_STR_KEYS | orjson.OPT_APPEND_NEWLINE
    return orjson.dumps(row, default=_plain, option=options)


def _plain(value: Any) -> Any:
    """Return what JSON can say of a value: numbers of arrays and tensors as lists, anything else as its text."""
    to_list = getattr(value, "tolist", None)
    return str(value) if to_list is None else to_list()
