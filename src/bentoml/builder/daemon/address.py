"""Where the engine is: what `DOCKER_HOST` says, else the context that the docker command uses, else on this machine.

https://docs.docker.com/engine/manage-resources/contexts/
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

from ...exceptions import BentoMLException

__all__ = ["Address", "address_of"]

_DEFAULT = "unix:///var/run/docker.sock"
_UNIX = "unix:///"
_NO_CONTEXT = ("", "default")
_CERTIFICATE = "cert.pem"


class Address(NamedTuple):
    """The address of an engine; ``variables`` are those that the docker SDK reads besides, for what the context says of TLS."""

    host: str
    variables: Mapping[str, str]

    @property
    def socket(self) -> str | None:
        """The path of its socket on this machine, if it has one."""
        return self.host.removeprefix("unix://") if self.host.startswith(_UNIX) else None


def address_of(env: Mapping[str, str]) -> Address:
    """Return where the engine is that ``env`` means.

    Raises:
        BentoMLException: the docker command's configuration cannot be read, or names a context that is not there.
    """
    folder = env.get("DOCKER_CONFIG") or (f"{env['HOME']}/.docker" if env.get("HOME") else "")
    if (host := env.get("DOCKER_HOST")) or not folder:
        return Address(host or _DEFAULT, {})
    file = Path(folder, "config.json")
    name = env.get("DOCKER_CONTEXT") or str(_read(file).get("currentContext") or "")
    return Address(_DEFAULT, {}) if name in _NO_CONTEXT else _of_context(name, Path(folder, "contexts"))


def _of_context(name: str, folder: Path) -> Address:
    place = sha256(name.encode()).hexdigest()
    endpoint: object = _read(folder / "meta" / place / "meta.json")
    for key in ("Endpoints", "docker"):
        endpoint = endpoint.get(key) if isinstance(endpoint, dict) else None
    host = endpoint.get("Host") if isinstance(endpoint, dict) else None
    if not isinstance(host, str) or not host or not isinstance(endpoint, dict):
        raise BentoMLException(
            f"docker's context `{name}` is not there, or names no engine; `docker context ls` shows which there are; "
            "take one of them by `docker context use`, or set `DOCKER_HOST`"
        )
    certificates = folder / "tls" / place / "docker"
    if not (certificates / _CERTIFICATE).is_file():
        return Address(host, {})
    verify = "" if endpoint.get("SkipTLSVerify") else "1"
    return Address(host, {"DOCKER_CERT_PATH": str(certificates), "DOCKER_TLS_VERIFY": verify})


def _read(file: Path) -> Mapping[str, object]:
    """Return what a JSON file says; nothing where there is none."""
    try:
        value = json.loads(file.read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except (OSError, ValueError) as e:
        raise BentoMLException(
            f"docker's file `{file}` cannot be read: {e}; mend it, or set `DOCKER_HOST`"
        ) from e
    return value if isinstance(value, dict) else {}
