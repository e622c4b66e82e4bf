"""The table of an image's layers: what each is, how large, and whether and why it was new to the place it went to."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence

from ..builder.image.result import ImageLayer, ImageResult
from ._output import size

__all__ = ["print_layers"]

_DIGEST_END = re.compile(r"(?<=@sha256:[0-9a-f]{12})[0-9a-f]{52}")


def print_layers(result: ImageResult) -> None:
    """Print a line for each layer on stderr, those of a base as one."""
    rows = []
    for platform in result.platforms:
        of = f" for {platform}" if len(result.platforms) > 1 else ""
        layers = [layer for layer in result.layers if layer.platform == platform]
        base = [layer for layer in layers if layer.kind == "base"]
        rows.append(_row(f"base {_DIGEST_END.sub('', result.base)}{of}", base))
        rows += [_row(f"{layer.about}{of}", [layer]) for layer in layers if layer.kind != "base"]
    rows.append(_row("together", result.layers))
    widths = [max(len(row[column]) for row in rows) for column in range(2)]
    for what, bytes_, state in rows:
        print(f"{what:<{widths[0]}}  {bytes_:>{widths[1]}}  {state}".rstrip(), file=sys.stderr)


def _row(about: str, layers: Sequence[ImageLayer]) -> tuple[str, str, str]:
    total = sum(layer.size for layer in layers)
    new = [layer for layer in layers if layer.is_new]
    size_of_new = sum(layer.size for layer in new)
    if not new:
        return about, size(total), "reused"
    reasons = {layer.why for layer in new}
    why = f": {reasons.pop()}" if len(reasons) == 1 else ""
    return about, size(total), f"new{why}" if size_of_new == total else f"{size(size_of_new)} new{why}"
