"""Seal: the end of a manifest, which says what it and the files of its item are: `digest`, `checksum`, `files`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from .digest import Digest
from .metadata import identity_of

__all__ = ["SEAL", "checksum", "sealed", "split"]

SEAL = ("digest", "checksum", "files")
_FILES = "\nfiles:\n"
_OTHER_LINE = re.compile(r'^(?!- \{")', re.MULTILINE)


def sealed(data: Mapping[str, Any], digest: Digest, listing: str) -> str:
    """Return the lines that stand behind the other keys of a manifest, which are ``data``."""
    files = f"files:\n{listing}" if listing else "files: []\n"
    return f"digest: {digest}\nchecksum: {checksum({**data, 'digest': str(digest)})}\n{files}"


def checksum(data: Mapping[str, Any]) -> str:
    """Return what the `checksum` of a manifest with these keys is: it counts all of them but itself and `files`."""
    return str(Digest.of_json(identity_of({k: v for k, v in data.items() if k not in ("checksum", "files")})))


def split(text: str) -> tuple[str, str]:
    """Cut the list of files off a manifest, if it stands last and has the form in which this library writes it."""
    head, mark, listing = text.partition(_FILES)
    if not mark or _OTHER_LINE.search(listing.rstrip("\n")):
        return text, ""
    return head, listing
