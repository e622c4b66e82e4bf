"""Which steps a bento has: what runs before its Python packages are there, and what runs after them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath

from ...store.archives.tar import TarEntry
from ...store.bentos import Bento
from ..image.plan import ImagePlan
from ..oci.assemble import base_environment
from ..oci.bases.rootfs import read_rootfs
from ..oci.cache import Cache
from ..oci.debian.installed import with_packages
from ..oci.model import Base, Layer
from ..oci.parts.layers import user_layer
from ..oci.parts.managed_python import with_python
from ..oci.parts.place import BENTO, UID, VENV
from .model import Step, Steps, shell
from .run import with_steps

__all__ = ["added_below", "base_of_bento", "layers_after_packages", "steps_after", "steps_before"]

_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_SETUP = "env/docker/setup_script"


def base_of_bento(
    base: Base, bento: Bento, plan: ImagePlan, *, cache: Cache, env: Mapping[str, str], offline: bool
) -> Base:
    """Return the base with what the bento wants below its Python packages: those of the system, and what its steps make.

    Raises:
        BentoMLException: a package cannot be had, or a step fails or has no engine that runs it.
    """
    ready = with_packages(base, plan.system_packages, cache=cache, env=env, offline=offline)
    steps = steps_before(bento, plan)
    if steps:
        user = user_layer(read_rootfs(ready, cache), epoch=plan.epoch)
        ready = ready._replace(layers=(*ready.layers, user))
        ready = with_steps(ready, steps, cache=cache, env=env, offline=offline)
    path = base_environment(base).get("PATH") or _PATH
    if plan.brings_python and read_rootfs(ready, cache).python(plan.python_version, path) is None:
        ready = with_python(
            ready, plan.python_version, cache=cache, env=env, epoch=plan.epoch, offline=offline
        )
    return ready


def layers_after_packages(
    base: Base,
    layers: Sequence[Layer],
    bento: Bento,
    plan: ImagePlan,
    *,
    cache: Cache,
    env: Mapping[str, str],
    offline: bool,
) -> tuple[Layer, ...]:
    """Return the layer that the steps make which run on a base with the ``layers`` of the Python packages, if there are any."""
    path = plan.env.get("PATH") or base_environment(base).get("PATH") or _PATH
    steps = steps_after(bento, plan, path=path)
    below = base._replace(layers=(*base.layers, *layers))
    return with_steps(below, steps, cache=cache, env=env, offline=offline).layers[len(below.layers) :]


def added_below(bento: Bento, plan: ImagePlan) -> str:
    """Return in words what `base_of_bento` adds; empty where it adds nothing."""
    python = [f"Python {plan.python_version}"] if plan.brings_python else []
    steps = steps_before(bento, plan)
    return ", ".join([*plan.system_packages, *(step.name for step in steps.runs), *python])


def steps_before(bento: Bento, plan: ImagePlan) -> Steps:
    """Return what runs before the Python packages are there: the setup script, and the commands."""
    image, folder = bento.info.image, Path(bento.path)
    runs = [
        *([Step("setup_script", (f"/{BENTO}/{_SETUP}",))] if image.get("setup_script") else []),
        *_commands("commands", image),
    ]
    return _steps(runs, _scripts(folder), plan, plan.step_env)


def steps_after(bento: Bento, plan: ImagePlan, *, path: str) -> Steps:
    """Return what runs after them; it finds the requirements and what the image includes, too."""
    image, folder = bento.info.image, Path(bento.path)
    included = (f"src/{name}" for name in map(str, image.get("build_include") or ()))
    files = [*_scripts(folder), *_files(folder, ["env/python/requirements.txt", *included])]
    env = {**plan.env, "PATH": f"/{VENV}/bin:{path}"}
    return _steps(list(_commands("post_commands", image)), files, plan, env)


def _steps(runs: Sequence[Step], files: Iterable[TarEntry], plan: ImagePlan, env: Mapping[str, str]) -> Steps:
    about = f"run {', '.join(step.name for step in runs)}"
    unique = {entry.path: entry for entry in files}
    return Steps(about, tuple(runs), tuple(unique.values()), env, f"/{BENTO}", plan.secrets)


def _commands(key: str, image: Mapping[str, object]) -> Iterator[Step]:
    commands = image.get(key)
    for number, command in enumerate(commands if isinstance(commands, list | tuple) else ()):
        yield shell(f"{key}[{number}]", str(command))


def _scripts(folder: Path) -> Iterator[TarEntry]:
    """Yield the scripts of a bento, as programs."""
    for path in sorted(Path(folder, "env/docker").glob("script__*")):
        yield _file(folder, path, mode=0o755)
    if Path(folder, _SETUP).is_file():
        yield _file(folder, Path(folder, _SETUP), mode=0o755)


def _files(folder: Path, names: Iterable[str]) -> Iterator[TarEntry]:
    """Yield files of a bento, and all that lies in folders of it."""
    for place in (folder / name for name in names):
        for path in sorted(place.rglob("*")) if place.is_dir() else [place]:
            if path.is_file():
                yield _file(folder, path, mode=0o755 if path.stat().st_mode & 0o100 else 0o644)


def _file(folder: Path, path: Path, *, mode: int) -> TarEntry:
    place = str(PurePosixPath(BENTO, path.relative_to(folder)))
    return TarEntry.file(place, path, mode=mode, uid=UID, gid=UID)
