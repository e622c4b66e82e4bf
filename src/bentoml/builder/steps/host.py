"""What this machine hands over to the steps, so that they reach what it reaches: proxies and certificate authorities."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ...store.archives.tar import TarEntry
from .model import FILES

__all__ = ["Handed", "handed_over"]

_PROXIES = ("http_proxy", "https_proxy", "ftp_proxy", "all_proxy", "no_proxy")
_SAID = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "PIP_CERT")
_BUNDLES = (Path("/etc/ssl/certs/ca-certificates.crt"), Path("/etc/pki/tls/certs/ca-bundle.crt"))
_READERS = (
    "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "PIP_CERT", "GIT_SSL_CAINFO", "NODE_EXTRA_CA_CERTS",
)  # fmt: skip
_CA, _APT = f"{FILES}/ca.crt", f"{FILES}/apt.conf"
_QUIET = {
    "HOME": "/root",
    "PIP_DISABLE_PIP_VERSION_CHECK": "1",
    "PIP_NO_CACHE_DIR": "1",
    "PYTHONDONTWRITEBYTECODE": "1",
    "UV_NO_CACHE": "1",
}


@dataclass(frozen=True, slots=True)
class Handed:
    """Variables and files for the time of the steps; none of them stays in the image."""

    env: Mapping[str, str]
    files: tuple[TarEntry, ...]


def handed_over(env: Mapping[str, str], *, bundles: tuple[Path, ...] = _BUNDLES) -> Handed:
    """Return what the steps are given of a machine whose environment is ``env``."""
    proxies = {name: value for name, value in env.items() if name.lower() in _PROXIES and value}
    said = (Path(env[name]) for name in _SAID if env.get(name))
    bundle = next((path for path in (*said, *bundles) if path.is_file()), None)
    if bundle is None:
        return Handed({**_QUIET, **proxies}, ())
    files = (
        TarEntry.file(_CA, bundle.read_bytes()),
        TarEntry.file(_APT, f'Acquire::https::CAInfo "/{_CA}";\n'.encode()),
    )
    readers = dict.fromkeys(_READERS, f"/{_CA}")
    return Handed({**_QUIET, **proxies, **readers, "APT_CONFIG": f"/{_APT}"}, files)
