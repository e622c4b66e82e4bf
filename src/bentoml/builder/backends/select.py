"""Which sink an ``--output`` names."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from ...exceptions import InvalidArgument
from ..oci.model import Sink
from .archive import ArchiveSink
from .engine import EngineSink
from .layout import LayoutSink

__all__ = ["open_sink"]

_FORMS = "`type=docker`, `type=oci,dest=FOLDER`, `type=oci-archive,dest=FILE.tar` or `type=docker-archive,dest=FILE.tar`"


def open_sink(output: str | None, *, env: Mapping[str, str]) -> Sink:
    """Return the sink that ``output`` names; without one the local Docker engine.

    ``type=oci,dest=FOLDER``, ``type=oci-archive,dest=FILE``, ``type=docker-archive,dest=FILE``, ``type=docker``.

    Raises:
        InvalidArgument: ``output`` is none of these.
    """
    if output is None:
        return EngineSink(env)
    pairs = [pair.partition("=") for pair in output.split(",")]
    options = {key: value for key, equals, value in pairs if equals}
    if len(options) == len(pairs):
        match options:
            case {"type": "docker", **rest} if not rest:
                return EngineSink(env)
            case {"type": "oci", "dest": dest, **rest} if dest and not rest:
                return LayoutSink(Path(dest))
            case {"type": "oci-archive", "dest": dest, **rest} if dest and not rest:
                return ArchiveSink(Path(dest), "oci")
            case {"type": "docker-archive", "dest": dest, **rest} if dest and not rest:
                return ArchiveSink(Path(dest), "docker")
    raise InvalidArgument(f"`--output {output}` is not known; use {_FORMS}")
