"""Bento -> image by the bento's own Dockerfile: an engine builds it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from pathlib import Path

from ...config import Home
from ...exceptions import BentoMLException, InvalidArgument
from ...process import run
from ...registry.reference import Reference
from ...store.bentos import Bento
from ...store.digest import Digest
from ...store.manifest import BentoInfo
from ...store.models import Model, ModelStore
from ...store.staging import Staging
from ..plan import uses_gpu
from .buildkit import VARIABLE, has_mounts
from .context import make_context
from .known import is_healthy
from .model import Engine, EngineImage, Request
from .options import Option
from .plain_dockerfile import without_mounts

__all__ = ["build_with_engine"]

_DOCKERFILE = "env/docker/Dockerfile"

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
) -> EngineImage:
    """Let an engine build the Dockerfile of a bento; ``options`` are those of its build command.

    ``DOCKER_BUILDKIT=0`` in ``env`` keeps BuildKit out of it; ``as_root`` runs the engine by ``sudo``; ``verify`` reads
    the bento and its models again before. The values of build secrets are taken from ``env``.

    Raises:
        InvalidArgument: a name or an option cannot be understood.
        BentoMLException: the engine cannot be used or fails, a model is missing, or a secret has no value.
    """
    names = _checked_names(bento.info, names)
    models = _checked_models(bento, home, thoroughly=verify)
    secrets = _secrets(bento.info, env)
    if not is_healthy(engine, env):
        raise BentoMLException(_unhealthy(engine))
    mounts = has_mounts(engine, env)
    if secrets and not mounts:
        raise BentoMLException(
            f"bento `{bento.tag}` needs {_listed(secrets)} while its image is built, which without BuildKit cannot be "
            f"kept secret; leave `{VARIABLE}` unset (Docker's client needs its plugin buildx then), or take an engine that has "
            "it, such as `podman`"
        )
    env = {**engine.env, **env, **secrets, VARIABLE: "1" if mounts else "0"}
    with Staging(home).folder() as scratch, step(f"Building `{bento.tag}` with {engine.name}"):
        context = make_context(scratch / "context", bento, models)
        platform = platform or str(bento.info.image.get("platform") or "") or None
        request = Request(
            context, context / _DOCKERFILE, names, platform, scratch, tuple(secrets), options or {}
        )
        made = _made(engine, request if mounts else _plain(request), env, as_root=as_root)
    place = f"{engine.name} has {made}" if made else f"{engine.name} made it"
    return EngineImage(bento.tag, names, made, place, engine.runner, uses_gpu(bento.info))


def _made(engine: Engine, request: Request, env: Mapping[str, str], *, as_root: bool) -> Digest | None:
    """Run the engine and return the id of the image, if it says so."""
    kept = ",".join(sorted({VARIABLE, *engine.env, *request.secrets}))
    above = ("sudo", f"--preserve-env={kept}") if as_root else ()
    run([*above, *engine.command, *engine.arguments(request)], env=env)
    if engine.loads and request.archive.is_file():
        run([*above, *engine.loads, str(request.archive)], env=env)
    if engine.pushes and request.options.get("push"):
        for name in request.names:
            run([*above, *engine.pushes, name], env=env)
    try:
        text = request.id_file.read_text("utf-8").strip()
        return Digest.parse(text if ":" in text else f"sha256:{text}")
    except (OSError, ValueError):
        return None  # what it made may be no image, or lie elsewhere: the options say so


def _plain(request: Request) -> Request:
    """Return the request for an engine that knows no mounts; a Dockerfile of the user's own stays as it is."""
    target = request.scratch / "Dockerfile"
    target.write_text(without_mounts(request.dockerfile.read_text("utf-8")), "utf-8")
    return replace(request, dockerfile=target)


def _checked_names(info: BentoInfo, names: Sequence[str]) -> tuple[str, ...]:
    names = tuple(names) or (str(info.tag),)
    for name in names:
        if Reference.parse(name).digest or "://" in name:
            raise InvalidArgument(f"`{name}` is no name for an image; give it a tag, as in `iris:1`")
    return names


def _checked_models(bento: Bento, home: Home, *, thoroughly: bool) -> list[Model]:
    """Return the models that the bento needs, if all of it may be loaded and is what was stored."""
    models = ModelStore(home).needed_by(bento.info)
    for model in models:
        model.check_trusted()  # in the image, nothing tells any more where it came from
        model.check(thoroughly=thoroughly)
    bento.check(thoroughly=thoroughly)
    if not Path(bento.path_of(_DOCKERFILE)).is_file():
        raise BentoMLException(
            f"bento `{bento.tag}` holds no `{_DOCKERFILE}`; build it again with `bentoml build`"
        )
    return models


def _secrets(info: BentoInfo, env: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that only the build sees, with their values.

    Raises:
        BentoMLException: one has none.
    """
    declared = [variable for variable in info.envs if variable.get("stage") == "build"]
    found = {str(v["name"]): env.get(str(v["name"])) or str(v.get("value") or "") for v in declared}
    if missing := [name for name, value in found.items() if not value]:
        raise BentoMLException(
            f"bento `{info.tag}` needs {_listed(missing)} while its image is built; set the environment where you build it"
        )
    return found


def _listed(names: Sequence[str] | Mapping[str, str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _unhealthy(engine: Engine) -> str:
    tried = "" if callable(engine.health) else f": `{' '.join(engine.health)}` does not succeed"
    return (
        f"backend `{engine.name}` is not healthy{tried}; install and start it, or leave `--backend` away, as bentos become "
        "images without an engine, too: `--output type=oci-archive,dest=FILE`"
    )
