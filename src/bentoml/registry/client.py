"""Registries: the client side of the OCI distribution specification."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from urllib.parse import urlsplit

from ..exceptions import BentoMLException, NotFound, ServiceUnavailable
from ..store.digest import Digest
from .auth import credentials_for, fetch_token, parse_challenge
from .documents import MAX_DOCUMENT, Descriptor, MediaType
from .reference import DEFAULT_HOST, Reference
from .transport import Answer, Transport

__all__ = ["Registry"]

_DEFAULT_ENDPOINT = "registry-1.docker.io"
_ACCEPTED = (
    MediaType.INDEX,
    MediaType.MANIFEST,
    MediaType.DOCKER_INDEX,
    MediaType.DOCKER_MANIFEST,
)


class Registry:
    """One repository of one registry, spoken to over ``transport``; it logs in when it is asked to."""

    def __init__(self, reference: Reference, *, env: Mapping[str, str], transport: Transport) -> None:
        self.host = reference.host
        self.repository = reference.repository
        self._endpoint = _DEFAULT_ENDPOINT if self.host == DEFAULT_HOST else self.host
        self._root = f"{'http' if reference.plain_http or _is_loopback(self._endpoint) else 'https'}://{self._endpoint}"
        self._env = env
        self._transport = transport
        self._authorization: str | None = None

    def manifest(self, tag: str | Digest) -> tuple[Descriptor, bytes]:
        """Return a manifest or an index and its descriptor; asked for by digest, it has that digest.

        Raises:
            NotFound: the registry has no such image, or does not show it to us.
            ServiceUnavailable: it cannot be reached.
            BentoMLException: what it gives is not what was asked for.
        """
        with self._get(f"manifests/{tag}", {"Accept": ", ".join(_ACCEPTED)}) as answer:
            data = answer.read(MAX_DOCUMENT)
            media_type = answer.headers.get("content-type", MediaType.MANIFEST).partition(";")[0].strip()
        digest = Digest.of(data)
        if isinstance(tag, Digest) and digest != tag:
            raise BentoMLException(f"registry `{self.host}` gave `{digest}` when asked for `{tag}`")
        return Descriptor(media_type, digest, len(data)), data

    def blob(self, descriptor: Descriptor) -> Iterator[bytes]:
        """Yield a blob as it arrives, going on where the connection broke; whoever keeps it checks its digest.

        Raises:
            NotFound: the registry does not have it.
            ServiceUnavailable: the registry cannot be reached, or the connection breaks again and again.
        """
        done = attempt = 0
        while done < descriptor.size:
            before = done
            try:
                for chunk in self._rest_of_blob(descriptor, done):
                    done += len(chunk)
                    yield chunk
                if done < descriptor.size:
                    raise ServiceUnavailable(
                        f"registry `{self.host}` ended `{descriptor.digest}` after {done} of {descriptor.size} bytes"
                    )
            except ServiceUnavailable:
                attempt = 1 if done > before else attempt + 1
                if not self._transport.wait(attempt):
                    raise

    def _rest_of_blob(self, descriptor: Descriptor, start: int) -> Iterator[bytes]:
        with self._get(f"blobs/{descriptor.digest}", {"Range": f"bytes={start}-"} if start else {}) as answer:
            skip = 0 if answer.status == 206 else start
            for chunk in answer.chunks():
                if skip < len(chunk):
                    yield chunk[skip:]
                skip = max(0, skip - len(chunk))

    @contextmanager
    def _get(self, path: str, headers: Mapping[str, str]) -> Iterator[Answer]:
        """Open the answer to a request that succeeded, after logging in where the registry asks for it."""
        url = f"{self._root}/v2/{self.repository}/{path}"
        for last in (False, True):
            with self._transport.send("GET", url, self._with_authorization(headers)) as answer:
                if answer.status == 401 and not last and not answer.is_from_elsewhere:
                    self._log_in(answer)
                    continue
                self._check(answer, path)
                yield answer
                return

    def _with_authorization(self, headers: Mapping[str, str]) -> dict[str, str]:
        return {**headers, **({"Authorization": self._authorization} if self._authorization else {})}

    def _log_in(self, answer: Answer) -> None:
        challenge = parse_challenge(answer.headers.get("www-authenticate", ""))
        credentials = credentials_for(self.host, self._env)
        if challenge.scheme == "bearer":
            token = fetch_token(self._transport, challenge, self._root, credentials)
            self._authorization = f"Bearer {token}"
        elif challenge.scheme == "basic" and credentials is not None:
            self._authorization = credentials.basic

    def _check(self, answer: Answer, path: str) -> None:
        match answer.status:
            case 200 | 206:
                return
            case 401 | 403:
                raise NotFound(
                    f"registry `{self.host}` does not show `{self.repository}` to us (status {answer.status}); "
                    f"check the name, or `docker login {self.host}`"
                )
            case 404:
                kind, _, name = path.partition("/")
                missing = (
                    f"image `{self.repository}:{name}`"
                    if kind == "manifests" and ":" not in name
                    else f"`{name}` in `{self.repository}`"
                )
                raise NotFound(f"registry `{self.host}` has no {missing}; check the name and the tag")
            case status:
                raise ServiceUnavailable(f"registry `{self.host}` answered {status} for `{path}`")


def _is_loopback(host: str) -> bool:
    name = urlsplit(f"//{host}").hostname or ""
    try:
        return name == "localhost" or ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False
