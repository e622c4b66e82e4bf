"""Places: which repository and tag of which registry a person means, and what that is called by default.

An item has its home at ``<registry>/<name>:<version>``, where the registry (a host, or a host and the beginning of a
repository) is given, or stands in ``BENTOML_REGISTRY``.
"""

from __future__ import annotations

from collections.abc import Mapping

from ..exceptions import BentoMLException, InvalidArgument
from ..tag import Tag
from .reference import Reference

__all__ = ["checked_tag", "home_of", "pull_place", "push_place"]

_VARIABLE = "BENTOML_REGISTRY"
_EXAMPLE = "`registry.example.com/team` or `localhost:5000`"


def push_place(tag: Tag, repository: str | None, registry: str | None, env: Mapping[str, str]) -> Reference:
    """Return where an item goes: to ``repository`` (``HOST/REPO[:TAG]``), or to its home in the registry.

    Raises:
        InvalidArgument: the text names no place.
        BentoMLException: no registry is named.
    """
    if repository is None:
        return home_of(
            tag.name, tag.version or "latest", _registry(registry, env, f"push {tag} HOST/REPOSITORY")
        )
    if "/" not in repository.removesuffix("/").partition("://")[2 if "://" in repository else 0]:
        return home_of(tag.name, tag.version or "latest", repository)
    place = _named(repository)
    if place.digest is not None:
        raise InvalidArgument(f"`{repository}` has a digest, which follows from what is pushed; leave it out")
    named = place.tag if _has_tag(repository) else None
    return place._replace(tag=named or tag.version or "latest")


def pull_place(text: str, registry: str | None, env: Mapping[str, str]) -> Reference:
    """Return where something comes from: ``HOST/REPO[:TAG][@DIGEST]``, or ``NAME[:TAG]``, ``NAME@ALIAS`` at its home.

    Raises:
        InvalidArgument: the text names no place.
        BentoMLException: it does not name a registry, and none is configured.
    """
    if "/" in text:
        return _named(text)
    name, _, version = text.replace("@", ":", 1).partition(":")
    return home_of(name, version or "latest", _registry(registry, env, f"HOST/{text}"))


def home_of(name: str, version: str, registry: str) -> Reference:
    """Return the place of an item in a registry.

    Raises:
        InvalidArgument: it has none there, as repositories are named by stricter rules.
    """
    base = registry.rstrip("/")
    try:
        return _named(f"{base}/{name}:{version}")
    except InvalidArgument as e:
        raise InvalidArgument(
            f"`{base}/{name}:{version}` is no place in a registry; a registry looks like {_EXAMPLE}, and another name can be "
            f"given for the repository: HOST/REPOSITORY"
        ) from e


def checked_tag(tag: str) -> str:
    """Return a tag of a repository.

    Raises:
        InvalidArgument: it is none.
    """
    try:
        Reference.parse(f"localhost/x:{tag}")
    except InvalidArgument as e:
        raise InvalidArgument(
            f"`{tag}` is no tag for a registry: it has up to 128 letters, digits, `_`, `.` and `-`"
        ) from e
    return tag


def _named(text: str) -> Reference:
    """Parse a reference whose registry is written: none is meant by default."""
    place = Reference.parse(text)
    host = text.rpartition("://")[2].partition("/")[0]
    if host != place.host:
        raise InvalidArgument(
            f"`{text}` does not name a registry before its first `/`; write it as {_EXAMPLE}"
        )
    return place


def _has_tag(text: str) -> bool:
    return ":" in text.rpartition("/")[2]


def _registry(given: str | None, env: Mapping[str, str], place: str) -> str:
    if found := given or env.get(_VARIABLE):
        return found
    raise BentoMLException(
        f"no registry is named: write `{place}`, give `--registry HOST[/PATH]`, or set {_VARIABLE}, for example to "
        f"{_EXAMPLE}. There is no BentoCloud here: any OCI registry keeps models and bentos, and `docker login HOST` "
        "logs in to it"
    )
