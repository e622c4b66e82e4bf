"""Where Python packages come from: the build file's indexes, or else those of pip's own configuration."""

from __future__ import annotations

import configparser
import os
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from ..build_file.config import PythonConfig

__all__ = ["Indexes", "pip_settings"]

_KEYS = ("index-url", "extra-index-url", "find-links", "trusted-host", "no-index", "cert")


class Indexes(NamedTuple):
    """The places to look for packages; an empty ``index_url`` means the resolver's default.

    ``best_match`` takes the best version that any index has, as pip does. It holds for the indexes of pip's configuration,
    which this machine trusts alike; for those that a project brings, the first index that knows a package decides, so that
    nobody can slip in a private package's name on a public index.
    """

    index_url: str = ""
    extra_index_url: tuple[str, ...] = ()
    find_links: tuple[str, ...] = ()
    trusted_host: tuple[str, ...] = ()
    no_index: bool = False
    cert: str = ""
    best_match: bool = False

    @classmethod
    def choose(cls, config: PythonConfig, pip: Mapping[str, str], folder: Path) -> Indexes:
        """Return the build file's indexes, each key that it leaves open filled from pip's configuration.

        Relative folders of links are taken from ``folder``, as the resolver runs elsewhere.
        """
        links = config.find_links or tuple(pip.get("find-links", "").split())
        return cls(
            index_url=config.index_url or pip.get("index-url", ""),
            extra_index_url=config.extra_index_url or tuple(pip.get("extra-index-url", "").split()),
            find_links=tuple(
                link if "://" in link else str(folder / Path(link).expanduser()) for link in links
            ),
            trusted_host=config.trusted_host or tuple(pip.get("trusted-host", "").split()),
            no_index=config.no_index or pip.get("no-index", "").lower() in ("1", "true", "yes", "on"),
            cert=pip.get("cert", ""),
            best_match=not config.extra_index_url and "extra-index-url" in pip,
        )


def pip_settings(env: Mapping[str, str]) -> dict[str, str]:
    """Return what pip's configuration says of indexes: its files in pip's order, then its ``PIP_*`` variables.

    uv does not read them, yet a machine on which `pip install` works is one on which a build should work. The order is
    that of https://pip.pypa.io/en/stable/topics/configuration/.
    """
    settings: dict[str, str] = {}
    for file in _pip_files(env):
        parser = configparser.RawConfigParser()
        try:
            parser.read(file, encoding="utf-8")
        except (configparser.Error, UnicodeDecodeError):
            continue  # pip itself reports what is wrong with its file
        for section in ("global", "install"):
            if parser.has_section(section):
                settings.update({key.replace("_", "-"): value for key, value in parser.items(section)})
    settings.update(
        {key: env[name] for key in _KEYS if (name := f"PIP_{key.upper().replace('-', '_')}") in env}
    )
    return {key: settings[key] for key in _KEYS if settings.get(key)}


def _pip_files(env: Mapping[str, str]) -> Iterator[Path]:
    named = env.get("PIP_CONFIG_FILE")
    if named == os.devnull:
        return
    if named:
        yield Path(named)
    home = Path(env.get("HOME") or Path.home())
    for folder in env.get("XDG_CONFIG_DIRS", "/etc/xdg").split(os.pathsep):
        yield Path(folder) / "pip" / "pip.conf"
    yield Path("/etc/pip.conf")
    yield home / ".pip" / "pip.conf"
    if sys.platform == "darwin":
        yield home / "Library" / "Application Support" / "pip" / "pip.conf"
    yield Path(env.get("XDG_CONFIG_HOME") or home / ".config") / "pip" / "pip.conf"
    yield Path(sys.prefix) / "pip.conf"
