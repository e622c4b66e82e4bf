"""The image of a bento for one platform: upon a base, a layer for each model, the user, the packages and the bento."""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from typing import NamedTuple

from ...exceptions import BentoMLException
from ...store.archives.tar import Tar, TarEntry
from ...store.archives.watch import Watch
from ...store.bentos import Bento
from ...store.digest import Digest
from ...store.models import Model
from ..oci.assemble import RunConfig, assemble, base_environment, base_labels
from ..oci.bases.rootfs import RootFS, read_rootfs
from ..oci.bases.select import open_base
from ..oci.cache import Cache
from ..oci.codec import Codec, gzip_codec, layer_of
from ..oci.model import Base, Image, Layer
from ..oci.parts.layers import bento_layers, model_layers, user_layer
from ..oci.parts.place import HOME, VENV
from ..oci.parts.python import PythonRequest, PythonTarget, Sources
from ..packages.lock_platform import requirements_file
from ..steps.packages import packages_upon
from .missing import tell_missing
from .plan import TAG_LABEL, ImagePlan, locked_platforms
from .reasons import Facts

__all__ = [
    "WHEELS", "ImageMaker", "PlatformImage", "Step", "is_wheel", "megabytes", "requirements_of", "wheels_of",
]  # fmt: skip

Step = Callable[
    [str], AbstractContextManager[None]
]  # entered with a few words for each thing that may take long

_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
WHEELS = "env/python/wheels/"


class PlatformImage(NamedTuple):
    """An image, the base that it is built upon, and what both were made of."""

    image: Image
    base: Base
    facts: Facts


class ImageMaker(NamedTuple):
    """Make the images of one bento with its ``models``, with or without ``bytecode``; nobody is dialled when ``offline``."""

    bento: Bento
    models: Sequence[Model]
    codec: Codec
    cache: Cache
    env: Mapping[str, str]
    offline: bool
    step: Step
    watch: Watch | None = None
    bytecode: bool = False

    def make(self, plan: ImagePlan) -> PlatformImage:
        """Make the layers, from the bottom up, and put them together.

        Raises:
            BentoMLException: the base cannot be reached or does not fit, or a package cannot be had for the platform.
        """
        bento, cache, epoch = self.bento, self.cache, plan.epoch
        base, rootfs = self._base(plan)
        target = _target(bento, plan, base, rootfs)
        with self.step(f"Packing the models ({megabytes(model.tree.size() for model in self.models)})"):
            below = (
                *model_layers(self.models, cache, epoch=epoch, codec=self.codec),
                *self._hub_layers(epoch),
                user_layer(rootfs, epoch=epoch),
            )
        with self.step("Installing the packages"):
            packages = requirements_of(bento, str(plan.platform)), wheels_of(bento)
            request = PythonRequest(*packages, target, Path(bento.path, "src"), self._sources)
            base, found = packages_upon(
                base, request, cache=cache, env=self.env, epoch=epoch, offline=self.offline,
                by_engine=bool(bento.info.image.get("unpacked")),
            )  # fmt: skip
        after = self._after(base, (below[-1], *found.layers), plan)
        tell_missing(found.needs, rootfs, base, after, cache)
        installed = (*found.layers, *after)
        if self.bytecode:
            installed += self._compiled(base, rootfs, target, installed, epoch)
        layers = (*below, *installed, *bento_layers(bento, self.models, cache, epoch=epoch))
        image = assemble(base, layers, _run_config(plan, base), epoch=epoch)
        return PlatformImage(image, base, self._facts(image, base, request.requirements))

    def _base(self, plan: ImagePlan) -> tuple[Base, RootFS]:
        """Return what the image is built upon, and what is in it: its layers are fetched for that."""
        cache, env, offline = self.cache, self.env, self.offline
        with self.step(f"Opening the base image {plan.base}"):
            base = open_base(
                plan.base,
                platform=plan.platform,
                cache=cache.root,
                env=env,
                offline=offline,
                watch=self.watch,
            )
            base = _without_bento(base, plan.epoch)
            rootfs = read_rootfs(base, cache)
        if plan.adds_to_base:
            from ..steps.bento import added_below, base_of_bento

            with self.step(f"Adding to the base what the bento wants there: {added_below(self.bento, plan)}"):
                base = base_of_bento(base, self.bento, plan, cache=cache, env=env, offline=offline)
                rootfs = read_rootfs(base, cache)
        return base, rootfs

    def _after(self, base: Base, lower: Sequence[Layer], plan: ImagePlan) -> tuple[Layer, ...]:
        """Return the layer of what runs after the packages, if something does."""
        if not self.bento.info.image.get("post_commands"):
            return ()
        from ..steps.bento import layers_after_packages

        with self.step("Running what comes after the packages"):
            return layers_after_packages(
                base, lower, self.bento, plan, cache=self.cache, env=self.env, offline=self.offline
            )

    def _compiled(
        self, base: Base, rootfs: RootFS, target: PythonTarget, packages: Sequence[Layer], epoch: int
    ) -> tuple[Layer, ...]:
        """Return the layers of the bytecode of Python's own library and of what lies upon the base."""
        from ..oci.parts.bytecode import Python, bytecode_layers
        from ..steps.base_compiler import find_compiler

        python = Python(rootfs.release(target.interpreter), rootfs.program(target.interpreter))

        with self.step(f"Compiling the packages for Python {python.release}"):
            find = partial(find_compiler, python, base, cache=self.cache, env=self.env, offline=self.offline)
            return bytecode_layers(python, find, base.layers, packages, self.cache, epoch=epoch)

    def _hub_layers(self, epoch: int) -> tuple[Layer, ...]:
        """Return the layers of the models on Hugging Face, if the bento has any; what is not here of them is fetched."""
        if not self.bento.info.hub_models:
            return ()
        from .hub import layers_of_hub

        return layers_of_hub(self.bento.info, self.cache, epoch=epoch, codec=self.codec, offline=self.offline)

    def _sources(self) -> Sources:
        """Return where the packages of the bento come from: it takes all that is known of indexes to say so."""
        from .sources import sources_of

        return sources_of(self.bento, self.env)

    def _facts(self, image: Image, base: Base, requirements: Path) -> Facts:
        wheels = [[entry.path, entry.digest.hex] for entry in self.bento.tree.entries if is_wheel(entry.path)]
        hub = (f"{model.tag}" for model in self.bento.info.hub_models)
        return Facts(
            base=Digest.of_json([str(layer.diff_id) for layer in base.layers]).hex,
            requirements=Digest.of_file(requirements).hex,
            runtime=Digest.of_json(wheels).hex,
            models=(*(str(model.tag) for model in self.models), *hub),
            layers=tuple(str(layer.diff_id) for layer in image.layers),
        )


