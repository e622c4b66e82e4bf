"""Steps on a base: an engine runs them once, and what came of it is a layer that every later image is built upon."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from secrets import token_hex
from typing import Literal

from ...exceptions import BentoMLException
from ...registry.reference import Reference
from ...store.archives.tar import Tar, TarEntry
from ...store.digest import Digest, canonical_json
from ..backends.engine import EngineSink
from ..daemon.sdk import connected
from ..oci.archive import docker_layers
from ..oci.assemble import base_environment
from ..oci.cache import Cache, kept_layer
from ..oci.codec import gzip_codec
from ..oci.model import Base, Image
from ..oci.parts.place import HOME, UID
from .container import Container, container_of, forget_image, forget_images
from .host import handed_over
from .layer import check_secrets, step_entries
from .model import Steps

__all__ = ["container_upon", "run_steps", "with_steps"]

logger = logging.getLogger(__name__)

_FORMAT = 2  # to be raised when the same steps give another layer
_NAME = "bentoml-steps"
_LEFT_SECONDS = 600  # from the name of an image to its container it is less
_NO_HELP = ", or write the image"  # to a folder: what follows in the engine's error would run no step, either
_SILENCE = 6 * 3600  # seconds: a compiler may say nothing for long


def with_steps(
    base: Base,
    steps: Steps,
    *,
    cache: Cache,
    env: Mapping[str, str],
    offline: bool = False,
) -> Base:
    """Return the base with one layer more: what the steps make of it, run by the engine that ``DOCKER_HOST`` names.

    The same steps on the same base are run once. Values of secrets are taken from ``env``; offline, the steps have no
    network.

    Raises:
        BentoMLException: no engine answers, a step fails, or it leaves a secret behind; the message names the step.
    """
    if not steps:
        return base

    def make(scratch: Path) -> Tar:
        return run_steps(base, steps, scratch, env=env, offline=offline)

    layer = kept_layer(cache, _key(base, steps), make, gzip_codec(), "system", steps.about)
    return base._replace(layers=(*base.layers, layer))


def run_steps(
    base: Base, steps: Steps, scratch: Path, *, env: Mapping[str, str], offline: bool = False
) -> Tar:
    """Run the steps, whatever was run before, and return what they changed; its bytes lie in ``scratch``.

    Raises:
        as `with_steps` does.
    """
    values = _values(steps.secrets, env)
    _run(base, steps, scratch / "image.tar", values, env, offline)
    *_, layer = docker_layers(scratch / "image.tar")
    file = scratch / "layer.tar"
    with file.open("wb") as target:
        target.writelines(layer.chunks())
    (scratch / "image.tar").unlink()
    check_secrets(file, values)
    return Tar.of(step_entries(file, _given(steps.files)))


def _key(base: Base, steps: Steps) -> object:
    return {
        "steps": _FORMAT,
        "base": [str(layer.descriptor.digest) for layer in base.layers],
        "env": base_environment(base),
        "platform": str(base.platform),
        "digest": str(steps.digest()),
    }


def _values(names: Iterable[str], env: Mapping[str, str]) -> dict[str, str]:
    if missing := [name for name in names if not env.get(name)]:
        said = ", ".join(f"`{name}`" for name in missing)
        raise BentoMLException(f"the build has no value for the secret {said}: set the variable of that name")
    return {name: env[name] for name in names}


def _given(files: Iterable[TarEntry]) -> dict[str, Digest]:
    found = {}
    for entry in files:
        if isinstance(entry.source, Path):
            found[entry.path] = Digest.of_file(entry.source)
        elif isinstance(entry.source, bytes):
            found[entry.path] = Digest.of(entry.source)
    return found


def _run(
    base: Base, steps: Steps, saved: Path, values: Mapping[str, str], env: Mapping[str, str], offline: bool
) -> None:
    """Let the engine run the steps on the base, and save the image that came of it; nothing stays in the engine."""
    handed = handed_over(env)
    _check_engine(steps, env)
    with container_upon(
        base, engine=env, files=(*steps.files, *handed.files), working_dir=steps.working_dir,
        env={**handed.env, **steps.env}, secrets=values, network="none" if offline else "host",
    ) as container:  # fmt: skip
        for step in steps.runs:
            logger.info("running the step `%s`", step.name)
            container.run(step)
        container.kept(saved)


@contextmanager
def container_upon(
    base: Base, *, engine: Mapping[str, str], files: Sequence[TarEntry], working_dir: str = "/", env: Mapping[str, str],
    secrets: Mapping[str, str], network: Literal["none", "host"],
) -> Iterator[Container]:  # fmt: skip
    """Give a running container of a base, in the engine that ``DOCKER_HOST`` in ``engine`` names; nothing of it stays there.

    Raises:
        BentoMLException: no engine answers, or a program of the base cannot be run there.
    """
    name = str(Reference.parse(f"{_NAME}:{token_hex(8)}"))
    with connected(engine) as client:
        forget_images(client, _NAME, seconds=_LEFT_SECONDS)
        EngineSink(engine).write(_image(base), [name])
        try:
            client.api.timeout = _SILENCE
            with container_of(
                client, name, files=[*_parents(files, working_dir), *files], working_dir=working_dir, env=env,
                secrets=secrets, network=network,
            ) as container:  # fmt: skip
                yield container
        finally:
            forget_image(client, name)


def _check_engine(steps: Steps, env: Mapping[str, str]) -> None:
    """Say, where no engine answers, for what it is needed."""
    try:
        with connected(env):
            pass
    except BentoMLException as e:
        names = ", ".join(f"`{step.name}`" for step in steps.runs)
        raise BentoMLException(
            f"{names} would have to run in the image, which takes a container engine that answers; without one leave "
            f"it away in the build file, and name in `docker.base_image` an image in which it is done\n"
            f"{str(e).partition(_NO_HELP)[0]}"
        ) from e


def _parents(files: Iterable[TarEntry], working_dir: str) -> list[TarEntry]:
    """Return the folders that the files and the steps need; those of the bento belong to its user."""
    paths = [PurePosixPath(entry.path) for entry in files] + [PurePosixPath(working_dir.lstrip("/"), "x")]
    found = {str(parent) for path in paths for parent in path.parents if parent.name}
    owners = {path: UID if f"{path}/".startswith(f"{HOME}/") else 0 for path in found}
    return [TarEntry.folder(path, uid=owner, gid=owner) for path, owner in owners.items()]


def _image(base: Base) -> Image:
    """Return the base as an image of its own, whatever was put upon it."""
    config = {
        "os": base.platform.os,
        "architecture": base.platform.architecture,
        **({"variant": base.platform.variant} if base.platform.variant else {}),
        "config": {"Env": [f"{name}={value}" for name, value in base_environment(base).items()]},
        "rootfs": {"type": "layers", "diff_ids": [str(layer.diff_id) for layer in base.layers]},
    }
    return Image(canonical_json(config), base.layers, base.platform)
