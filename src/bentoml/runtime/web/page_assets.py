"""The files of the page at `/`: read when they are first asked for, and kept by browsers for good."""

from __future__ import annotations

import gzip
import hashlib
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from string import Template
from typing import Any

from ...sdk.service import Service

__all__ = ["Asset", "Assets", "assets", "index_html"]

_FOLDER = Path(__file__).parents[2] / "templates" / "page"
_MEDIA_TYPES = {
    ".js": b"text/javascript; charset=utf-8",
    ".css": b"text/css; charset=utf-8",
    ".svg": b"image/svg+xml",
}


@dataclass(frozen=True)
class Asset:
    """One file, as it is and compressed."""

    media_type: bytes
    body: bytes
    compressed: bytes


class Assets:
    """All files of the page, under one folder whose name changes with any of them."""

    @cached_property
    def all(self) -> dict[str, Asset]:
        """Each file by its name."""
        found: dict[str, Asset] = {}
        for file in sorted(_FOLDER.iterdir()):
            if (media_type := _MEDIA_TYPES.get(file.suffix)) is not None:
                body = file.read_bytes()
                found[file.name] = Asset(media_type, body, gzip.compress(body, mtime=0))
        return found

    @cached_property
    def version(self) -> str:
        """The name of the folder: browsers keep what is in it, and never ask again."""
        digest = hashlib.sha256()
        for name, asset in self.all.items():
            digest.update(name.encode() + b"\0" + asset.body)
        return digest.hexdigest()[:16]


@cache
def assets() -> Assets:
    """Return the files of the page; they are the same for each service of this process."""
    return Assets()


def index_html(service: Service[Any]) -> bytes:
    """Return the page of a service.

    All addresses are relative, so that it is right behind any proxy. Where callers must say who they are, it holds
    nothing of the service: what it shows, it asks for with the token of the person who looks at it.
    """
    auth = service.settings.auth
    is_open = auth.type is None
    folder = f"static_content/{assets().version}"
    modules = [n for n in assets().all if n.endswith(".js") and n not in ("main.js", "theme.js")]
    template = Template(_FOLDER.joinpath("index.html").read_text(encoding="utf-8"))
    return template.substitute(
        root="/".join([".."] * service.path_prefix.count("/")) or ".",
        auth=_escape("" if is_open else auth.header),
        title=_escape(service.name if is_open else "Service"),
        name=_escape(service.name) if is_open else "",
        static=_static(service) if is_open else "This page needs JavaScript.",
        assets=folder,
        modules="\n".join(f'<link rel="modulepreload" href="{folder}/{name}">' for name in modules),
    ).encode()


def _static(service: Service[Any]) -> str:
    """Return what the page shows without JavaScript: the APIs."""
    rows = "".join(
        f"<li><code>POST {_escape(service.path_prefix + api.route)}</code> {_escape((api.doc or '').partition(chr(10))[0])}</li>"
        for api in service.apis.values()
    )
    about = service.description or service.doc or ""
    return f"<h1>{_escape(service.name)}</h1><p>{_escape(about)}</p><ul>{rows}</ul>"


def _escape(text: str) -> str:
    """Return text as HTML shows it, also in an attribute."""
    import html  # its table of all entities takes 0.5 MB, and most services never show their page

    return html.escape(text)
