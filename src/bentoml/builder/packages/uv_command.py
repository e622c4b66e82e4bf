"""How uv is called, whatever for: where it is, where it looks for packages, and its environment."""

from __future__ import annotations

from collections.abc import Mapping
from threading import Lock

import uv

from ...exceptions import MissingDependencyException
from .indexes import Indexes

__all__ = ["uv_command", "uv_environment", "uv_options"]

_one_asks = (
    Lock()
)  # Python before 3.14 shows `sysconfig` half filled to a second thread that asks at the same time


def uv_command() -> str:
    """Return the path of uv."""
    try:
        with _one_asks:
            return uv.find_uv_bin()
    except FileNotFoundError as e:
        raise MissingDependencyException(
            "uv is needed to resolve and install packages; run `pip install uv`"
        ) from e


def uv_options(indexes: Indexes) -> tuple[str, ...]:
    """Return the options that say where packages come from, but for what `uv_environment` says."""
    return (
        *(["--no-index"] if indexes.no_index else []),
        *(["--index-strategy", "unsafe-best-match"] if indexes.best_match else []),
        *(word for link in indexes.find_links for word in ("--find-links", link)),
        *(word for host in indexes.trusted_host for word in ("--allow-insecure-host", host)),
    )


def uv_environment(indexes: Indexes, env: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of uv. Indexes are named there, because their URLs may hold credentials of pip's.

    uv's own variables go before pip's configuration.
    """
    found = {**env, "NO_COLOR": "1"}
    if indexes.index_url and "UV_DEFAULT_INDEX" not in found:
        found.setdefault("UV_INDEX_URL", indexes.index_url)
    if indexes.extra_index_url:
        found.setdefault("UV_EXTRA_INDEX_URL", " ".join(indexes.extra_index_url))
    if indexes.cert:
        found.setdefault("SSL_CERT_FILE", indexes.cert)
    return found
