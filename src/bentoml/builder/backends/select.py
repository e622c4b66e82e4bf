"""Which sink an output names."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from ...store.archives.watch import Unwatched, Watch
from ..oci.model import Sink
from .output import Output, parse_output

__all__ = ["open_sink"]

_NO_MEMORY = Path(os.devnull, "memory")  # where nothing can be written, nothing is remembered


def open_sink(
    output: Output | str | None,
    *,
    env: Mapping[str, str],
    memory: Path = _NO_MEMORY,
    watch: Watch | None = None,
) -> Sink:
    """Return the sink that ``output`` names; without one the local Docker engine.

    ``memory`` is the folder where a registry's uploads and blobs are remembered; ``watch`` is told of the bytes that are written.

    Raises:
        InvalidArgument: ``output`` cannot be understood (`parse_output`).
    """
    wanted = output if isinstance(output, Output) else parse_output(output)
    watch = watch or Unwatched()
    match wanted.kind:
        case "docker":
            from .engine import EngineSink

            return EngineSink(env, watch)
        case "oci":
            from .layout import LayoutSink

            return LayoutSink(Path(wanted.dest))
        case "oci-archive" | "docker-archive":
            from .archive import ArchiveSink

            return ArchiveSink(Path(wanted.dest), "oci" if wanted.kind == "oci-archive" else "docker", watch)
        case "registry":
            from ...registry.memory import Memory
            from .registry import RegistrySink

            return RegistrySink(env, Memory(memory), watch)
