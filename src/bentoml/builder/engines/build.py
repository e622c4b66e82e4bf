"""Bento -> image by the bento's own Dockerfile: an engine builds it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace

from ...config import Home
from ...exceptions import BentoMLException
from ...process import follow
from ...store.bentos import Bento
from ...store.digest import Digest
from ...store.items import reading
from ...store.staging import Staging
from ..image.plan import locked_platforms, uses_gpu
from ..image.recorded import check_recorded
from .buildkit import VARIABLE, has_mounts
from .checks import (
    DOCKERFILE,
    checked_machine,
    checked_models,
    checked_names,
    checked_secrets,
    listed,
)
from .context import make_context, take_packages
from .known import is_healthy
from .model import Engine, EngineImage, Request
from .options import Option, outputs
from .plain_dockerfile import without_mounts

__all__ = ["build_with_engine"]

logger = logging.getLogger(__name__)

Step = Callable[[str], AbstractContextManager[None]]


def build_with_engine(
    bento: Bento,
    engine: Engine,
    *,
    home: Home,
    env: Mapping[str, str],
    names: Sequence[str] = (),
    platform: str | None = None,
    options: Mapping[str, Option] | None = None,
    as_root: bool = False,
    verify: bool = False,
    step: Step = lambda _: nullcontext(),
    tell: Callable[[str], None] = logger.debug,
) -> EngineImage:
    """Let an engine build the Dockerfile of a bento; ``options`` are those of its build command.

    ``DOCKER_BUILDKIT=0`` in ``env`` keeps BuildKit out of it; ``as_root`` runs the engine by ``sudo``; ``verify`` reads
    the bento and its models again before; ``tell`` gets each line that the engine writes. The values of build secrets are
    taken from ``env``.

    Raises:
        InvalidArgument: a name or an option cannot be understood.
        NotFound: the bento or a model is deleted meanwhile.
        BentoMLException: the engine cannot be used or fails, a model is missing, or a secret has no value.
    """
    check_recorded(bento.info)
    options = dict(options or {})
    machine = checked_machine(bento.info, platform, options.pop("platform", None))
    names = checked_names(bento.info, names)
    models = checked_models(bento, home, thoroughly=verify)
    secrets = checked_secrets(bento.info, env)
    mounts = _checked_mounts(bento, engine, env, secrets)
    env = {**engine.env, **env, **secrets, VARIABLE: "1" if mounts else "0"}
    with (
        reading(bento, *models),
        Staging(home).folder() as scratch,
        step(f"Building `{bento.tag}` with {engine.name}"),
    ):
        context = make_context(scratch / "context", bento, models)
        if machine is not None:
            take_packages(context, machine, locked_platforms(bento.info))
        file = context / DOCKERFILE
        request = Request(context, file, names, machine, scratch, tuple(secrets), options)
        made = _made(engine, request if mounts else _plain(engine, request), env, as_root=as_root, tell=tell)
    files = _files(options)
    place = f"{engine.name} {_done(made, files)}"
    return EngineImage(bento.tag, names, made, place, engine.runner, uses_gpu(bento.info), files)


def _checked_mounts(bento: Bento, engine: Engine, env: Mapping[str, str], secrets: Mapping[str, str]) -> bool:
    """Say whether a healthy engine mounts what a build alone may see; without that there is no place for secrets."""
    if not is_healthy(engine, env):
        raise BentoMLException(_unhealthy(engine))
    mounts = has_mounts(engine, env)
    if secrets and not mounts:
        raise BentoMLException(_no_secrecy(bento, secrets))
    return mounts


def _done(made: Digest | None, files: Sequence[str]) -> str:
    """Say where the image is, as far as is known."""
    if files:
        return f"wrote {listed(files)}"
    return f"has {made}" if made else "made it"


def _files(options: Mapping[str, Option]) -> tuple[str, ...]:
    """Return where the options put the image as files, if they put it nowhere else."""
    places = [output.get("dest", "") for output in outputs(options)]
    is_elsewhere = bool(options.get("load") or options.get("push")) or not all(places)
    return () if is_elsewhere else tuple(places)


def _made(
    engine: Engine, request: Request, env: Mapping[str, str], *, as_root: bool, tell: Callable[[str], None]
) -> Digest | None:
    """Run the engine and return the id of the image, if it says so."""
    above = _sudo(engine, request, env) if as_root else ()
    follow([*above, *engine.command, *engine.arguments(request)], env=env, tell=tell)
    if engine.loads and request.archive.is_file():
        follow([*above, *engine.loads, str(request.archive)], env=env, tell=tell)
    if engine.pushes and request.options.get("push"):
        for name in request.names:
            follow([*above, *engine.push(name)], env=env, tell=tell)
    try:
        text = request.id_file.read_text("utf-8").strip()
        return Digest.parse(text if ":" in text else f"sha256:{text}")
    except (OSError, ValueError):
        return None  # what it made may be no image, or lie elsewhere: the options say so


def _sudo(engine: Engine, request: Request, env: Mapping[str, str]) -> tuple[str, ...]:
    """Return what lets root run the engine with the variables that it needs, which `sudo` takes away; no secret is told."""
    names = [*engine.env, *([VARIABLE] if engine.name == "docker" else [])]
    kept = [f"--preserve-env={','.join(request.secrets)}"] if request.secrets else []
    settings = ["env", *(f"{name}={env[name]}" for name in names)] if names else []
    return ("sudo", *kept, *settings)


def _plain(engine: Engine, request: Request) -> Request:
    """Return the request for an engine that knows no mounts; a Dockerfile of the user's own stays as it is.

    Docker without BuildKit keeps the container of a step that fails unless it is told not to.
    """
    target = request.scratch / "Dockerfile"
    target.write_text(without_mounts(request.dockerfile.read_text("utf-8")), "utf-8")
    tidy: dict[str, Option] = {"force_rm": True} if engine.name == "docker" else {}
    return replace(request, dockerfile=target, options={**tidy, **request.options})


def _unhealthy(engine: Engine) -> str:
    tried = "" if callable(engine.health) else f": `{' '.join(engine.health)}` does not succeed"
    return (
        f"backend `{engine.name}` is not healthy{tried}; install and start it, or leave `--backend` away, as bentos become "
        "images without an engine, too: `--output type=oci-archive,dest=FILE`"
    )


def _no_secrecy(bento: Bento, secrets: Mapping[str, str]) -> str:
    return (
        f"bento `{bento.tag}` needs {listed(secrets)} while its image is built, which without BuildKit cannot be "
        f"kept secret; leave `{VARIABLE}` unset (Docker's client needs its plugin buildx then), or take an engine that has "
        "it, such as `podman`"
    )