def megabytes(sizes: Iterable[int]) -> str:
    """Return the sum of some sizes, in words."""
    return f"{sum(sizes) / 1e6:.1f} MB"


def requirements_of(bento: Bento, platform: str) -> Path:
    """Return the file of the packages that a bento has on a platform.

    Raises:
        BentoMLException: the bento was made by another program, and lacks what an image needs.
    """
    platforms = locked_platforms(bento.info)
    machine = "/".join(platform.split("/")[:2])
    known = machine if machine in platforms else platforms[0]
    file = Path(bento.path, requirements_file(known, platforms))
    if not file.is_file() or not wheels_of(bento):
        raise BentoMLException(
            f"bento `{bento.tag}` does not hold the runtime, as it was made by another program; build it again with "
            "`bentoml build`"
        )
    return file


def wheels_of(bento: Bento) -> tuple[Path, ...]:
    """Return the wheels that a bento brings with it: its runtime, and its own packages."""
    return tuple(sorted(Path(bento.path, WHEELS).glob("*.whl")))


def is_wheel(path: str) -> bool:
    """Say whether a file of a bento is one of its wheels."""
    return path.startswith(WHEELS) and path.endswith(".whl")


def _without_bento(base: Base, epoch: int) -> Base:
    """Return a base that is the image of a bento without that one: else packages of both would lie in one environment."""
    found = base_labels(base).get(TAG_LABEL)
    if found is None:
        return base
    gone = (posixpath.split(path) for path in (VENV, HOME))
    hidden = Tar.of((TarEntry.file(f"{folder}/.wh.{name}", b"") for folder, name in gone), mtime=epoch)
    layer = layer_of(hidden, gzip_codec(), "system", f"without bento {found}")
    return base._replace(layers=(*base.layers, layer))


def _target(bento: Bento, plan: ImagePlan, base: Base, rootfs: RootFS) -> PythonTarget:
    """Return the Python that packages are installed for: that of the base, if it is the bento's."""
    version = plan.python_version
    interpreter = rootfs.python(version, base_environment(base).get("PATH") or _PATH)
    if interpreter is None:
        has = " and ".join(f"Python {found}" for found in rootfs.versions()) or "no Python"
        raise BentoMLException(
            f"bento `{bento.tag}` needs Python {version}, but base image `{base.name}` has {has}; take another with "
            f"`--base-image`, such as `python:{version}-slim`, or set `docker.python_version` and build again"
        )
    if interpreter.startswith(f"/{VENV}/"):  # ours will lie there
        interpreter = rootfs.program(interpreter)
    return PythonTarget.of(version, interpreter, plan.platform, rootfs.libc)


def _run_config(plan: ImagePlan, base: Base) -> RunConfig:
    path = plan.env.get("PATH") or base_environment(base).get("PATH") or _PATH
    base_labels = {"org.opencontainers.image.base.digest": str(base.digest)} if base.digest else {}
    return RunConfig(
        user=plan.user,
        working_dir=plan.working_dir,
        entrypoint=plan.entrypoint,
        env={**plan.env, "PATH": f"/{VENV}/bin:{path}"},
        ports=plan.ports,
        health=plan.health,
        labels={**plan.labels, **base_labels},
    )
