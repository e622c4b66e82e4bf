"""Wheels that a project brings: the same content is the same bytes, whatever tool, umask or clock made the file."""

from __future__ import annotations

import re
import zipfile
from base64 import urlsafe_b64encode
from collections.abc import Iterable
from hashlib import sha256
from io import BytesIO
from pathlib import Path
from typing import NamedTuple

from ...exceptions import BentoMLException
from ...store.digest import Digest
from .lock_platform import LockPlatform

__all__ = ["PackedWheel", "fitting", "normalized", "packed_wheel"]

_NAME = re.compile(
    r"(?P<name>[A-Za-z0-9][\w.]*)-(?P<version>[\w.!+]+)(-\d[\w.]*)?-(?P<tag>[\w.]+-[\w.]+-[\w.]+)\.whl",
    re.ASCII,
)
_OLDER, _OLD_ABI = re.compile(r"(py|cp)3(\d+)"), {"py": "none", "cp": "abi3"}
_EPOCH = (1980, 1, 1, 0, 0, 0)  # the first moment that a zip file can tell
_GENERATOR = re.compile(rb"^Generator:.*\n", re.MULTILINE)
_MAX_BYTES = 4 << 30


class PackedWheel(NamedTuple):
    """A wheel that lies in a file: of which requirement it is, and what the lock knows it by.

    ``identity`` is a commit, or the content of a folder: its wheel another version of a build tool may make differently.
    """

    file: Path
    identity: str
    extras: str = ""
    marker: str = ""

    @property
    def name(self) -> str:
        """The name of the package, as indexes normalize it."""
        return re.sub(r"[-_.]+", "-", self.file.name.partition("-")[0]).lower()

    @property
    def version(self) -> str:
        """The version in the file's name."""
        return self.file.name.split("-")[1]

    @property
    def requirement(self) -> str:
        """The requirement line that means this file."""
        extras = f"[{self.extras}]" if self.extras else ""
        return f"{self.name}{extras} @ {self.file.as_uri()}" + (f" ; {self.marker}" if self.marker else "")


def fitting(wheels: Iterable[PackedWheel], platform: LockPlatform, python: str) -> tuple[PackedWheel, ...]:
    """Return the wheels that a machine with a Python (``3.11``) can install: of each package there has to be one.

    Raises:
        BentoMLException: those of a package are for other machines or Pythons.
    """
    wheels = tuple(wheels)
    found = tuple(
        wheel for wheel in wheels if _fits(wheel.file.name, platform, int(python.partition(".")[2]))
    )
    for wheel in wheels:
        if wheel.name not in {one.name for one in found}:
            raise BentoMLException(
                f"the wheel `{wheel.file.name}` cannot be installed by Python {python} on {platform}, for which the bento is"
            )
    return found


def _fits(name: str, platform: LockPlatform, minor: int) -> bool:
    """Say whether a wheel's tags (packaging.python.org, "platform compatibility tags") are among those of a machine."""
    match = _NAME.fullmatch(name)
    if match is None:
        return False
    pythons, abis, machines = (part.split(".") for part in match["tag"].split("-"))
    if not any(platform.runs(machine) for machine in machines):
        return False
    return any(
        (python == "py3" and abi == "none")
        or (python == f"cp3{minor}" and abi in ("none", "abi3", f"cp3{minor}"))
        or _runs_older(python, abi, minor)
        for python in pythons
        for abi in abis
    )


def _runs_older(python: str, abi: str, minor: int) -> bool:
    """Say whether a Python takes what was made for an older one: pure Python, and code that keeps to the stable ABI."""
    match = _OLDER.fullmatch(python)
    return match is not None and int(match[2]) <= minor and abi == _OLD_ABI[match[1]]


def packed_wheel(file: Path, *, said: str) -> PackedWheel:
    """Return a wheel file of a project; ``said`` is how the build file names it.

    Raises:
        BentoMLException: it is missing or no wheel.
    """
    if _NAME.fullmatch(file.name) is None:
        raise BentoMLException(
            f"`{said}` is not named as a wheel is, `name-version-python-abi-platform.whl`; take the name that it was built with"
        )
    if not file.is_file():
        raise BentoMLException(f"the wheel `{said}` is not there")
    if not zipfile.is_zipfile(file):
        raise BentoMLException(f"`{said}` is not a wheel: it is no zip archive")
    return PackedWheel(file, str(Digest.of_file(file)))


def normalized(file: Path) -> bytes:
    """Return a wheel that was built here as bytes that depend on its content alone.

    Raises:
        BentoMLException: it holds what only machines like this one can use.
    """
    match = _NAME.fullmatch(file.name)
    if match is None or not match["tag"].endswith("-none-any"):
        raise BentoMLException(
            f"`{file.name}` holds code that was compiled for this machine; build the wheel for the image's platform and name "
            "it in `python.wheels`"
        )
    with zipfile.ZipFile(file) as archive:
        members = {info.filename: info for info in archive.infolist() if not info.is_dir()}
        if sum(info.file_size for info in members.values()) > _MAX_BYTES:
            raise BentoMLException(
                f"`{file.name}` holds more than 4 GiB; keep large files in the model store"
            )
        contents = {name: archive.read(info) for name, info in members.items()}
        executable = {name for name, info in members.items() if (info.external_attr >> 16) & 0o100}
    record = next((name for name in contents if name.endswith(".dist-info/RECORD")), "")
    if not record:
        raise BentoMLException(f"`{file.name}` is not a wheel: it has no RECORD")
    about = record.replace("/RECORD", "/WHEEL")
    contents[about] = _GENERATOR.sub(b"Generator: bentoml\n", contents.get(about, b""))
    del contents[record]
    contents[record] = _record(contents, record)
    return _zipped(contents, executable)


def _zipped(contents: dict[str, bytes], executable: set[str]) -> bytes:
    """Members are stored, not compressed: what deflate makes of them differs between versions of zlib."""
    buffer = BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name in sorted(contents, key=lambda name: (name.endswith("/RECORD"), name)):
            member = zipfile.ZipInfo(name, _EPOCH)
            member.create_system = 3  # Unix, whatever this machine is
            member.external_attr = (0o100755 if name in executable else 0o100644) << 16
            archive.writestr(member, contents[name])
    return buffer.getvalue()


def _record(contents: dict[str, bytes], record: str) -> bytes:
    lines: Iterable[str] = (
        f"{_field(name)},sha256={_hash(data)},{len(data)}\n" for name, data in sorted(contents.items())
    )
    return "".join([*lines, f"{record},,\n"]).encode()


def _field(name: str) -> str:
    """Return a name as CSV has it."""
    return f'"{name.replace(chr(34), chr(34) * 2)}"' if "," in name or '"' in name else name


def _hash(data: bytes) -> str:
    return urlsafe_b64encode(sha256(data).digest()).rstrip(b"=").decode()
