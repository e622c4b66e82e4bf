"""Where a base image is, as its reference says: in a registry, or where a scheme before it names another place. Pure."""

from __future__ import annotations

from ....exceptions import InvalidArgument
from ....registry.reference import Reference
from ...build_file.fields import CONTROL

__all__ = ["scheme_of"]

_WRITTEN = {
    "docker": "`docker://NAME:TAG`",
    "oci": "`oci:FOLDER`",
    "oci-archive": "`oci-archive:FILE`",
    "docker-archive": "`docker-archive:FILE`",
    "rootfs": "`rootfs:FOLDER` or `rootfs:FILE.tar`",
    "debs": "`debs:SUITE`",
}
_LONGEST = 10_000  # characters


def scheme_of(reference: str) -> tuple[str, str]:
    """Split a reference into its scheme, which is empty for a registry, and the rest, which names something.

    `docker:TAG` without slashes is an image of that name in a registry.

    Raises:
        InvalidArgument: it names nothing, or cannot be understood.
    """
    if CONTROL.search(reference) or len(reference) > _LONGEST:
        raise InvalidArgument(
            f"`{ascii(reference[:100])[1:-1]}...` is no base image: it is too long, or more than a line of text"
        )
    scheme, _, rest = reference.partition(":")
    if scheme in _WRITTEN and rest.removeprefix("//")[:1] in ("", ":"):
        raise InvalidArgument(f"`{reference}` does not say which image; write {_WRITTEN[scheme]}")
    if scheme in _WRITTEN and (scheme != "docker" or rest.startswith("//")):
        return scheme, rest.removeprefix("//") if scheme == "docker" else rest
    Reference.parse(reference)
    return "", reference
