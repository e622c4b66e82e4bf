"""apt as a resolver: which packages a suite has to offer, from the mirrors that this machine trusts.

apt works on a state folder of its own, so nothing of the machine's is changed and no rights are needed. It checks the
signature of the suite and the hash of every package.
"""

from __future__ import annotations

import platform
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote

from ....exceptions import BentoMLException, InvalidArgument
from ....paths import write_atomic
from ....process import CommandFailed, run
from ....store.digest import Digest
from ....store.locks import locked

__all__ = ["ARCHITECTURES", "Apt", "Package", "is_off", "recalled", "sources_of", "stanzas_of", "written"]

_POCKETS = ("", "-updates", "-security", "/updates")
_NAME = re.compile(r"[a-z0-9][a-z0-9.+-]+(:[a-z0-9-]+)?(=[A-Za-z0-9][A-Za-z0-9.+:~-]*)?\Z")
_URI = re.compile(r"'[^']*' (\S+)_(\S+)_(\S+)\.deb (\d+) SHA256:([0-9a-f]{64})\Z")
ARCHITECTURES = {
    "amd64": "amd64",
    "arm64": "arm64",
    "386": "i386",
    "arm": "armhf",
    "ppc64le": "ppc64el",
    "riscv64": "riscv64",
    "s390x": "s390x",
}
_SPACE = 200 << 20  # bytes: the lists of a suite, and the packages
_TIMEOUT = 600.0


class Package(NamedTuple):
    """One package, exactly: ``str()`` gives ``name=version=sha256``."""

    name: str
    version: str
    architecture: str
    size: int
    digest: Digest

    @property
    def file_name(self) -> str:
        """What apt calls the file in its archive folder."""
        return f"{self.name}_{self.version.replace(':', '%3a')}_{self.architecture}.deb"

    def __str__(self) -> str:
        return f"{self.name}={self.version}={self.digest.hex}"

    def fields(self) -> list[object]:
        """Return the package as plain JSON, which `recalled` reads."""
        return [self.name, self.version, self.architecture, self.size, str(self.digest)]


def recalled(record: Mapping[str, object]) -> tuple[Package, ...]:
    """Return the ``packages`` of a record that was written from their `Package.fields`."""
    rows = record["packages"]
    assert isinstance(rows, list)  # as it was written
    return tuple(
        Package(name, version, arch, size, Digest.parse(digest)) for name, version, arch, size, digest in rows
    )


class Apt(NamedTuple):
    """apt for one suite and architecture; ``folder`` keeps its lists and packages, ``etc`` is where sources are read.

    Packages named in ``provided`` are taken for installed, so that nothing is fetched for their sake; ``installed`` is a
    status file of dpkg with those that are. ``sources`` stand in the place of the machine's own, whose keys lie in
    ``trusted``; ``purpose`` says in errors what it is all for. With less free ``space`` (bytes) it does not begin.
    One that is ``hasty`` asks a mirror once, and for seconds only: for what can be done without.
    """

    folder: Path
    suite: str
    architecture: str
    provided: tuple[str, ...]
    env: Mapping[str, str]
    etc: Path = Path("/etc/apt")
    space: int = _SPACE
    installed: str = ""
    sources: str = ""
    trusted: Path | None = None
    purpose: str = ""
    hasty: bool = False

    def resolve(self, packages: Sequence[str]) -> tuple[Package, ...]:
        """Return these packages and all that they depend on, as the mirrors have them now; sorted by name.

        Raises:
            InvalidArgument: a name is not that of a package.
            BentoMLException: there is no apt, no source for the suite, no such package, or no answer.
        """
        if bad := [name for name in packages if not _NAME.match(name)]:
            raise InvalidArgument(f"`{bad[0]}` is not the name of a Debian package")
        with self._prepared():
            self._run("update", "-o", "APT::Update::Error-Mode=any")
            listing = self._run("install", "--print-uris", "-o", "Acquire::ForceHash=SHA256", "--", *packages)
        return tuple(sorted(_parsed(listing)))

    def download(self, packages: Sequence[Package], folder: Path) -> list[Path]:
        """Fetch exactly these packages into a folder of the caller's own, each checked by apt; their files in order."""
        (folder / "partial").mkdir(parents=True)
        with self._prepared():
            wanted = [f"{p.name}={p.version}" for p in packages]
            self._run("install", "--download-only", "-o", f"Dir::Cache::archives={folder}", "--", *wanted)
        return [folder / package.file_name for package in packages]

    @contextmanager
    def _prepared(self) -> Iterator[None]:
        """Keep other processes out of apt's private state, and write it."""
        sources = self.sources or sources_of(self.suite, etc=self.etc, codename=_codename())
        (self.folder / "lists/partial").mkdir(parents=True, exist_ok=True)
        if (
            free := shutil.disk_usage(self.folder).free
        ) < self.space:  # apt tries for minutes before it says so
            raise BentoMLException(
                f"`{self.folder}` has {free >> 20} MiB of free space, and apt needs {self.space >> 20}; free some"
            )
        with locked(self.folder / "busy"):
            write_atomic(self.folder / "debian.sources", sources.encode())
            write_atomic(self.folder / "status", (self.installed + _status(self.provided)).encode())
            yield

    def _run(self, command: str, *arguments: str) -> str:
        try:
            return run(
                ["apt-get", "-qq", "-y", *self._options(), command, *arguments],
                env={**self.env, "LC_ALL": "C", "DEBIAN_FRONTEND": "noninteractive"},
                timeout=_TIMEOUT,
            )
        except CommandFailed as e:
            if e.returncode == 127:
                raise BentoMLException(
                    f"`{self._purpose}` takes apt, which this machine does not have; "
                    "run on Debian or Ubuntu, or choose another base, such as `python:3.11-slim`"
                ) from e
            said = "\n".join(line for line in e.output.splitlines() if line.startswith("E: ")) or str(e)
            raise BentoMLException(f"apt could not {command} for `{self._purpose}`:\n{said}") from e

    @property
    def _purpose(self) -> str:
        return self.purpose or f"debs:{self.suite}"

    def _options(self) -> Iterator[str]:
        settings = {
            "Dir::State": self.folder,
            "Dir::State::status": self.folder / "status",
            "Dir::Cache": self.folder,
            "Dir::Etc::sourcelist": self.folder / "debian.sources",
            "Dir::Etc::sourceparts": "-",
            "Dir::Etc::preferences": "/dev/null",
            "Dir::Etc::preferencesparts": "/dev/null",
            "APT::Sandbox::User": "",
            "APT::Architecture": self.architecture,
            "APT::Architectures": self.architecture,
            "APT::Install-Recommends": "false",
            "APT::Get::AllowUnauthenticated": "false",
            "APT::Get::Remove": "false",
            "Acquire::AllowInsecureRepositories": "false",
            "Acquire::Languages": "none",
            "Acquire::Retries": "0" if self.hasty else "3",
            **({"Acquire::http::Timeout": "5", "Acquire::https::Timeout": "5"} if self.hasty else {}),
            "DPkg::Lock::Timeout": "60",  # what a killed process left may still be at work
        }
        if self.trusted is not None:
            settings |= {"Dir::Etc::trusted": "/dev/null", "Dir::Etc::trustedparts": self.trusted}
        for key, value in settings.items():
            yield "-o"
            yield f"{key}={value}"


