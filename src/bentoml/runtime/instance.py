"""The instance of a service in this worker: made, started and stopped with the user's hooks."""

from __future__ import annotations

import inspect
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Literal

from ..sdk.dependency import LocalServices
from ..sdk.service import Service, set_current_service
from .errors import RAISED

__all__ = ["started"]

logger = logging.getLogger(__name__)


@asynccontextmanager
async def started(service: Service[Any]) -> AsyncIterator[Any]:
    """Make the instance, and those of the services it depends on, run their startup hooks, and in the end their
    shutdown hooks.

    What the user's code raises while it starts is raised here; an error of a shutdown hook is logged, so that the
    others run too.
    """
    services = LocalServices()
    instance = services.start(service)
    set_current_service(instance)
    logger.info("Service %s initialized", service.name)
    known = service.all_services()
    instances = [(known[name], made) for name, made in services.instances.items()] + [(service, instance)]
    try:
        for one, its_instance in instances:
            await _run_hooks(one, its_instance, "startup")
        try:
            yield instance
        finally:
            for one, its_instance in reversed(instances):
                await _run_hooks(one, its_instance, "shutdown")
            logger.info("Service instance cleanup finalized")
    finally:
        set_current_service(None)
        await services.close()


async def _run_hooks(service: Service[Any], instance: Any, kind: Literal["startup", "shutdown"]) -> None:
    word = "startup" if kind == "startup" else "cleanup"
    for name, hook in service.hooks(kind):
        logger.info("Running %s hook: %s", word, name)
        try:
            result = hook(instance)
            if inspect.isawaitable(result):
                await result
        except RAISED:  # the boundary of the user's code
            if kind == "startup":
                raise
            logger.exception("%s hook failed: %s", word, name)
        else:
            logger.info("Completed %s hook: %s", word, name)
