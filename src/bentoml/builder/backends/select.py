"""Which sink an `--output` names."""

from __future__ import annotations

from collections.abc import Mapping

from ..oci.model import Sink

__all__ = ["open_sink"]


def open_sink(output: str | None, *, env: Mapping[str, str]) -> Sink:
    """Return the sink that ``output`` names; without one the local Docker engine.

    ``type=oci,dest=FOLDER``, ``type=oci-archive,dest=FILE``, ``type=docker-archive,dest=FILE``, ``type=docker``.

    Raises:
        InvalidArgument: ``output`` cannot be understood.
        BentoMLException: the engine cannot be reached.
    """
    raise NotImplementedError
