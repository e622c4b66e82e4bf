"""The machines that packages are locked for."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from ...exceptions import InvalidArgument
from ..docker.cuda import libc_of

__all__ = ["LockPlatform", "requirements_file"]

# The C library of the distribution's default base image decides which wheels run in it: Debian 12, the oldest that
# `python:X.Y-slim` stands for, has glibc 2.36, UBI 8 has 2.28, Amazon Linux 2 has 2.26; Alpine has musl.
_LIBC = {
    "debian": "manylinux_2_36",
    "ubi8": "manylinux_2_28",
    "amazonlinux": "manylinux_2_17",
    "alpine": "unknown-linux-musl",
}
_MACHINES = {"amd64": "x86_64", "arm64": "aarch64", "x86_64": "x86_64", "aarch64": "aarch64"}
_PLATFORM = re.compile(
    r"(?P<machine>x86_64|aarch64)-(?P<libc>manylinux_2_\d\d|manylinux2014|unknown-linux-(gnu|musl))"
)
_TAG = re.compile(r"(?P<libc>many|musl)linux_\d+_(?P<minor>\d+)_(?P<machine>\w+)")
_OLD_TAGS, _OLD_LIBCS = re.compile(r"^manylinux(1|2010|2014)(_|$)"), {"1": "5", "2010": "12", "2014": "17"}


class LockPlatform(NamedTuple):
    """A machine that packages are chosen for; ``str()`` is the name that uv and `bentoml build --platform` use."""

    machine: str
    libc: str

    @classmethod
    def parse(cls, text: str, *, distro: str = "debian", cuda_version: str = "") -> LockPlatform:
        """Parse ``linux``, ``linux/arm64`` or ``aarch64-manylinux_2_36``; without a C library it is that of the base image.

        Raises:
            InvalidArgument: the text names none of these; a bento runs in a Linux image.
        """
        match = _PLATFORM.fullmatch(text)
        if match:
            return cls(match["machine"], match["libc"])
        os, _, machine = text.partition("/")
        if os != "linux" or (machine or "amd64") not in _MACHINES:
            raise InvalidArgument(
                f"platform `{text}` is not supported: a bento runs in a Linux image; use `linux/amd64`, `linux/arm64`, or "
                "with a C library `x86_64-manylinux_2_36` or `aarch64-unknown-linux-musl`"
            )
        libc = libc_of(cuda_version) if cuda_version and distro == "debian" else _LIBC[distro]
        return cls(_MACHINES[machine or "amd64"], libc)

    @classmethod
    def parse_all(
        cls, text: str, *, distro: str = "debian", cuda_version: str = ""
    ) -> tuple[LockPlatform, ...]:
        """Parse one or more of them with commas between.

        Raises:
            InvalidArgument: one is none of these, or two are for the same kind of machine.
        """
        found = [
            cls.parse(part.strip(), distro=distro, cuda_version=cuda_version) for part in text.split(",")
        ]
        machines = [platform.image for platform in found]
        for machine in machines:
            if machines.count(machine) > 1:
                raise InvalidArgument(f"`--platform {text}` names `{machine}` more than once")
        return tuple(found)

    @property
    def image(self) -> str:
        """The platform as images name it: ``linux/amd64``."""
        return f"linux/{'amd64' if self.machine == 'x86_64' else 'arm64'}"

    def runs(self, tag: str) -> bool:
        """Say whether a wheel with this platform tag (``any``, ``manylinux_2_17_x86_64``) can be used on this machine."""
        if tag in ("any", f"linux_{self.machine}"):
            return True
        match = _TAG.fullmatch(_OLD_TAGS.sub(lambda old: f"manylinux_2_{_OLD_LIBCS[old[1]]}_", tag))
        if (
            match is None
            or match["machine"] != self.machine
            or (match["libc"] == "musl") != ("musl" in self.libc)
        ):
            return False
        newest = _OLD_TAGS.sub("manylinux_2_17", self.libc).removeprefix("manylinux_2_")
        return match["libc"] == "musl" or not newest.isdecimal() or int(match["minor"]) <= int(newest)

    def __str__(self) -> str:
        return f"{self.machine}-{self.libc}"


def requirements_file(platform: str, platforms: Sequence[str]) -> str:
    """Return where a bento for some ``platforms`` (as images name them) has the packages of one: the first has the plain name."""
    name = f"-{platform.replace('/', '-')}" if platform != platforms[0] else ""
    return f"env/python/requirements{name}.txt"
