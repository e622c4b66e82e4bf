"""What has to run in an image, as pure data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ...store.archives.tar import TarEntry
from ...store.digest import Digest

__all__ = ["FILES", "Step", "Steps", "shell"]

FILES = "run/bentoml"  # in the image: what only the steps see lies there


@dataclass(frozen=True, slots=True)
class Step:
    """One program to run: ``name`` says to people which one, as in ``commands[0]``; nothing reads ``argv`` but it."""

    name: str
    argv: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Steps:
    """Programs that run in an image one after the other, as root, and what they find there.

    ``files`` are there while they run: what they leave of them unchanged, and all that lies in ``FILES``, is no part of
    what comes of it. ``secrets`` are names of variables, whose values are taken where the steps are run and kept nowhere.
    """

    about: str
    runs: tuple[Step, ...] = ()
    files: tuple[TarEntry, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    working_dir: str = "/"
    secrets: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.runs)

    def digest(self) -> Digest:
        """Return the digest of all that the result depends on: the values of secrets are no part of it."""
        return Digest.of_json(
            {
                "runs": [[step.name, *step.argv] for step in self.runs],
                "files": [[entry.path, entry.kind, entry.mode, _content(entry)] for entry in self.files],
                "env": dict(self.env),
                "working_dir": self.working_dir,
                "secrets": list(self.secrets),
            }
        )


def shell(name: str, command: str) -> Step:
    """Return the step that is a user's own command, which the shell reads."""
    return Step(name, ("/bin/sh", "-c", command))


def _content(entry: TarEntry) -> str:
    match entry.source:
        case bytes():
            return str(Digest.of(entry.source))
        case Path():
            return str(Digest.of_file(entry.source))
    return entry.link
