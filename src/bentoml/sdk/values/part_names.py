"""Names of parts and files in the quoted texts of a form's headers (HTML, "multipart/form-data encoding algorithm")."""

from __future__ import annotations

__all__ = ["escaped", "unescaped"]


def escaped(name: str) -> str:
    """Return what stands for a name: quotes and line breaks would end it."""
    return name.replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A")


def unescaped(text: str) -> str:
    """Return the name that a text stands for."""
    return text.replace("%22", '"').replace("%0D", "\r").replace("%0A", "\n")
