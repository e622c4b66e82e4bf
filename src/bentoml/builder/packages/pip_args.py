"""`python.pip_args`: those of pip's options that mean something, or do no harm, in a bento."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass, field

__all__ = ["INDEX_OPTIONS", "PipArgs", "read_pip_args", "split_option"]

INDEX_OPTIONS = {
    "-i": "index_url",
    "--index-url": "index_url",
    "--extra-index-url": "extra_index_url",
    "-f": "find_links",
    "--find-links": "find_links",
    "--trusted-host": "trusted_host",
    "--no-index": "no_index",
}
_FLAGS = (
    "--pre", "--no-deps", "--no-cache-dir", "--disable-pip-version-check", "--no-warn-script-location",
    "--no-warn-conflicts", "--prefer-binary", "-U", "--upgrade", "-q", "--quiet", "-v", "--verbose", "--no-input",
    "--no-color", "-I", "--ignore-installed", "--force-reinstall", "--require-hashes", "--no-compile",
)  # fmt: skip
_WITH_VALUE = (
    "--timeout", "--default-timeout", "--retries", "--progress-bar", "--root-user-action", "--only-binary",
    "--upgrade-strategy", "--exists-action",
)  # fmt: skip
_WHY_NOT = {
    "-r": "name the file in `python.requirements_txt`",
    "--requirement": "name the file in `python.requirements_txt`",
    "-c": "write `-c FILE` into the file that `python.requirements_txt` names",
    "--constraint": "write `-c FILE` into the file that `python.requirements_txt` names",
    "-e": "an editable installation points at a folder of this machine",
    "--editable": "an editable installation points at a folder of this machine",
    "--no-binary": "an image is made of wheels",
    "--target": "packages lie in the bento's own virtual environment",
    "-t": "packages lie in the bento's own virtual environment",
    "--prefix": "packages lie in the bento's own virtual environment",
    "--root": "packages lie in the bento's own virtual environment",
    "--user": "packages lie in the bento's own virtual environment",
    "--cert": "it is a path of this machine; keep it in pip's configuration",
    "--client-cert": "it is a path of this machine; keep it in pip's configuration",
    "--proxy": "it is an address of this machine; set HTTPS_PROXY instead",
}


@dataclass(frozen=True, slots=True)
class PipArgs:
    """Options that pip is given, the index options among them under the names of the build file, and what is wrong."""

    words: tuple[str, ...] = ()
    indexes: dict[str, list[str]] = field(default_factory=dict)
    mistakes: tuple[str, ...] = ()


def read_pip_args(text: str) -> PipArgs:
    """Read a line of options as a shell would take it apart; nothing in it is run or expanded."""
    try:
        words = shlex.split(text)
    except ValueError as e:
        return PipArgs(mistakes=(f"cannot be read: {e}",))
    kept: list[str] = []
    indexes: dict[str, list[str]] = {}
    mistakes: list[str] = []
    rest = iter(words)
    for word in rest:
        option, equals, value = word.partition("=")
        takes_value = option in _WITH_VALUE or (option in INDEX_OPTIONS and option != "--no-index")
        if takes_value and not equals:
            value = next(rest, "")
        if takes_value and not value:
            mistakes.append(f"holds `{option}` without a value")
        elif option in INDEX_OPTIONS:
            indexes.setdefault(INDEX_OPTIONS[option], []).append(value)
        elif option in _WITH_VALUE:
            kept.append(f"{option}={value}")
        elif word in _FLAGS:
            kept.append(word)
        else:
            mistakes.append(_refusal(option))
    return PipArgs(tuple(kept), indexes, tuple(mistakes))


def split_option(line: str) -> tuple[str, str]:
    """Return an option and its value: ``--name=value``, ``--name value`` and ``-nvalue`` are the same."""
    if line.startswith("--"):
        option, _, value = line.replace("=", " ", 1).partition(" ")
        return option, value.strip()
    return line[:2], line[2:].strip()


def _refusal(option: str) -> str:
    if not option.startswith("-"):
        return f"holds {option!r}, which is no option; list requirements under `python.packages`"
    known: Sequence[str] = (*INDEX_OPTIONS, *_FLAGS, *_WITH_VALUE)
    return f"holds `{option}`, which cannot be part of a bento: " + _WHY_NOT.get(
        option, f"known are {', '.join(known)}"
    )
