"""Downloading from an http(s) address that a person gave, into a file."""

from __future__ import annotations

import base64
import http.client
import shutil
import urllib.request
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.parse import unquote, urlsplit, urlunsplit

from ... import __version__
from ...exceptions import BentoMLException, NotFound

__all__ = ["download", "shown"]

_SECONDS = 60.0  # without a byte
_MOST_REDIRECTS = 5
_PIECE = 1 << 20
_SPARE = 64 << 20  # bytes that stay free on the disk


def download(url: str, target: Path) -> None:
    """Write what an address answers with to a file; redirects are followed, but never from https to http.

    A name and password in the address are sent to its host alone.

    Raises:
        NotFound: there is nothing at the address.
        BentoMLException: it cannot be reached, answers with an error, breaks off, or has more than the disk can hold.
    """
    try:
        request = _request(url)
        opener = urllib.request.build_opener(_Redirects)
        with opener.open(request, timeout=_SECONDS) as answer, target.open("xb") as file:
            _copy(answer, file, target.parent)
    except HTTPError as e:
        error = NotFound if e.code in (404, 410) else BentoMLException
        e.close()
        raise error(f"`{shown(url)}` answers with status {e.code}") from e
    except (URLError, http.client.HTTPException, TimeoutError, ConnectionError) as e:
        said = e.reason if isinstance(e, URLError) else e
        raise BentoMLException(f"`{shown(url)}` cannot be downloaded: {said}") from e


def shown(url: str) -> str:
    """Return an address without what may be secret in it: name and password, and what stands behind `?`."""
    parts = urlsplit(url)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follow some redirects: to http(s), and never out of what is encrypted."""

    max_redirections = _MOST_REDIRECTS

    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: object,
        code: int,
        msg: str,
        headers: http.client.HTTPMessage,
        newurl: str,
    ) -> urllib.request.Request | None:
        scheme = urlsplit(newurl).scheme.lower()
        if scheme not in ("http", "https") or (req.type == "https" and scheme == "http"):
            raise BentoMLException(
                f"`{shown(req.full_url)}` leads to `{shown(newurl)}`, where it is not followed"
            )
        return super().redirect_request(req, fp, code, msg, headers, newurl)  # type: ignore[arg-type]  # `fp` is only handed on


def _request(url: str) -> urllib.request.Request:
    parts = urlsplit(url)
    user, at, host = parts.netloc.rpartition("@")
    if not parts.hostname:
        raise BentoMLException(f"`{shown(url)}` is no address; write `https://HOST/PATH`")
    clean = urlunsplit((parts.scheme, host, parts.path, parts.query, ""))
    headers = {"User-Agent": f"bentoml/{__version__}", "Accept-Encoding": "identity"}
    request = urllib.request.Request(clean, headers=headers)
    if at:
        credentials = base64.b64encode(unquote(user).encode()).decode()
        request.add_unredirected_header("Authorization", f"Basic {credentials}")
    return request


def _copy(answer: http.client.HTTPResponse, file: object, folder: Path) -> None:
    length = answer.headers.get("Content-Length")
    size = 0
    while piece := answer.read(_PIECE):
        size += len(piece)
        if size > shutil.disk_usage(folder).free - _SPARE:
            raise BentoMLException("it is larger than what the disk of the store has room for")
        file.write(piece)  # type: ignore[attr-defined]  # a binary file
    if length is not None and length.isdigit() and int(length) != size:
        raise BentoMLException(f"`{shown(answer.url)}` broke off after {size} of {length} bytes")
