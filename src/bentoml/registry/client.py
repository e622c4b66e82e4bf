"""Registries: the client side of the OCI distribution specification."""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from itertools import count
from urllib.parse import urljoin, urlsplit

from ..exceptions import BentoMLException, NotFound, ServiceUnavailable
from ..store.digest import Digest
from .auth import Challenge, Credentials, credentials_for, fetch_token, parse_challenge
from .documents import MAX_DOCUMENT, Descriptor, MediaType, parsed_document
from .pace import PROGRESS
from .reference import DEFAULT_HOST, Reference
from .refusals import refused, words_of
from .transport import Answer, Body, Transport, check_hop, is_loopback

__all__ = ["Registry"]

_DEFAULT_ENDPOINT = "registry-1.docker.io"
_ACCEPTED = (
    MediaType.INDEX,
    MediaType.MANIFEST,
    MediaType.DOCKER_INDEX,
    MediaType.DOCKER_MANIFEST,
)
_WRITING = ("POST", "PUT", "PATCH", "DELETE")


class Registry:
    """One repository of one registry, spoken to over ``transport``; it logs in when it is asked to.

    ``reads`` are further repositories that a login is to hold for: blobs are mounted from there. Several threads may
    use one.
    """

    def __init__(
        self,
        reference: Reference,
        *,
        env: Mapping[str, str],
        transport: Transport,
        reads: Iterable[str] = (),
    ) -> None:
        self.host = reference.host
        self.repository = reference.repository
        self._endpoint = _DEFAULT_ENDPOINT if self.host == DEFAULT_HOST else self.host
        plain = is_loopback(self._endpoint) if reference.plain_http is None else reference.plain_http
        self._root = f"{'http' if plain else 'https'}://{self._endpoint}"
        self._env = env
        self._transport = transport
        self._authorization: str | None = None
        self._scopes = [f"repository:{name}:pull" for name in reads]
        self._login = threading.Lock()

    @property
    def address(self) -> tuple[str, int]:
        """The host and the port that are dialled."""
        parts = urlsplit(self._root)
        return parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)

    # -- what is there

    def manifest(self, tag: str | Digest) -> tuple[Descriptor, bytes]:
        """Return a manifest or an index and its descriptor; asked for by digest, it has that digest.

        Raises:
            NotFound: the registry has no such image, or does not show it to us.
            ServiceUnavailable: it cannot be reached.
            BentoMLException: what it gives is not what was asked for.
        """
        media_type, data = self._whole_manifest(tag)
        digest = Digest.of(data)
        if isinstance(tag, Digest) and digest != tag:
            raise BentoMLException(f"registry `{self.host}` gave `{digest}` when asked for `{tag}`")
        return Descriptor(media_type, digest, len(data)), data

    def _whole_manifest(self, tag: str | Digest) -> tuple[str, bytes]:
        """Return a manifest and its media type, asking again where the connection broke in the middle of it."""
        attempt = 0
        while True:
            attempt += 1
            with self.ask("GET", f"manifests/{tag}", {"Accept": ", ".join(_ACCEPTED)}) as answer:
                try:
                    data = answer.read(MAX_DOCUMENT)
                except ServiceUnavailable:
                    if not self.wait(attempt):
                        raise
                    continue
                self._check_digest(answer, Digest.of(data))
                media_type = answer.headers.get("content-type", MediaType.MANIFEST)
                return media_type.partition(";")[0].strip(), data

    def tags(self, limit: int) -> list[str]:
        """Return the first tags of the repository."""
        with self.ask("GET", f"tags/list?n={limit}", {}) as answer:
            found = parsed_document(answer.read(MAX_DOCUMENT), self.repository).get("tags")
        return [str(tag) for tag in found][:limit] if isinstance(found, list) else []

    def has_blob(self, descriptor: Descriptor) -> bool:
        """Say whether the repository has a blob.

        Raises:
            BentoMLException: it has something else under that digest.
        """
        with self.ask("HEAD", f"blobs/{descriptor.digest}", {}, expected=(200, 404)) as answer:
            if answer.status == 404:
                return False
            self._check_digest(answer, descriptor.digest)
            size = answer.headers.get("content-length")
        if size is not None and size != str(descriptor.size):
            raise BentoMLException(
                f"registry `{self.host}` has `{descriptor.digest}` with {size} bytes instead of {descriptor.size}"
            )
        return True

    def blob(self, descriptor: Descriptor, start: int = 0) -> Iterator[bytes]:
        """Yield a blob from ``start`` on as it arrives, going on where the connection broke; never more than its size.

        Whoever keeps it checks its digest.

        Raises:
            NotFound: the registry does not have it.
            ServiceUnavailable: the registry cannot be reached, or the connection breaks again and again, or hardly anything comes.
            BentoMLException: it sends more than the blob has.
        """
        done, attempt = start, 0
        while done < descriptor.size:
            before = done
            try:
                for chunk in self._rest_of_blob(descriptor, done):
                    done += len(chunk)
                    if done > descriptor.size:
                        raise BentoMLException(
                            f"`{descriptor.digest}` of `{self.repository}` is not what it should be: registry "
                            f"`{self.host}` sends more than its {descriptor.size} bytes"
                        )
                    yield chunk
                if done < descriptor.size:
                    raise ServiceUnavailable(
                        f"registry `{self.host}` ended `{descriptor.digest}` after {done} of {descriptor.size} bytes"
                    )
            except ServiceUnavailable:
                attempt = 1 if done - before >= PROGRESS else attempt + 1
                if not self.wait(attempt):
                    raise

    def _rest_of_blob(self, descriptor: Descriptor, start: int) -> Iterator[bytes]:
        headers, part = {"Range": f"bytes={start}-"} if start else {}, f"bytes {start}-"
        with self.ask("GET", f"blobs/{descriptor.digest}", headers, expected=(200, 206)) as answer:
            skip = 0 if answer.status == 206 else start
            if skip < start and not answer.headers.get("content-range", part).startswith(part):
                raise BentoMLException(f"registry `{self.host}` gave another part of `{descriptor.digest}`")
            for chunk in answer.chunks():
                if skip < len(chunk):
                    yield chunk[skip:]
                skip = max(0, skip - len(chunk))

    # -- what is to be there

    def put_manifest(self, tag: str, data: bytes, media_type: str = MediaType.MANIFEST) -> bool:
        """Store a manifest or an index under a tag, or under its digest; say whether the registry lists it as a referrer.

        Raises:
            BentoMLException: the registry refuses it, or has stored something else.
        """
        place, headers = f"manifests/{tag}", {"Content-Type": media_type}
        for attempt in count(1):
            with self.ask("PUT", place, headers, data, expected=(200, 201, 202, 400)) as answer:
                if answer.status != 400:
                    self._check_digest(answer, Digest.of(data))
                    self._check_stored(answer, tag, data)
                    return "oci-subject" in answer.headers
                said = words_of(answer)
            # It reads what it has written, which others may write anew at that moment: the digest is never wrong.
            if "DIGEST_INVALID" not in said or not self.wait(attempt):
                break
        raise BentoMLException(f"registry `{self.host}` refuses {self._name(place)} (status 400{said})")

    def _check_stored(self, answer: Answer, tag: str, data: bytes) -> None:
        """Ask again where the registry does not say that it has made something: a proxy may answer 200 to everything."""
        if answer.status == 201:
            return
        with suppress(NotFound):
            if self.manifest(tag)[0].digest == Digest.of(data):
                return
        raise BentoMLException(
            f"registry `{self.host}` took {self._name(f'manifests/{tag}')}, but does not have it"
        )

    # -- how it is asked

    @contextmanager
    def ask(
        self,
        method: str,
        place: str,
        headers: Mapping[str, str],
        body: Body = None,
        *,
        expected: Collection[int] = (200,),
    ) -> Iterator[Answer]:
        """Open the answer to a request that is as expected, after logging in where the registry asks for it.

        ``place`` is a path in the repository, or an address that the registry gave.

        Raises:
            NotFound, ServiceUnavailable, BentoMLException: it is not; see `refusals`.
        """
        url = place if "://" in place else f"{self._root}/v2/{self.repository}/{place}"
        is_home = url.startswith(f"{self._root}/")
        for last in (False, True):
            used = self._authorization if is_home else None
            own = {"Authorization": used} if used else {}
            with self._transport.send(method, url, {**headers, **own}, body) as answer:
                if answer.status == 401 and is_home and not last and not answer.is_from_elsewhere:
                    self._log_in(answer, used)
                    continue
                if answer.status not in expected:
                    what = self._name(place)
                    refused(answer, self.host, self.repository, what, writing=method in _WRITING)
                yield answer
                return

    def location(self, answer: Answer) -> str:
        """Return the address that an answer leads to, for what is sent next.

        Raises:
            BentoMLException: it leads nowhere, or where nobody must be led.
        """
        found = answer.headers.get("location", "")
        try:
            url = urljoin(answer.url, found)
        except ValueError:  # it is no address
            found = ""
        if not found:
            raise BentoMLException(f"registry `{self.host}` does not say where to send the upload")
        if urlsplit(url).netloc == urlsplit(self._root).netloc:  # it may not know that TLS ends before it
            return f"{self._root}{url.partition('://')[2].removeprefix(urlsplit(url).netloc)}"
        check_hop(self._root, url)
        return url

    def wait(self, attempt: int, asked: str = "") -> bool:
        """Wait after a failed attempt, as `Transport.wait` does."""
        return self._transport.wait(attempt, asked)

    def _log_in(self, answer: Answer, used: str | None) -> None:
        """Log in, unless another thread has since the request was sent."""
        with self._login:
            if self._authorization != used:
                return
            challenge = parse_challenge(answer.headers.get("www-authenticate", ""))
            credentials = credentials_for(self.host, self._env)
            if challenge.scheme == "bearer":
                self._authorization = f"Bearer {self._token(challenge, credentials)}"
            elif challenge.scheme == "basic" and credentials is not None:
                self._authorization = credentials.basic

    def _token(self, challenge: Challenge, credentials: Credentials | None) -> str:
        """Return a token for what is asked now and was before, or for the former alone where one for both is refused."""
        asked = challenge.parameters.get("scope", "").split()
        self._scopes += [scope for scope in asked if scope not in self._scopes]
        try:
            return fetch_token(self._transport, challenge, self._root, credentials, self._scopes)
        except ServiceUnavailable:
            raise
        except BentoMLException:
            if not asked or self._scopes == asked:
                raise
        self._scopes = asked  # a repository to mount from may be closed to us by now
        return fetch_token(self._transport, challenge, self._root, credentials, asked)

    def _check_digest(self, answer: Answer, digest: Digest) -> None:
        said = answer.headers.get("docker-content-digest", str(digest))
        if said.startswith("sha256:") and said != str(digest):
            raise BentoMLException(f"registry `{self.host}` says that it has `{said}`, not `{digest}`")

    def _name(self, place: str) -> str:
        """Return how an error calls what was asked for."""
        kind, _, name = place.partition("/")
        if kind == "manifests" and ":" not in name:
            return f"`{self.repository}:{name}`"
        if kind in ("manifests", "blobs") and name.startswith("sha256:"):
            return f"`{name}` in `{self.repository}`"
        return f"`{place.partition('?')[0]}`" if "://" not in place else f"an upload to `{self.repository}`"
