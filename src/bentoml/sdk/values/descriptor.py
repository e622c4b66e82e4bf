"""IODescriptor: a model for ``input_spec`` and ``output_spec`` whose fields may be arrays, tables, files and images."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

__all__ = ["IODescriptor"]


class IODescriptor(BaseModel):
    """Describe the input or the output of an API, as a pydantic model does, with any type that an API may have.

    It is an ordinary pydantic model; an API also takes a plain ``BaseModel`` with ``arbitrary_types_allowed``.
    """

    model_config = ConfigDict(arbitrary_types_allowed=True, protected_namespaces=())
