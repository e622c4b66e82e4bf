"""What `bento.yaml` says, but for the files: its services, its models by version and digest, its image, what it is called."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from ...exceptions import InvalidArgument
from ...store.aliases import MARK
from ...store.manifest import BentoInfo, ModelRef
from ...store.models import ModelStore
from ...tag import Tag
from ..build_file.config import BuildConfig, parse_config
from ..described.describe import Description
from ..docker.dockerfile import base_image_of
from ..packages.lock_platform import LockPlatform
from ..packages.project import ProjectRequirements
from .model_specs import model_info

__all__ = ["bento_info", "bento_name", "image_of"]


def bento_name(name: str) -> str:
    """Return the name that a class gives its bento: words in lower case, with `_` between them."""
    snake = re.sub(r"(?<=[a-zA-Z0-9])(?=[A-Z][a-z])", "_", name).lower()
    try:
        return Tag(snake).name
    except ValueError as e:
        raise InvalidArgument(
            f"the bento cannot be called `{snake}`: {e}; set `name` in the build file"
        ) from e


def bento_info(
    tag: Tag,
    config: BuildConfig,
    description: Description,
    models: ModelStore,
    image: dict[str, Any],
    labels: Mapping[str, str],
    hub: Mapping[str, Sequence[ModelRef]],
) -> BentoInfo:
    """Return what `bento.yaml` says; each model is named by its exact version and digest.

    ``labels`` go before those of the build file and of the service; ``hub`` has the models on Hugging Face, by service.

    Raises:
        NotFound: a model is not in the store.
    """
    declared = parse_config({"labels": description.labels, "envs": description.envs}, source="the service")
    envs = {variable.name: variable._asdict() for variable in [*config.envs, *declared.envs]}
    return BentoInfo(
        tag=tag,
        service=description.service,
        entry_service=description.name,
        labels={**config.labels, **declared.labels, **labels},
        models=tuple(
            ModelRef.of(
                model_info(spec, models), alias=spec.alias or (spec.tag if MARK in spec.tag else None)
            )
            for spec in config.models
        ),
        services=tuple(
            {**service, "models": [ref.to_data() for ref in _used_models(models, service, hub)]}
            for service in description.services
        ),
        envs=tuple(envs.values()),
        schema=description.schema,
        args=dict(config.args),
        image=image,
        description=config.description,
    )


def _used_models(
    models: ModelStore, service: Mapping[str, Any], hub: Mapping[str, Sequence[ModelRef]]
) -> list[ModelRef]:
    """Return what a bento says of the models of a service; an alias means the one that it names now, wherever it is moved."""
    used = [
        ModelRef.of(models.get(tag).info, alias=alias or None) for tag, alias in sorted(service["models"])
    ]
    return [*used, *hub.get(service["name"], ())]


def image_of(
    config: BuildConfig,
    requirements: ProjectRequirements,
    platforms: Sequence[LockPlatform],
    commits: Mapping[str, str],
) -> dict[str, Any]:
    """Return the `image` key of `bento.yaml`: what has to lie under the bento in an image.

    What few projects use is there only if this one does, so that nobody's tag moves with what they do not use.
    """
    docker, python = config.docker, requirements.python
    rare = {
        "cuda_version": docker.cuda_version,
        "setup_script": "env/docker/setup_script" if docker.setup_script else "",
        "dockerfile_template": "env/docker/Dockerfile.template" if docker.dockerfile_template else "",
        "compile": docker.compile,
        "conda": config.conda.environment() if config.conda else {},
        "pip_args": " ".join(python.pip_args),
        "wheels": [wheel.rpartition("/")[2] for wheel in python.wheels],
        "resolver": "" if python.resolver == "uv" else python.resolver,
        "unpacked": [source.line for source in requirements.unpacked],
        "platforms": [platform.image for platform in platforms] if len(platforms) > 1 else [],
    }
    return {
        "base_image": docker.base_image
        or base_image_of(docker.distro, docker.python_version, docker.cuda_version),
        "python_version": docker.python_version,
        "commands": [],
        "python_requirements": "".join(f"{line}\n" for line in requirements.written(commits)),
        "post_commands": [],
        "build_include": [],
        "distro": docker.distro,
        "system_packages": list(docker.system_packages),
        "env": dict(docker.env),
        "platform": platforms[0].image,
        "index_url": python.index_url,
        "extra_index_url": list(requirements.all_extra_indexes),
        "find_links": list(requirements.links_in_bento),
        "trusted_host": list(python.trusted_host),
        "no_index": python.no_index,
        **{key: value for key, value in rare.items() if value},
    }
