"""One container of an engine in which steps run: made of an image, given files, run in, and kept as a layer."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...exceptions import BentoMLException
from ...process import without_credentials
from ...store.archives.tar import Tar, TarEntry
from .model import Step

if TYPE_CHECKING:
    from docker import DockerClient

__all__ = ["Container", "container_of", "forget_image", "forget_images", "shown"]

logger = logging.getLogger(__name__)

_WAIT = ["/bin/sh", "-c", "read _"]  # nobody writes to it: it waits until we end, however we do
_LAST_LINES = 40


@dataclass(frozen=True, slots=True)
class Container:
    """A running container; ``env`` and ``secrets`` are given to each step, and are no part of its configuration."""

    client: DockerClient
    id: str
    working_dir: str
    env: Mapping[str, str]
    secrets: Mapping[str, str]

    def run(self, step: Step) -> None:
        """Run a step to its end; what it says goes to the log, without the values of secrets.

        Raises:
            BentoMLException: it ended with an error; the message names the step and has its last lines.
        """
        api = self.client.api
        job = api.exec_create(
            self.id, list(step.argv), environment={**self.env, **self.secrets}, workdir=self.working_dir, user="0:0"
        )  # fmt: skip
        tail: deque[str] = deque(maxlen=_LAST_LINES)
        for line in _lines(api.exec_start(job["Id"], stream=True)):
            tail.append(shown(line, self.secrets))
            logger.info("%s: %s", step.name, tail[-1])
        code = api.exec_inspect(job["Id"])["ExitCode"]
        if code:
            said = "\n".join(tail).strip()
            raise BentoMLException(f"the step `{step.name}` ended with exit code {code}\n{said}".rstrip())

    def read(self, folder: str) -> Iterator[bytes]:
        """Yield a folder of the container, as a tar of which it is the top."""
        chunks: Iterator[bytes] = self.client.api.get_archive(self.id, folder)[0]
        return chunks

    def kept(self, file: Path) -> None:
        """Write what the container has become as an image, in the form of `docker save`."""
        api = self.client.api
        image = api.commit(self.id)["Id"]
        try:
            with file.open("wb") as target:
                for chunk in api.get_image(image):
                    target.write(chunk)
        finally:
            forget_image(self.client, image)


def shown(line: str, secrets: Mapping[str, str]) -> str:
    """Return a line that a program wrote as people may see it: without values of secrets, and lines of such."""
    hidden = {part for value in secrets.values() for part in (value, *value.splitlines()) if part.strip()}
    for part in sorted(hidden, key=len, reverse=True):
        line = line.replace(part, "***")
    return without_credentials(line)


def forget_images(client: DockerClient, repository: str, *, seconds: float) -> None:
    """Take the images of ours away that killed processes left ``seconds`` ago; what a container is made of is not taken."""
    from docker.errors import APIError

    inspect: Callable[[str], dict[str, Any]] = client.api.inspect_image
    for image in client.api.images(name=repository):
        with suppress(APIError, KeyError, ValueError):
            said = inspect(image["Id"])["Metadata"]["LastTagTime"]
            tagged = datetime.fromisoformat(f"{said[:19]}+00:00").timestamp()
            if 0 < tagged < datetime.now(UTC).timestamp() - seconds:  # before 1970 is what nobody knows
                for name in image["RepoTags"]:
                    client.api.remove_image(name)


def forget_image(client: DockerClient, name: str) -> None:
    """Take an image of ours away; what went wrong before is not hidden where that fails, too."""
    from docker.errors import APIError

    with suppress(APIError):
        client.api.remove_image(name, force=True)


@contextmanager
def container_of(
    client: DockerClient, image: str, *, files: Sequence[TarEntry], working_dir: str, env: Mapping[str, str],
    secrets: Mapping[str, str], network: str,
) -> Iterator[Container]:  # fmt: skip
    """Give a running container of an image, which holds ``files`` besides; it is gone with the block.

    So it is with this process, also one that is killed: the engine then closes what the container waits for.

    Raises:
        BentoMLException: a program of the image cannot be run here.
    """
    from docker.errors import APIError

    api = client.api
    settings = api.create_host_config(network_mode=network, auto_remove=True)
    made = api.create_container(
        image, entrypoint=_WAIT, command=[], user="0:0", working_dir="/", stdin_open=True, host_config=settings,
        healthcheck={"test": ["NONE"]},
    )["Id"]  # fmt: skip
    try:
        api.put_archive(made, "/", Tar.of(files).chunks())
        with closing(api.attach_socket(made, params={"stdin": 1, "stream": 1})):
            try:
                api.start(made)
            except APIError as e:
                raise BentoMLException(
                    f"the engine cannot run `/bin/sh` of `{image}`: {e.explanation or e}"
                ) from e
            yield Container(client, made, working_dir, env, secrets)
    finally:
        with suppress(APIError):
            api.remove_container(made, force=True, v=True)


def _lines(chunks: Iterable[bytes]) -> Iterator[str]:
    """Yield what a program says line by line, however it comes."""
    waiting = b""
    for chunk in chunks:
        *whole, waiting = (waiting + chunk).split(b"\n")
        yield from (line.decode(errors="replace").rstrip("\r") for line in whole)
    if waiting:
        yield waiting.decode(errors="replace")
