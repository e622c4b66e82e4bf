"""GPUs: how many this machine has, and which of them the services of a server get."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ...exceptions import BentoMLConfigException
from ...process import CommandFailed, run
from ...sdk.service import Service

__all__ = ["TooFewGpus", "assigned", "count_gpus", "gpu_variables"]

logger = logging.getLogger(__name__)

_VISIBLE = "CUDA_VISIBLE_DEVICES"
_DRIVER = Path("/proc/driver/nvidia/gpus")
_PATIENCE = 20.0  # seconds; a machine of many GPUs that nobody uses takes a few


class TooFewGpus(BentoMLConfigException):
    """The machine has GPUs, and the services need more."""


def gpu_variables(
    service: Service[Any], env: Mapping[str, str], count: Callable[[], int] | None = None
) -> dict[str, str]:
    """Return the variables that show a worker the GPUs of its services, which are the same in each worker.

    Where ``CUDA_VISIBLE_DEVICES`` is set already, or ``BENTOML_DISABLE_GPU_ALLOCATION`` is, whoever did it knows better.
    A machine without any GPU serves all the same: what a service does then is its own decision.

    Raises:
        TooFewGpus: there are GPUs, but too few.
    """
    if _VISIBLE in env or env.get("BENTOML_DISABLE_GPU_ALLOCATION", "").lower() not in ("", "0", "false"):
        return {}
    services = service.all_services().values()
    wanted = {one.name: gpu for one in services if (gpu := one.settings.resources.gpu) is not None}
    if not wanted or service.settings.workers == "cpu_count":
        return {}
    available = (count or count_gpus)()
    if not available:
        names = ", ".join(f"`{name}`" for name in wanted)
        logger.warning("%s asks for GPUs, and this machine has none", names)
        return {}
    return {_VISIBLE: ",".join(map(str, assigned(wanted, available)))}


def assigned(wanted: Mapping[str, float], available: int) -> list[int]:
    """Return the numbers of the GPUs for services that want so many: whole ones for each, parts beside other parts.

    Raises:
        TooFewGpus: there are too few.
    """
    rest: list[float] = []  # of each GPU in use
    for gpu in wanted.values():
        if gpu >= 1:
            rest += [0.0] * int(gpu)
            continue
        place = next((i for i, free in enumerate(rest) if free >= gpu), None)
        if place is None:
            rest.append(1.0 - gpu)
        else:
            rest[place] = round(rest[place] - gpu, 6)
    if len(rest) > available:
        each = ", ".join(f"{gpu:g} for `{name}`" for name, gpu in wanted.items())
        raise TooFewGpus(
            f"the services need {len(rest)} GPUs ({each}), and this machine has {available}; lower `resources.gpu`, or set "
            f"`{_VISIBLE}` to those that all of them share"
        )
    return list(range(len(rest)))


def count_gpus(driver: Path = _DRIVER) -> int:
    """Return the number of GPUs that the driver of NVIDIA knows; none without it."""
    try:
        return len(list(driver.iterdir()))
    except OSError:
        pass
    program = shutil.which("nvidia-smi")
    if program is None:
        return 0
    try:
        lines = run([program, "--query-gpu=index", "--format=csv,noheader"], timeout=_PATIENCE).splitlines()
    except CommandFailed as e:
        logger.warning("the number of GPUs is not known: %s", e)
        return 0
    return sum(line.strip().isdigit() for line in lines)
