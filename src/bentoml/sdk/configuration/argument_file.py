"""The file of ``--arg-file``: values for the code of a service, in YAML."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ...exceptions import BentoMLException, InvalidArgument
from ...store import document

__all__ = ["read_argument_file"]


def read_argument_file(file: Path) -> dict[str, Any]:
    """Return the values of a file; one that is empty has none.

    Raises:
        InvalidArgument: it cannot be read, or is not a mapping of names to values.
    """
    try:
        text = file.read_text("utf-8")
        return document.load(text) if text.strip() else {}
    except (BentoMLException, OSError, UnicodeDecodeError) as e:
        raise InvalidArgument(f"`--arg-file {file}`: {e}") from e
