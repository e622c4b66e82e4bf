"""Files that hardly belong into a bento: those that look like secrets, by their names and first bytes."""

from __future__ import annotations

from collections.abc import Iterable
from fnmatch import fnmatchcase

from .files import SourceFile

__all__ = ["secrets_among"]

_NAMES = (
    ".env", ".env.*", "*.env", "*.pem", "*.key", "*.p12", "*.pfx", "*.jks", "*.kdbx", "*.ppk", "id_rsa", "id_dsa",
    "id_ecdsa", "id_ed25519", ".netrc", "_netrc", ".pypirc", ".npmrc", ".git-credentials", ".htpasswd", ".pgpass",
    "credentials.json", "client_secret*.json", "service[-_]account*.json", "kubeconfig", "*.tfstate",
)  # fmt: skip
_PLACES = (".aws/credentials", ".docker/config.json", ".kube/config", ".ssh/*", ".gnupg/*")
_HARMLESS = ("*.example", "*.sample", "*.template", "*.dist", "*.pub")
_HEAD = 64 << 10


def secrets_among(files: Iterable[SourceFile]) -> list[str]:
    """Return the paths of files that look like secrets; a certificate without a private key is none."""
    return [file.path for file in files if _is_suspect(file.path) and not _is_public(file)]


def _is_suspect(path: str) -> bool:
    lower = path.lower()
    name = lower.rpartition("/")[2]
    if any(fnmatchcase(name, pattern) for pattern in _HARMLESS):
        return False
    places = (pattern for start in _PLACES for pattern in (start, f"*/{start}"))
    return any(fnmatchcase(name, pattern) for pattern in _NAMES) or any(
        fnmatchcase(lower, place) for place in places
    )


def _is_public(file: SourceFile) -> bool:
    try:
        with file.origin.open("rb") as opened:
            head = opened.read(_HEAD)
    except OSError:
        return False
    return b"-----BEGIN CERTIFICATE-----" in head and b"PRIVATE KEY" not in head
