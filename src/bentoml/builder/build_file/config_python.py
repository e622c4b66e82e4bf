"""The `python` section of a build file: what Python packages are installed, and where they come from."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from typing import Any, Literal, NamedTuple, get_args

from ..packages.pip_args import read_pip_args
from ..packages.requirements import problem_of
from .fields import Fields

__all__ = ["PYTHON_KEYS", "PythonConfig", "ResolverName", "read_python"]

logger = logging.getLogger(__name__)

ResolverName = Literal["uv", "pip-tools"]

_INDEX_URL = re.compile(r"(https?|file)://[^\s@'\"\\]+")
_FIND_LINKS = re.compile(r"https?://[^\s@'\"\\]+|(?!/|~|.*\.\.)[\w][\w./-]*|\./(?!.*\.\.)[\w./-]*")
_HOST = re.compile(r"[A-Za-z0-9.:_-]+")
_FILE = re.compile(r"(?!/|~|(.*/)?\.\.(/|$)).+")
_LOCK = re.compile(r"(.*/)?(uv\.lock|pylock(\.[\w-]+)?\.toml)")
_URL_RULE = "an index is an http(s) or file URL without a user name; keep credentials in a netrc file"
_LINKS_RULE = "it is a folder of the project, relative to it, or a URL without a user name"

PYTHON_KEYS = (
    "packages", "requirements_txt", "lock_file", "lock_packages", "resolver", "pack_git_packages", "wheels", "pip_args",
    "index_url", "extra_index_url", "find_links", "trusted_host", "no_index", "is_src_layout",
)  # fmt: skip


class PythonConfig(NamedTuple):
    """What Python packages are installed, and where they come from.

    ``lock_file`` is a lock of another tool, whose pins are taken; ``wheels`` are files of the project; ``pip_args`` are
    options of pip, one word each. ``is_pyproject`` means that all of it stands in a `pyproject.toml`, whose settings of uv
    count then.
    """

    packages: tuple[str, ...] = ()
    requirements_txt: str = ""
    lock_file: str = ""
    lock_packages: bool = True
    resolver: ResolverName = "uv"
    pack_git_packages: bool = True
    wheels: tuple[str, ...] = ()
    pip_args: tuple[str, ...] = ()
    index_url: str = ""
    extra_index_url: tuple[str, ...] = ()
    find_links: tuple[str, ...] = ()
    trusted_host: tuple[str, ...] = ()
    no_index: bool = False
    is_src_layout: bool = False
    is_pyproject: bool = False
    image_requirements: str = ""  # the text of a requirements file, from the image of the service


def read_python(fields: Fields) -> PythonConfig:
    """Read the section; what is wrong is noted there."""
    fields.check_keys(PYTHON_KEYS)
    requirements_txt = fields.text("requirements_txt", _FILE, _file_rule("a requirements file"))
    lock_file = ""
    if _LOCK.fullmatch(requirements_txt):
        requirements_txt, lock_file = "", requirements_txt
    lock_rule = "it is the `uv.lock` or a `pylock.toml` of the project"
    words, indexes = _pip_args(fields)
    return PythonConfig(
        packages=_packages(fields),
        requirements_txt=requirements_txt,
        lock_file=fields.text("lock_file", _LOCK, lock_rule) or lock_file,
        lock_packages=fields.flag("lock_packages", True),
        resolver=fields.choice("resolver", get_args(ResolverName), "uv"),  # type: ignore[arg-type]  # one of them
        pack_git_packages=fields.flag("pack_git_packages", True),
        wheels=_wheels(fields),
        pip_args=words,
        is_src_layout=fields.flag("is_src_layout", False),
        **_indexes(fields, indexes),
    )


def _packages(fields: Fields) -> tuple[str, ...]:
    rule = "an editable installation (`-e`) points at a folder of this machine; write the path without it"
    packages = fields.texts("packages", rule=rule)
    for package in packages:
        if problem := problem_of(package):
            fields.mistake("packages", f"holds {package!r}: {problem}")
    return packages


def _wheels(fields: Fields) -> tuple[str, ...]:
    wheels = fields.texts("wheels", _FILE, _file_rule("a wheel"))
    for wheel in wheels:
        if not wheel.endswith(".whl"):
            fields.mistake(
                "wheels", f"holds {wheel!r}, which is no wheel; list other packages under `python.packages`"
            )
    return wheels


def _pip_args(fields: Fields) -> tuple[tuple[str, ...], Mapping[str, list[str]]]:
    """Return the options, and those of them that name indexes by the keys that they stand for."""
    found = read_pip_args(fields.plain("pip_args"))
    for mistake in found.mistakes:
        fields.mistake("pip_args", mistake)
    return found.words, found.indexes


def _indexes(fields: Fields, given: Mapping[str, list[str]]) -> dict[str, Any]:
    """Return the places to look for packages: those of the section, and where it says nothing those of `pip_args`."""
    options = Fields(
        {**given, "index_url": given["index_url"][-1] if "index_url" in given else None, "no_index": None},
        f"{fields.path}.pip_args",
        fields.mistakes,
    )
    no_index = fields.flag("no_index", False) or "no_index" in given
    if no_index and ("index_url" in fields or "extra_index_url" in fields):
        logger.warning("python.no_index is set: index_url and extra_index_url are not used")

    def texts(key: str, pattern: re.Pattern[str], rule: str) -> tuple[str, ...]:
        return fields.texts(key, pattern, rule) or options.texts(key, pattern, rule)

    index_url = fields.text("index_url", _INDEX_URL, _URL_RULE) or options.text(
        "index_url", _INDEX_URL, _URL_RULE
    )
    return {
        "index_url": index_url,
        "extra_index_url": texts("extra_index_url", _INDEX_URL, _URL_RULE),
        "find_links": texts("find_links", _FIND_LINKS, _LINKS_RULE),
        "trusted_host": texts("trusted_host", _HOST, "it is a host, or host:port"),
        "no_index": no_index,
    }


def _file_rule(what: str) -> str:
    return f"it is the path of {what} in the project, relative to it"
