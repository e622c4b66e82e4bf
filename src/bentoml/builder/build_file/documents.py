"""Reading build files: YAML and TOML as plain data, with everything refused that could mean two things."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

from ...exceptions import BentoMLConfigException, BentoMLException
from ...store import document

__all__ = ["read_document", "read_script", "read_text"]

_MAX_BYTES = 1 << 20


def read_text(path: Path, *, max_bytes: int = _MAX_BYTES) -> str:
    """Return a build file's text.

    Raises:
        BentoMLConfigException: the file cannot be read, is no UTF-8 or is larger than a build file can be.
    """
    try:
        if path.exists() and not path.is_file():  # a pipe, for one, may keep its reader waiting for ever
            raise BentoMLConfigException(f"`{path}` is not a file")
        with path.open("rb") as file:
            data = file.read(max_bytes + 1)
    except OSError as e:
        raise BentoMLConfigException(f"`{path}` cannot be read: {e.strerror}") from e
    if len(data) > max_bytes:
        raise BentoMLConfigException(f"`{path}` is larger than {max_bytes >> 20} MiB; is it the right file?")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as e:
        raise BentoMLConfigException(f"`{path}` is not UTF-8 text (byte {e.start}); save it as UTF-8") from e


def read_script(path: Path) -> str:
    """Return the text of a script that is to run in an image.

    Raises:
        BentoMLConfigException: as `read_text` does; or no Linux can start it, as its first line ends like those of Windows.
    """
    text = read_text(path)
    if text.partition("\n")[0].endswith("\r"):
        raise BentoMLConfigException(
            f"`{path}` has the line ends of Windows, with which no Linux starts it; save it with those of Unix (LF)"
        )
    return text


def read_document(path: Path) -> dict[str, Any]:
    """Return the mapping that a YAML file, or a TOML file by its suffix, holds; an empty file is an empty mapping.

    Raises:
        BentoMLConfigException: it cannot be read, is not well formed, is not a mapping, or repeats a key.
    """
    text = read_text(path)
    try:
        if path.suffix == ".toml":
            return tomllib.loads(text)
        return document.load(text) if _says_something(text) else {}
    except (BentoMLException, ValueError, RecursionError) as e:
        raise BentoMLConfigException(f"`{path}`: {e}") from e


def _says_something(text: str) -> bool:
    return any(line.strip() and not line.lstrip().startswith("#") for line in text.splitlines())
