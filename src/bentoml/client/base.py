"""Base: what the sync and the async client have in common: their options, and an attribute for each API."""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Generic, NoReturn, Self, TypeVar

from ..exceptions import NotFound
from .downloads import Downloads
from .plan import Endpoint, method_names
from .retries import Options
from .session import Session

__all__ = ["BaseClient"]

M = TypeVar("M")


class _Same:
    """What an option is that is not changed (``None`` is a timeout)."""


_SAME = _Same()


class BaseClient(ABC, Generic[M]):
    """Give each API of a service as an attribute."""

    url: str
    _session: Session
    _options: Options
    _methods: Mapping[str, Endpoint]

    @property
    def timeout(self) -> float | None:
        """Seconds to wait for each answer."""
        return self._options.timeout

    @property
    def retries(self) -> int:
        """How often a call is tried again."""
        return self._options.retries

    @property
    def endpoints(self) -> Mapping[str, Endpoint]:
        """What the service offers, by name."""
        if self._session.endpoints is None:
            raise RuntimeError("Client is not set up yet, please use it as an async context manager")
        return self._session.endpoints

    def with_options(self, *, timeout: float | _Same | None = _SAME, retries: int | None = None) -> Self:
        """Return this client with another timeout or number of retries; the two share their connections."""
        other = copy.copy(self)
        other._options = Options(
            self.timeout if isinstance(timeout, _Same) else timeout,
            self.retries if retries is None else retries,
        )
        return other

    def keeping_files_in(self, folder: Path) -> Self:
        """Return this client with another folder for the files of answers, whose end is the caller's business."""
        return self._over(Session(self._session.wire, Downloads(folder), self._session.headers))

    def with_headers(self, headers: Callable[[], Mapping[str, str]]) -> Self:
        """Return this client with headers of each request, made when it is sent; the two are closed together."""
        return self._over(Session(self._session.wire, self._session.downloads, headers))

    def _over(self, session: Session) -> Self:
        session.endpoints = self._session.endpoints
        other = copy.copy(self)
        other._session = session
        return other

    @abstractmethod
    def _method(self, name: str, endpoint: Endpoint) -> M:
        """Return what calls an API."""

    def _find(self, name: str) -> Endpoint:
        if name not in self.endpoints:
            known = ", ".join(self.endpoints) or "none"
            raise NotFound(f"Endpoint {name} not found; the service has {known}")
        return self.endpoints[name]

    def _name_methods(self) -> None:
        self._methods = method_names(self.endpoints, {*dir(type(self)), *self.__dict__})

    def __getattr__(self, name: str) -> M:
        session: Session | None = self.__dict__.get("_session")
        if session is None or name.startswith("__"):
            raise AttributeError(f"'{type(self).__name__}' has no attribute '{name}'")
        known = self.endpoints and self._methods
        if name not in known:
            apis = f"; the service has {', '.join(known)}" if known else ""
            raise AttributeError(f"'{type(self).__name__}' has no attribute or API '{name}'{apis}")
        return self._method(name, known[name])

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *self.__dict__.get("_methods", {})})

    def __reduce_ex__(self, protocol: Any) -> NoReturn:
        raise TypeError(
            f"a {type(self).__name__} holds connections and cannot be pickled; make one in each process from its `url`"
        )

    def __copy__(self) -> Self:
        other = object.__new__(type(self))
        other.__dict__.update(self.__dict__)
        return other


def method_of(client: BaseClient[M], name: str) -> M:
    """Return what calls an API, by its own name; ``NotFound`` if the service has none."""
    return client._method(name, client._find(name))
