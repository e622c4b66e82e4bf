"""One worker process: load the service, say what it is, answer requests until told to end."""

from __future__ import annotations

import asyncio
import inspect
import io
import ipaddress
import os
import signal
import socket
import sys
import traceback
from collections.abc import Mapping
from contextlib import ExitStack, suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from ...config import Home, environment, set_variables
from ...exceptions import (
    BentoMLConfigException,
    BentoMLException,
    ImportServiceError,
    MissingDependencyException,
    NotFound,
)
from ...sdk.configuration.argument_file import read_argument_file
from ...sdk.configuration.arguments import WrongArguments, plain
from ...sdk.configuration.environment import declared_variables
from ...sdk.configuration.sections import Ssl
from ...sdk.context import server_context
from ...sdk.loader import Target, build_patterns, find, load_target
from ...sdk.service import Service
from ..app import AppOptions, create_app
from ..errors import users_traceback
from ..http.server import answer
from ..proxied.command import CommandFailed
from ..tasks.place import TaskOptions, place_of
from ..tasks.queue import TaskStoreError
from .frames import Channel, Deployed, Description, Failed, Load, Serve
from .gpus import gpu_variables
from .logging import configure
from .shared_folder import SharedFolder
from .signals import do_nothing, end_with
from .sockets import allow_all_connections

__all__ = ["main"]


class ModelMissing(BentoMLException):
    """Say that a service names a model that is not in the store."""


_NOT_AVAILABLE = "not available"
_CANNOT_START = 1
_FAILED = 3


def main() -> None:
    """Run as a program whose last argument is the number of the control socket."""
    control = socket.socket(fileno=int(sys.argv[-1]))
    control.set_inheritable(False)  # no process that the user's code starts keeps it open
    # A terminal sends these to every process; it is the supervisor who says how to end.
    signal.signal(signal.SIGINT, do_nothing)
    signal.signal(signal.SIGHUP, do_nothing)
    end_with(control.fileno())
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(line_buffering=True)  # what the user prints belongs to the log
    sys.exit(_work(Channel(control), environment()))


def _work(channel: Channel, env: Mapping[str, str]) -> int:
    """Return the exit code; what went wrong is told to the supervisor, which shows it once for all workers."""
    order = channel.receive()
    if not isinstance(order, Load):  # the supervisor is gone
        return 0
    configure(f"worker:{order.index}", order.log_level)
    with ExitStack() as stack:
        if order.shared_folder is not None:
            with suppress(FileNotFoundError):  # the supervisor is gone, and so is this process in a moment
                stack.callback(SharedFolder(Path(order.shared_folder)).leave)
        return _serve(order, channel, env)


def _serve(order: Load, channel: Channel, env: Mapping[str, str]) -> int:
    try:
        target = _target(order, Home.from_environment(env))
    except BentoMLException as e:
        return _fail(channel, _CANNOT_START, str(e))
    try:
        _run(target, order, channel, env)
    except (
        ImportServiceError,
        BentoMLConfigException,
        MissingDependencyException,
        ModelMissing,
        WrongArguments,
        TaskStoreError,
        CommandFailed,
    ) as e:
        return _fail(channel, _CANNOT_START, str(e))
    except BaseException as e:  # the boundary of the process, and of the user's code: also sys.exit() in it
        return _fail(channel, _FAILED, _shown(e))
    return 0


def _run(target: Target, order: Load, channel: Channel, env: Mapping[str, str]) -> None:
    started_in = Path.cwd()
    service = _load(target, order, env)
    _find_models(service)
    set_variables(declared_variables(service, env))
    as_json = service.settings.logging.json
    configure(f"entry_service:{service.name}:{order.index}", order.log_level, as_json=as_json)
    set_variables(gpu_variables(service, env))
    _fill_server_context(service)
    channel.send(_describe(service, target))
    serve = channel.receive()
    if not isinstance(serve, Serve):
        return
    listening = socket.socket(fileno=channel.descriptors.pop())
    if serve.deploy:
        _deploy(service)
        channel.send(Deployed())
    options = AppOptions(
        bento_name=server_context.bento_name,
        bento_version=server_context.bento_version,
        worker_index=order.index,
        metrics_folder=Path(serve.metrics_folder),
        development=serve.development,
        access_log=service.settings.logging.access.enabled,
        workers=serve.workers,
        timeout_program=serve.timeout_program,
        loopback_port=_loopback_port(listening),
        env=env,
        log_folder=started_in if service.bento else Path.cwd(),  # a bento is not to be written to
        tasks=TaskOptions(
            place_of(service, home=Home.from_environment(env), env=env, working_dir=Path(target.working_dir)),
            workers=serve.workers,
            grace=serve.timeout_graceful_shutdown,
        ),
    )
    allow_all_connections()
    limits = service.settings.http.limits
    app = create_app(service, options=options)
    websockets = _has_websockets(service)
    answer(app.dispatch, listening, serve, channel, env, limits, websockets=websockets, on_end=app.end)


