"""Pins: the digest that a base has now, asked of whoever has it; who cannot say it is remembered, and not asked at every build."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from ....exceptions import BentoMLException, ServiceUnavailable
from ....store.digest import Digest
from ..cache import Cache
from ..debian.debs import debs_digest
from ..model import Platform
from .engine import engine_digest
from .pull import registry_digest

__all__ = ["BaseDigests"]

logger = logging.getLogger(__name__)

_DEBS, _ENGINE = "debs:", "docker://"
_SECONDS = 6.0  # until a registry has said what it has, or is not asked any longer
_AGAIN_SECONDS = 3600.0  # until one that did not is asked again


@dataclass(frozen=True, slots=True)
class BaseDigests:
    """Find the digest that a base has now; the cache remembers for an hour who could not say it.

    With ``insists`` (the user asks for it) everybody is asked, and who cannot say it is an error.
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
            BentoMLException: it cannot be found, and the user insists.
        """
        memory = Digest.of_json({"no-digest": reference})
        if not self.insists and not self.offline and self._is_remembered(memory):
            return None
        try:
            return self._asked(reference, platform)
        except BentoMLException as e:
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
        return _within(
            _SECONDS,
            lambda: registry_digest(reference, cache=cache, env=env, offline=offline),
            f"the registry of `{reference}`",
        )


def _within(seconds: float, ask: Callable[[], Digest], whom: str) -> Digest:
    """Return an answer that comes in time; in a thread, as nothing else ends the wait for a name server.

    Raises:
        ServiceUnavailable: it does not come in time.
        BentoMLException, OSError: what ``ask`` raises.
    """
    answers: list[Digest | BentoMLException | OSError] = []

    def answer() -> None:
        try:
            answers.append(ask())
        except (BentoMLException, OSError) as e:
            answers.append(e)

    thread = threading.Thread(target=answer, daemon=True)
    thread.start()
    thread.join(seconds)
    match answers:
        case [Digest() as digest]:
            return digest
        case [BentoMLException() | OSError() as e]:
            raise e
    raise ServiceUnavailable(f"{whom} did not answer within {seconds:.0f} seconds")
