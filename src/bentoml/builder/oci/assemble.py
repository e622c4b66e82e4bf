"""From a base and layers to an image: the configuration, as canonical bytes that hold no clock and no place.

Pure: nothing is read or written. https://github.com/opencontainers/image-spec/blob/v1.1.0/config.md
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import NamedTuple

from ...exceptions import BentoMLException
from ...store.digest import canonical_json
from .model import Base, Image, Layer

__all__ = ["RunConfig", "assemble", "base_environment", "base_labels"]

_SECOND = 1_000_000_000  # times of a health check are nanoseconds
_HEALTH = {  # a part of Docker's image configuration, which that of the OCI leaves to others
    "Interval": 10 * _SECOND,
    "Timeout": 5 * _SECOND,
    "StartPeriod": 600 * _SECOND,  # large models take their time; a check that succeeds ends it
    "StartInterval": _SECOND,
    "Retries": 3,
}
_MAX_LAYERS = 100  # engines stop at 125, and whoever builds upon the image wants some too


class RunConfig(NamedTuple):
    """Say how a container of the image runs; ``health`` is the command that says whether it is well."""

    user: str
    working_dir: str
    entrypoint: tuple[str, ...]
    command: tuple[str, ...] = ()
    env: Mapping[str, str] = {}
    ports: tuple[str, ...] = ()
    health: tuple[str, ...] = ()
    labels: Mapping[str, str] = {}


def assemble(base: Base, layers: Sequence[Layer], run: RunConfig, *, epoch: int) -> Image:
    """Return the image of a base with ``layers`` on top, bottom first; all times in it are ``epoch``.

    Of how the base runs its environment, labels, ports and volumes stay; its program, its user, its health check and
    the signal that stops it do not belong to a bento.

    Raises:
        BentoMLException: the image would have more layers than engines take.
    """
    if (count := len(base.layers) + len(layers)) > _MAX_LAYERS:
        raise BentoMLException(
            f"the image would have {count} layers, {len(base.layers)} of them of its base; at most {_MAX_LAYERS} "
            "work in every engine: take a base with fewer"
        )
    created = datetime.fromtimestamp(epoch, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    config = {
        **{key: base.config[key] for key in ("os.version", "os.features") if key in base.config},
        "os": base.platform.os,
        "architecture": base.platform.architecture,
        **({"variant": base.platform.variant} if base.platform.variant else {}),
        "created": created,
        "config": _run_config(_mapping(base.config.get("config")), run),
        "rootfs": {"type": "layers", "diff_ids": [str(layer.diff_id) for layer in (*base.layers, *layers)]},
        "history": [*_base_history(base, created), *(_step(layer, created) for layer in layers)],
    }
    return Image(canonical_json(config), (*base.layers, *layers), base.platform)


def base_environment(base: Base) -> dict[str, str]:
    """Return the environment variables that the base sets."""
    return _environment(_mapping(base.config.get("config")))


def base_labels(base: Base) -> dict[str, str]:
    """Return the labels of the base."""
    labels = _mapping(_mapping(base.config.get("config")).get("Labels"))
    return {str(name): str(value) for name, value in labels.items()}


def _run_config(base: Mapping[str, object], run: RunConfig) -> dict[str, object]:
    environment = _environment(base) | dict(run.env)
    ports = {**_mapping(base.get("ExposedPorts")), **{port: {} for port in run.ports}}
    return {
        **({"Volumes": base["Volumes"]} if base.get("Volumes") else {}),
        "User": run.user,
        "WorkingDir": run.working_dir,
        "Entrypoint": list(run.entrypoint),
        **({"Cmd": list(run.command)} if run.command else {}),
        **({"Healthcheck": {"Test": ["CMD", *run.health], **_HEALTH}} if run.health else {}),
        "Env": [f"{name}={value}" for name, value in environment.items()],
        "ExposedPorts": ports,
        "Labels": {**_mapping(base.get("Labels")), **run.labels},
    }


def _environment(config: Mapping[str, object]) -> dict[str, str]:
    pairs = (str(pair).partition("=") for pair in _items(config.get("Env")))
    return {name: value for name, equals, value in pairs if name and equals}


def _base_history(base: Base, created: str) -> list[object]:
    """Return the history of the base, if it tells of each of its layers; else a line for each."""
    history = _items(base.config.get("history"))
    if sum(not _mapping(step).get("empty_layer") for step in history) == len(base.layers):
        return history
    return [{"created": created, "created_by": layer.about or "base"} for layer in base.layers]


def _step(layer: Layer, created: str) -> dict[str, object]:
    return {"created": created, "created_by": f"bentoml: {layer.about}"}


def _mapping(value: object) -> Mapping[str, object]:
    return value if isinstance(value, Mapping) else {}


def _items(value: object) -> list[object]:
    return value if isinstance(value, list) else []
