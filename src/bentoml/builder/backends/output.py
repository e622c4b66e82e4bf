"""What an ``--output`` says, in the words of BuildKit: which kind of place, where, and under which names. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NamedTuple

from ...exceptions import InvalidArgument
from ...nearest import nearest

__all__ = ["STDOUT", "Kind", "Output", "parse_output"]

STDOUT = "-"
Kind = Literal["docker", "oci", "oci-archive", "docker-archive", "registry"]
_KEYS = ("type", "dest", "name", "push", "tar")
_FORMS = (
    "`type=docker`, `type=oci,dest=FOLDER`, `type=oci-archive,dest=FILE.tar`, `type=docker-archive,dest=FILE.tar` or "
    "`type=registry,dest=HOST/REPOSITORY:TAG`"
)


class Output(NamedTuple):
    """A place for an image; ``dest`` is a folder or file, ``names`` are those that it was given there."""

    kind: Kind = "docker"
    dest: str = ""
    names: tuple[str, ...] = ()

    @property
    def is_stdout(self) -> bool:
        """Whether the image itself goes to stdout."""
        return self.dest == STDOUT


def parse_output(text: str | None) -> Output:
    """Parse an output; nothing means the local engine.

    ``type=docker`` with ``dest`` is an archive for `docker load`; ``type=oci`` is an archive where its ``dest`` ends with
    ``.tar``, is ``-``, or ``tar=true`` says so, else a folder; ``type=image,push=true`` is a registry.

    Raises:
        InvalidArgument: it cannot be understood.
    """
    if text is None:
        return Output()
    import csv  # only who names a place waits for it

    try:
        ((*pairs,),) = csv.reader([text])
    except (ValueError, csv.Error):
        pairs = []
    found = {key.strip(): value for key, equals, value in (pair.partition("=") for pair in pairs) if equals}
    if not found or len(found) != len(pairs):
        raise _unknown(text)
    for key in found:
        if key not in _KEYS:
            hint = f"; did you mean `{near}`?" if (near := nearest(key, _KEYS)) else ""
            raise InvalidArgument(f"`--output {text}` has the unknown key `{key}`{hint}; use {_FORMS}")
    return _output(text, found)


def _output(text: str, found: Mapping[str, str]) -> Output:
    dest, flags = (
        found.get("dest", ""),
        {key: found[key] == "true" for key in ("push", "tar") if key in found},
    )
    names = tuple(name.strip() for name in found.get("name", "").split(",") if name.strip())
    if any(found[key] not in ("true", "false") for key in flags):
        raise _unknown(text)
    match found.get("type"), dest:
        case "docker", "":
            return Output("docker", names=names)
        case (("docker" | "docker-archive"), str(place)) if place:
            return Output("docker-archive", place, names)
        case "oci", str(place) if place:
            is_tar = place == STDOUT or place.endswith(".tar")
            return Output("oci-archive" if flags.get("tar", is_tar) else "oci", place, names)
        case "oci-archive", str(place) if place:
            return Output("oci-archive", place, names)
        case "registry", place:
            return Output("registry", names=(*names, *([place] if place else [])))
        case "image", "":
            return Output("registry" if flags.get("push") else "docker", names=names)
    raise _unknown(text)


def _unknown(text: str) -> InvalidArgument:
    return InvalidArgument(f"`--output {text}` is not known; use {_FORMS}")
