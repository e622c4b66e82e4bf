"""The runtime that goes into each bento: this package as a wheel whose bytes depend on nothing but its content."""

from __future__ import annotations

import io
import os
import re
import zipfile
from base64 import urlsafe_b64encode
from collections.abc import Iterator
from hashlib import sha256
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path
from typing import NamedTuple

from ...exceptions import BentoMLException

__all__ = ["Wheel", "runtime_requirements", "runtime_wheel"]

_PACKAGE = Path(__file__).resolve().parents[2]
_WHEEL = "Wheel-Version: 1.0\nGenerator: bentoml\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
_METADATA = ("METADATA", "entry_points.txt")
_EPOCH = (1980, 1, 1, 0, 0, 0)  # the first moment that a zip file can tell
_EXTRA = re.compile(r"""\bextra\s*==\s*['"]([^'"]+)['"]""")
_SELF = re.compile(r"bentoml\[([^\]]*)\]")
_BUILD_ONLY = re.compile(r"(uv)\b")  # 60 MB that no service calls: an image serves, it builds nothing


class Wheel(NamedTuple):
    """A wheel as a file: its name and its bytes."""

    name: str
    data: bytes


def runtime_wheel(package: Path = _PACKAGE) -> Wheel:
    """Return the running `bentoml` as a wheel: the modules of ``package`` and the metadata of what is installed.

    An ordinary and an editable installation of the same source give the same bytes. Members are stored, not
    compressed: what deflate makes of them differs between versions of zlib.

    Raises:
        BentoMLException: `bentoml` is not installed, only found on the path.
    """
    installed = _distribution()
    stem = f"bentoml-{installed.version}"
    files = dict(sorted([*_modules(package), *_metadata(installed, f"{stem}.dist-info")]))
    record = f"{stem}.dist-info/RECORD"
    lines = [f"{name},sha256={_record_hash(data)},{len(data)}\n" for name, data in files.items()]
    files[record] = "".join([*lines, f"{record},,\n"]).encode()
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, data in files.items():
            member = zipfile.ZipInfo(name, _EPOCH)
            member.create_system = 3  # Unix, whatever this machine is
            member.external_attr = 0o100644 << 16
            archive.writestr(member, data)
    return Wheel(f"{stem}-py3-none-any.whl", buffer.getvalue())


def runtime_requirements(extras: frozenset[str] = frozenset()) -> tuple[str, ...]:
    """Return what the running `bentoml` requires to serve, with some of its extras, as requirement lines."""
    lines = [line for line in _distribution().requires or [] if not _BUILD_ONLY.match(line)]
    wanted = set(extras)
    for line in lines:  # an extra such as `all` names others
        match, extra = _SELF.match(line), _EXTRA.search(line)
        if match and extra and extra[1] in wanted:
            wanted.update(name.strip() for name in match[1].split(","))
    return tuple(
        sorted(
            _EXTRA.sub("python_version > '0'", line) if extra else line
            for line in lines
            if ((extra := _EXTRA.search(line)) is None or extra[1] in wanted) and not _SELF.match(line)
        )
    )


def _distribution() -> Distribution:
    try:
        return distribution("bentoml")
    except PackageNotFoundError as e:
        raise BentoMLException(
            "a bento holds the installed `bentoml`, which has no metadata here; run `pip install bentoml`"
        ) from e


def _modules(package: Path) -> Iterator[tuple[str, bytes]]:
    top = len(f"{package.parent}{os.sep}")
    for folder, folders, names in os.walk(package):
        folders[:] = [name for name in folders if name != "__pycache__" and not name.startswith(".")]
        for name in names:
            if not name.startswith("."):
                path = f"{folder}{os.sep}{name}"
                with open(path, "rb", buffering=0) as file:
                    yield path[top:].replace(os.sep, "/"), file.read()


def _metadata(installed: Distribution, folder: str) -> Iterator[tuple[str, bytes]]:
    licenses = [f"licenses/{name}" for name in installed.metadata.get_all("License-File") or []]
    for name in [*_METADATA, *licenses]:
        text = installed.read_text(name)
        if text is None:
            raise BentoMLException(f"the installed `bentoml` lacks its {name}; install it again")
        if name == "METADATA":
            text = text.partition("\n\n")[0] + "\n"  # the README after it is no part of what runs
        yield f"{folder}/{name}", text.encode()
    yield f"{folder}/WHEEL", _WHEEL.encode()


def _record_hash(data: bytes) -> str:
    return urlsafe_b64encode(sha256(data).digest()).rstrip(b"=").decode()
