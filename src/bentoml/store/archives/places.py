"""Places: where an archive is written to or read from: a path of this machine, or what a URL names (by fsspec)."""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from importlib import import_module
from pathlib import Path
from typing import Any, TypeAlias
from urllib.parse import unquote

from ...exceptions import BentoMLException, MissingDependencyException, NotFound
from .web import download, shown

__all__ = ["LocalPlace", "Place", "RemotePlace", "WebPlace", "open_place"]

_URL = re.compile(r"([a-zA-Z][a-zA-Z0-9+.-]*)://")
_NUMBERS = ("port", "timeout")  # parameters that are no text
_USER = {"s3": ("key", "secret"), "s3a": ("key", "secret")}  # what others call `username` and `password`

# Where folders are parts of names only, and making them would make the bucket that somebody misspelled.
_BUCKETS = {"s3", "s3a", "gs", "gcs", "az", "abfs", "abfss", "adl", "oss", "oci", "cos", "tos"}


@dataclass(frozen=True)
class LocalPlace:
    """A path of this machine. One that is written with `/` at its end is a folder, which is made where needed."""

    path: Path
    means_folder: bool = False
    is_unsaid: bool = False  # it is the current folder, because nothing was said

    @property
    def name(self) -> str:
        return str(self.path)

    def is_folder(self) -> bool:
        return self.means_folder or os.path.isdir(self.path)

    def child(self, name: str) -> LocalPlace:
        self.path.mkdir(parents=True, exist_ok=True)
        return LocalPlace(self.path / name)

    def with_ending(self, ending: str) -> LocalPlace:
        return LocalPlace(self.path.with_name(self.path.name + ending))


@dataclass(frozen=True)
class RemotePlace:
    """A place that fsspec reaches; ``path`` is what stands behind `protocol://`."""

    protocol: str
    path: str
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The URL, without what it says about who asks."""
        host, slash, rest = self.path.partition("/")
        return f"{self.protocol}://{host.rpartition('@')[2]}{slash}{rest}"

    def is_folder(self) -> bool:
        if self.path.endswith("/") or not self.path:
            return True
        with _said(self.name):
            return bool(self._system().isdir(self._inner()))

    def child(self, name: str) -> RemotePlace:
        return replace(self, path=f"{self.path.rstrip('/')}/{name}")

    def with_ending(self, ending: str) -> RemotePlace:
        return replace(self, path=self.path + ending)

    def put(self, local: Path) -> str:
        """Send a file there under another name, and rename it there; return the place."""
        with _said(self.name):
            system, target = self._system(), self._inner()
            parent, slash, last = target.rpartition("/")
            draft = f"{parent}{slash}.{last}.{secrets.token_hex(6)}"
            if parent and self.protocol not in _BUCKETS:
                system.makedirs(parent, exist_ok=True)
            try:
                system.put_file(str(local), draft)
                system.mv(draft, target)
            except BaseException:
                with suppress(OSError):
                    system.rm_file(draft)
                raise
        return self.name

    def fetch(self, target: Path) -> None:
        """Write what is there to a file of this machine."""
        with _said(self.name):
            self._system().get_file(self._inner(), str(target))

    def _system(self) -> Any:
        from_url = self._class()._get_kwargs_from_urls(self._url())
        try:
            return _fsspec(self.protocol).filesystem(self.protocol, **{**from_url, **self.options})
        except TypeError as e:
            raise ValueError(f"`{self.protocol}` does not take what was given: {e}") from e

    def _inner(self) -> str:
        """Return the path as the file system has it, without host and user where these are no part of it."""
        return str(self._class()._strip_protocol(self._url()))

    def _class(self) -> Any:
        return _fsspec(self.protocol).get_filesystem_class(self.protocol)

    def _url(self) -> str:
        return f"{self.protocol}://{self.path}"


@dataclass(frozen=True)
class WebPlace:
    """An http(s) address, which can be read alone."""

    url: str

    @property
    def name(self) -> str:
        """The address, without what may be secret in it."""
        return shown(self.url)

    def fetch(self, target: Path) -> None:
        """Write what is there to a file of this machine."""
        download(self.url, target)


Place: TypeAlias = LocalPlace | RemotePlace | WebPlace


def open_place(
    path: str | os.PathLike[str],
    *,
    protocol: str | None = None,
    user: str | None = None,
    passwd: str | None = None,
    params: Mapping[str, str] | None = None,
    subpath: str | None = None,
) -> Place:
    """Return the place that a path or URL means, or a path and the words that a URL would consist of.

    Raises:
        ValueError: a URL and such words are given; or nobody knows the protocol.
        MissingDependencyException: a library must be installed for the protocol.
    """
    text = os.fspath(path)
    if "\0" in text:
        raise ValueError(f"{text!r} is no path")
    words = [word for word in (protocol, user, passwd, params, subpath) if word]
    url = _URL.match(text)
    if url and words:
        raise ValueError(
            f"`{url[0]}...` is a URL, which says all by itself; leave out protocol, user, passwd, params and subpath"
        )
    if url:
        return _of_url(url[1].lower(), text[url.end() :], {})
    whole = os.path.join(text, subpath) if subpath else text
    if protocol:
        names = _USER.get(protocol, ("username", "password"))
        given = {name: value for name, value in zip(names, (user, passwd), strict=True) if value}
        more = {key: int(value) if key in _NUMBERS else value for key, value in (params or {}).items()}
        return _of_url(protocol.lower(), whole, {**given, **more})
    if user or passwd or params:
        raise ValueError(
            "user, passwd and params are for a place that `protocol` says how to reach; give it, too"
        )
    return LocalPlace(
        Path(whole).expanduser().absolute(), not whole or whole.endswith("/"), is_unsaid=not whole
    )


def _of_url(protocol: str, rest: str, options: Mapping[str, Any]) -> Place:
    if protocol in ("file", "local"):
        path = unquote(rest.removeprefix("localhost")) if protocol == "file" else rest
        return LocalPlace(Path(path).absolute(), rest.endswith("/"))
    if protocol in ("http", "https"):
        return WebPlace(f"{protocol}://{rest}")
    try:
        _fsspec(protocol).get_filesystem_class(protocol)
    except ValueError as e:
        raise ValueError(
            f"Unknown or unsupported protocol `{protocol}`; some are file, ftp, s3, gs, memory"
        ) from e
    except ImportError as e:
        raise MissingDependencyException(f"places of `{protocol}://` need a library: {e}") from e
    return RemotePlace(protocol, rest, options)


def _fsspec(protocol: str) -> Any:
    try:
        return import_module("fsspec")
    except ImportError as e:
        raise MissingDependencyException(
            f"places of `{protocol}://` need `fsspec`; install it with `pip install 'bentoml[archives]'`"
        ) from e


@contextmanager
def _said(name: str) -> Iterator[None]:
    """Turn what goes wrong elsewhere into an error that names the place."""
    try:
        yield
    except FileNotFoundError as e:
        raise NotFound(f"`{name}` does not exist") from e
    except (BentoMLException, ValueError, TypeError):
        raise
    except Exception as e:  # the boundary of other libraries: that of each protocol has errors of its own
        raise BentoMLException(f"`{name}`: {e or type(e).__name__}") from e
