"""How tests damage a file of the store."""

from __future__ import annotations

import os
import stat
from pathlib import Path

__all__ = ["flip", "flip_unseen"]


def flip(file: str | Path, *, at: int = 0) -> None:
    """Turn one bit of a file over, as a careless program would: in place."""
    file = Path(file)
    mode = stat.S_IMODE(file.stat().st_mode)
    file.chmod(0o644)
    with file.open("r+b") as stream:
        stream.seek(at)
        byte = stream.read(1)[0]
        stream.seek(at)
        stream.write(bytes([byte ^ 1]))
    file.chmod(mode)


def flip_unseen(file: str | Path) -> None:
    """The same, with the time set back afterwards."""
    before = os.stat(file)
    flip(file)
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