def sources_of(suite: str, *, etc: Path, codename: str) -> str:
    """Return the machine's own package sources, in deb822 form, narrowed to one suite and its updates.

    Where the suite is not configured, the sources of the machine's own release (``codename``) are used with the other
    suite's name: mirrors hold all of them, and apt checks the signature in any case.
    """
    stanzas = list(stanzas_of(etc))
    for own in (suite, codename):
        renamed = {own + pocket: suite + pocket for pocket in _POCKETS}
        found = [narrowed for stanza in stanzas if (narrowed := _narrowed(stanza, renamed))]
        if found and own:
            return "\n".join(written(stanza) for stanza in found)
    raise BentoMLException(
        f"`{etc}` names no package source for `{suite}`, nor for the release of this machine; "
        "add one, or choose another base, such as `python:3.11-slim`"
    )


def stanzas_of(etc: Path) -> Iterator[dict[str, str]]:
    """Yield each package source of a configuration of apt, in deb822 form."""
    parts = etc / "sources.list.d"
    for file in sorted(parts.glob("*.sources")):
        for block in re.split(r"\n[ \t]*\n", file.read_text()):
            yield _deb822(block)
    for file in (etc / "sources.list", *sorted(parts.glob("*.list"))):
        if file.is_file():
            yield from map(_one_line, file.read_text().splitlines())


def _deb822(block: str) -> dict[str, str]:
    stanza: dict[str, str] = {}
    key = ""
    for line in block.splitlines():
        if line.startswith("#"):
            continue
        if line[:1].isspace():
            stanza[key] += "\n" + line
        elif ":" in line:
            key, _, value = line.partition(":")
            key = key.title()
            stanza[key] = value.strip()
    return stanza


def _one_line(line: str) -> dict[str, str]:
    """Parse ``deb [option=value ...] uri suite component ...``."""
    match = re.match(r"\s*deb\s+(?:\[([^]]*)\]\s+)?(\S+)\s+(\S+)\s+([^#]+)", line)
    if match is None:
        return {}
    options, uri, suite, components = match.groups(default="")
    pairs = dict(option.split("=", 1) for option in options.split() if "=" in option)
    return {"Types": "deb", "Uris": uri, "Suites": suite, "Components": components.strip()} | {
        key.title(): value.replace(",", " ") for key, value in pairs.items() if key != "arch"
    }


def _narrowed(stanza: Mapping[str, str], renamed: Mapping[str, str]) -> dict[str, str] | None:
    suites = [renamed[suite] for suite in stanza.get("Suites", "").split() if suite in renamed]
    if not suites or is_off(stanza):
        return None
    return {**stanza, "Types": "deb", "Suites": " ".join(suites)}


def is_off(stanza: Mapping[str, str]) -> bool:
    """Say whether a source is disabled, or one of source code alone."""
    disabled = stanza.get("Enabled", "yes").lower() in ("no", "false", "0", "off", "disable", "without")
    return disabled or "deb" not in stanza.get("Types", "").split()


def written(stanza: Mapping[str, str]) -> str:
    """Return a source as it stands in a deb822 file, for whatever architecture."""
    kept = {key: value for key, value in stanza.items() if key != "Architectures"}
    return "".join(f"{key}: {value}\n" for key, value in kept.items())


def _status(provided: Sequence[str]) -> str:
    return "".join(
        f"Package: {name}\nStatus: install ok installed\nVersion: 9999\nArchitecture: all\n"
        "Multi-Arch: foreign\nMaintainer: none\nDescription: not needed without maintainer scripts\n\n"
        for name in provided
    )


def _codename() -> str:
    try:
        return platform.freedesktop_os_release().get("VERSION_CODENAME", "")
    except OSError:
        return ""


def _parsed(listing: str) -> Iterator[Package]:
    for line in listing.splitlines():
        if match := _URI.match(line.strip()):
            name, version, architecture, size, digest = match.groups()
            yield Package(name, unquote(version), architecture, int(size), Digest(digest))
        elif line.startswith("'"):
            raise BentoMLException(f"apt named a package without a SHA256: `{line}`")
