"""From where the packages of a base come: the mirrors of this machine where it runs the same distribution, else the base's own."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ....exceptions import BentoMLException
from .apt import is_off, sources_of, stanzas_of, written
from .base_files import BaseFiles

__all__ = ["Sources", "chosen_sources"]

_KEYS = ("etc/apt/trusted.gpg", "etc/apt/trusted.gpg.d/", "etc/apt/keyrings/", "usr/share/keyrings/")
_KEY_FIELD = "Signed-By"


@dataclass(frozen=True, slots=True)
class Sources:
    """Package sources as one deb822 text; ``trusted`` is the folder of their keys, None where it is the machine's."""

    text: str
    trusted: Path | None = None


def chosen_sources(files: BaseFiles, folder: Path, *, etc: Path, own: str) -> Sources | None:
    """Return the sources for a base; None where neither this machine (whose distribution is ``own``) nor the base has one.

    What the base has is written below ``folder``: its sources are believed with its keys.
    """
    codename = files.codename()
    if codename and files.distribution() == own:
        try:
            return Sources(sources_of(codename, etc=etc, codename=codename))
        except BentoMLException:
            pass  # this machine does not say where it has its packages from: the base does
    for path, data in files.texts.items():
        if path.startswith(("etc/apt/", *_KEYS)):
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_bytes(data)
    stanzas = [
        dict(_with_keys(stanza, folder)) for stanza in stanzas_of(folder / "etc/apt") if not is_off(stanza)
    ]
    if not stanzas:
        return None
    trusted = folder / "etc/apt/trusted.gpg.d"
    trusted.mkdir(parents=True, exist_ok=True)
    return Sources("\n".join(map(written, stanzas)), trusted)


def _with_keys(stanza: dict[str, str], folder: Path) -> Iterator[tuple[str, str]]:
    """Yield the fields of a source, with the keys of the base and not of this machine."""
    for key, value in stanza.items():
        is_file = key == _KEY_FIELD and value.startswith("/")
        yield key, f"{folder}{value}" if is_file else value
