"""What commands print: tables, JSON, YAML, sizes and times. Nothing is ever cut off; data goes to stdout."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Literal

from ..store import document

__all__ = [
    "Format",
    "ItemFormat",
    "local_time",
    "print_item",
    "print_json",
    "print_rows",
    "print_table",
    "size",
]

Format = Literal["table", "json", "yaml"]
ItemFormat = Literal["yaml", "json", "path"]

_UNITS = ("B", "KiB", "MiB", "GiB", "TiB", "PiB")


def print_rows(rows: Sequence[Mapping[str, str]], columns: Mapping[str, str], output: Format) -> None:
    """Print rows as a table with these columns (key -> heading), or as JSON or YAML with these keys."""
    match output:
        case "table":
            print_table(list(columns.values()), [[row[key] for key in columns] for row in rows])
        case "json":
            print_json([{key: row[key] for key in columns} for row in rows])
        case "yaml":
            print(document.dump([{key: row[key] for key in columns} for row in rows]), end="")


def print_item(folder: Path, manifest: str, output: ItemFormat) -> None:
    """Print the manifest of an item as it is, or as JSON, or the path of the item's folder."""
    match output:
        case "path":
            print(folder)
        case "json":
            print_json(document.load((folder / manifest).read_text("utf-8")))
        case "yaml":
            print((folder / manifest).read_text("utf-8"), end="")


def print_table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print columns that are as wide as their longest text, with two spaces between them."""
    widths = [max(map(len, column)) for column in zip(headings, *rows, strict=True)]
    for row in [headings, *rows]:
        print("  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip())


def print_json(value: object) -> None:
    """Print a value as JSON; what JSON does not have (a time, say) is printed as text."""
    print(json.dumps(value, indent=2, ensure_ascii=False, default=str))


def size(count: int) -> str:
    """Return a number of bytes as people read it: ``279.00 B``, ``2.29 KiB``, ``13.49 GiB``."""
    value, unit = float(count), 0
    while value >= 1024 and unit < len(_UNITS) - 1:
        value, unit = value / 1024, unit + 1
    return f"{value:.2f} {_UNITS[unit]}"


def local_time(time: datetime) -> str:
    """Return a time as ``2026-01-31 12:00:00`` in the zone of this machine."""
    return time.astimezone().strftime("%Y-%m-%d %H:%M:%S")