def _loopback_port(listening: socket.socket) -> int | None:
    """Return the port where only this machine can reach it."""
    if listening.family not in (socket.AF_INET, socket.AF_INET6):
        return None
    address = listening.getsockname()
    return address[1] if ipaddress.ip_address(address[0]).is_loopback else None


def _has_websockets(service: Service[Any]) -> bool:
    """Tell whether anything in a service could answer a websocket: its APIs do not."""
    return bool(service.mount_apps or service.middlewares or service.runs_program)


def _find_models(service: Service[Any]) -> None:
    """Look for the models that attributes name, now rather than in the first request."""
    for one in service.all_services().values():
        try:
            _ = one.models
        except NotFound as e:
            raise ModelMissing(f"service `{one.name}`: {e}") from e


def _load(target: Target, order: Load, env: Mapping[str, str]) -> Service[Any]:
    """Import the service in its own folder, so that its relative paths mean the same here and in its bento."""
    server_context.worker_index = order.index
    os.chdir(target.working_dir)
    service = load_target(target, home=Home.from_environment(env))
    if order.timeout is not None:
        traffic = replace(service.settings.traffic, timeout=order.timeout)
        service.settings = replace(service.settings, traffic=traffic)
    return service


def _target(order: Load, home: Home) -> Target:
    if order.target is None:
        working_dir = Path(order.working_dir) if order.working_dir else None
        target = find(order.identifier, home=home, working_dir=working_dir)
        of_file = read_argument_file(Path(order.arg_file)) if order.arg_file else {}
        return replace(target, args={**target.args, **plain(of_file), **order.args})
    return Target(**{**order.target, "working_dir": Path(order.target["working_dir"])})


def _fail(channel: Channel, exit_code: int, message: str) -> int:
    channel.send(Failed(exit_code, message))
    return exit_code


def _fill_server_context(service: Service[Any]) -> None:
    bento = service.bento
    server_context.service_type = "entry_service"
    server_context.service_name = service.name
    server_context.service_routes = [method.route for method in service.apis.values()]
    server_context.bento_name = bento.tag.name if bento else service.name
    server_context.bento_version = (bento.tag.version if bento else None) or _NOT_AVAILABLE


def _describe(service: Service[Any], target: Target) -> Description:
    settings = service.settings
    include, exclude = build_patterns(target.working_dir)
    return Description(
        target={**asdict(target), "working_dir": str(target.working_dir)},
        service=service.name,
        workers=settings.workers,
        host=settings.http.host,
        port=settings.http.port,
        backlog=settings.backlog,
        timeout=settings.traffic.timeout,
        ssl=_ssl(settings.ssl),
        dependencies=[name for name in service.all_services() if name != service.name],
        include=include,
        exclude=exclude,
        json_log=settings.logging.json,
        runs_program=service.runs_program,
    )


def _ssl(settings: Ssl) -> dict[str, str | int | None]:
    given = asdict(settings)
    return given if given.pop("enabled") else {}


def _deploy(service: Service[Any]) -> None:
    """Run the deployment hooks of a service and of those that it depends on."""
    for one in service.all_services().values():
        for _, hook in one.hooks("deployment"):
            result = hook()
            if inspect.iscoroutine(result):
                asyncio.run(result)


def _shown(error: BaseException) -> str:
    """Return an error as Python shows it, with a traceback that begins in the user's code."""
    return "".join(traceback.format_exception(type(error), error, users_traceback(error))).rstrip()


if __name__ == "__main__":
    main()
