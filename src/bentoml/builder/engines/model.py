"""What an engine is, and what it is asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ...registry.reference import Reference
from ...registry.transport import is_loopback
from ...store.digest import Digest
from ...tag import Tag
from .options import Option, each

__all__ = ["Engine", "EngineImage", "Request"]


@dataclass(frozen=True, slots=True)
class Request:
    """One build: what of, by which Dockerfile, under which names, for which platform.

    ``secrets`` are names of variables in the environment of the command that only the build sees. In ``scratch`` the
    engine leaves what is not the image: its id in ``id``, and an image that has to be loaded in ``image.tar``.
    """

    context: Path
    dockerfile: Path
    names: tuple[str, ...]
    platform: str | None
    scratch: Path
    secrets: tuple[str, ...] = ()
    options: Mapping[str, Option] = field(default_factory=dict)

    @property
    def id_file(self) -> Path:
        """Where the engine writes which image it made."""
        return Path(next(each("iidfile", self.options.get("iidfile")), self.scratch / "id"))

    @property
    def archive(self) -> Path:
        """Where an engine that keeps no images writes this one."""
        return self.scratch / "image.tar"


@dataclass(frozen=True, slots=True)
class Engine:
    """A program that builds by a Dockerfile: ``command`` and then ``arguments`` of a request, all of it data.

    ``health`` are the words of a command that succeeds where the engine can be used, or a function that says so. With
    ``has_mounts`` it knows ``RUN --mount``, which caches and secrets need; ``runner`` is the program that runs its images.
    ``env`` are variables that it gets where nobody has set them; ``loads`` takes an image that the engine wrote to a file,
    ``pushes`` pushes one by its name where building cannot; with ``plainly``, to a registry that speaks plain HTTP.
    """

    name: str
    command: tuple[str, ...]
    arguments: Callable[[Request], Sequence[str]]
    health: tuple[str, ...] | Callable[[], bool]
    has_mounts: bool = True
    env: Mapping[str, str] = field(default_factory=dict)
    runner: str = "docker"
    loads: tuple[str, ...] = ()
    pushes: tuple[str, ...] = ()
    plainly: tuple[str, ...] = ()

    def push(self, name: str) -> list[str]:
        """Return the words that push an image; as everywhere, plain HTTP is spoken on loopback."""
        plainly = self.plainly if is_loopback(Reference.parse(name).host) else ()
        return [*self.pushes, *plainly, name]


@dataclass(frozen=True, slots=True)
class EngineImage:
    """What an engine made: of which bento, under which names, with which id (none where it is no image of the engine's own).

    ``runner`` is the program that runs it; ``files`` are where it was written to instead of into the engine.
    """

    tag: Tag
    names: tuple[str, ...]
    id: Digest | None
    place: str
    runner: str
    uses_gpu: bool = False
    files: tuple[str, ...] = ()

    def to_json(self) -> dict[str, object]:
        """Return what was made for programs."""
        made = str(self.id) if self.id else None
        return {"tag": str(self.tag), "names": list(self.names), "id": made, "place": self.place}
