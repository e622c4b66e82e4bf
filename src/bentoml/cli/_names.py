"""How help and usage call the arguments of a command: as people know it from elsewhere, `TAG`, `[NAME]`, `TARGETS...`."""

from __future__ import annotations

from typing import Any

__all__ = ["name_as_usual"]


def name_as_usual(param: Any) -> None:
    """Let an argument be called by its name in capitals, without braces around it or its Python type behind it."""
    if param.param_type_name != "argument":
        return
    name = param.metavar or param.name.upper()
    many = "..." if param.nargs != 1 else ""
    usage = f"{name}{many}" if param.required else f"[{name}]{many}"
    param.metavar = f"{name}{many}"
    param._usage_display_name = lambda: usage
    param.display_type_rich = lambda ctx: None
