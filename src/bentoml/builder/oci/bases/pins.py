"""Pins: the digest that a base has now, asked of whoever has it; who cannot say it is remembered, and not asked at every build."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from ....exceptions import BentoMLConfigException, BentoMLException, InvalidArgument, ServiceUnavailable
from ....store.digest import Digest
from ..cache import Cache
from ..debian.debs import debs_digest
from ..model import Platform
from .engine import engine_digest
from .pull import check_reachable, registry_digest

__all__ = ["BaseDigests"]

logger = logging.getLogger(__name__)

T = TypeVar("T")

_DEBS, _ENGINE = "debs:", "docker://"
_REACH_SECONDS = 3.0  # until a registry is found, name server included
_SECONDS = 6.0  # until it has said what it has
_AGAIN_SECONDS = 3600.0  # until one that did not is asked again


@dataclass(frozen=True, slots=True)
class BaseDigests:
    """Find the digest that a base has now; the cache remembers for an hour who could not say it.

    With ``insists`` (the user asks for it) everybody is asked, and waited for; who cannot say it is an error.
    """

    root: Path  # of the cache
    env: Mapping[str, str]
    offline: bool = False
    insists: bool = False

    @property
    def cache(self) -> Cache:
        """The image cache."""
        return Cache(self.root)

    def find(self, reference: str, platform: Platform) -> Digest | None:
        """Return the digest, or nothing if it cannot be found, which is told once.

        Raises:
            BentoMLConfigException: the reference cannot mean a base made of Debian packages.
            BentoMLException: the digest cannot be found, and the user insists.
        """
        memory = Digest.of_json({"no-digest": reference})
        if not self.insists and not self.offline and self._is_remembered(memory):
            return None
        try:
            return self._asked(reference, platform)
        except BentoMLException as e:
            if isinstance(e, InvalidArgument) and reference.startswith(_DEBS):
                raise BentoMLConfigException(f"`docker.base_image`: {e}") from e
            if self.insists:
                raise BentoMLException(
                    f"the digest of base image `{reference}` cannot be found: {e}; a build without `--update-base` keeps what the "
                    "lock has"
                ) from e
            if not self.offline:
                self.cache.remember(memory, {"at": time.time()})
                logger.warning(
                    "the bento does not pin its base image `%s`: %s (asked again in an hour, or by --update-base)",
                    reference,
                    e,
                )
            return None

    def _is_remembered(self, memory: Digest) -> bool:
        record = self.cache.recall(memory)
        return record is not None and 0 <= time.time() - float(str(record["at"])) < _AGAIN_SECONDS

    def _asked(self, reference: str, platform: Platform) -> Digest:
        cache, env, offline = self.cache, self.env, self.offline
        if reference.startswith(_DEBS):
            name = reference.removeprefix(_DEBS)
            return debs_digest(
                name, platform=platform, cache=cache, env=env, offline=offline, anew=self.insists
            )
        if reference.startswith(_ENGINE):
            return engine_digest(reference.removeprefix(_ENGINE), env=env, offline=offline)
        if offline or self.insists:
            return registry_digest(reference, cache=cache, env=env, offline=offline)
        whom = f"the registry of `{reference}`"
        _within(_REACH_SECONDS, lambda: check_reachable(reference, env), whom)
        return _within(_SECONDS, lambda: registry_digest(reference, cache=cache, env=env, hasty=True), whom)


def _within(seconds: float, ask: Callable[[], T], whom: str) -> T:
    """Return an answer that comes in time; in a thread, as nothing else ends the wait for a name server.

    Raises:
        ServiceUnavailable: it does not come in time.
        BentoMLException, OSError: what ``ask`` raises.
    """
    answer: Future[T] = Future()

    def work() -> None:
        try:
            answer.set_result(ask())
        except (BentoMLException, OSError) as e:
            answer.set_exception(e)

    threading.Thread(target=work, daemon=True).start()
    try:
        return answer.result(seconds)
    except TimeoutError as e:
        if answer.done():  # it is what was raised
            raise
        raise ServiceUnavailable(f"{whom} did not answer within {seconds:.0f} seconds") from e
