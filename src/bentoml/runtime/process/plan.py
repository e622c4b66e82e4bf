"""What a server runs where: decided from the command line, the service's configuration and the machine; no I/O."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from ...exceptions import BentoMLConfigException
from .frames import Description

__all__ = ["Options", "Plan", "make_plan", "restart_delay", "table", "url"]

_KEEP_ALIVE = 5
_TIME_OF_PROGRAM = 30  # between SIGTERM and SIGKILL
_TIME_OF_HOOKS = 10.0
_MOST_PROXIES = 16
_FIRST_DELAY = 0.5
_LONGEST_DELAY = 30.0


@dataclass(frozen=True)
class Options:
    """What the command line asks for; None leaves it to the service's configuration."""

    target: str = "."
    working_dir: str | None = None
    host: str | None = None
    port: int | None = None
    workers: int | None = None
    reload: bool = False
    development: bool = False
    args: Mapping[str, str] = field(default_factory=dict)
    arg_file: str | None = None
    timeout: float | None = None
    backlog: int | None = None
    timeout_keep_alive: int | None = None
    timeout_graceful_shutdown: int | None = None
    ssl: Mapping[str, str | int | None] = field(default_factory=dict)


@dataclass(frozen=True)
class Plan:
    """The processes and the address of one server."""

    service: str
    workers: int
    host: str
    port: int
    backlog: int
    timeout_keep_alive: int
    timeout_graceful_shutdown: int
    timeout_program: int
    ssl: Mapping[str, str | int | None]
    dependencies: tuple[str, ...]

    @property
    def time_to_end(self) -> float:
        """Seconds from the signal to the end: requests first, then the program if there is one, then the hooks."""
        return self.timeout_graceful_shutdown + self.timeout_program + _TIME_OF_HOOKS


def make_plan(options: Options, service: Description, *, cpus: int) -> Plan:
    """Decide: the command line wins over the service's configuration.

    In-flight requests get as long to end as a request may take at all, unless the command line says otherwise; the
    program of a service gets 30 seconds after that, or as long as the requests where that is less.

    Raises:
        BentoMLConfigException: TLS is asked for with only a key.
    """
    ssl = {**service.ssl, **{k: v for k, v in options.ssl.items() if v is not None}}
    if ssl and not ssl.get("certfile"):
        raise BentoMLConfigException(
            "TLS needs a certificate; give one with `--ssl-certfile` or `ssl.certfile`"
        )
    graceful = (
        math.ceil(service.timeout)
        if options.timeout_graceful_shutdown is None
        else options.timeout_graceful_shutdown
    )
    return Plan(
        service=service.service,
        workers=_workers(options.workers or service.workers, service.runs_program, cpus),
        host=service.host if options.host is None else options.host,
        port=service.port if options.port is None else options.port,
        backlog=options.backlog or service.backlog,
        timeout_keep_alive=_KEEP_ALIVE if options.timeout_keep_alive is None else options.timeout_keep_alive,
        timeout_graceful_shutdown=graceful,
        timeout_program=min(graceful, _TIME_OF_PROGRAM) if service.runs_program else 0,
        ssl=ssl,
        dependencies=tuple(service.dependencies),
    )


def _workers(asked: int | str | None, runs_program: bool, cpus: int) -> int:
    """Return the number of processes: by default one, or where they only pass on requests, half the processors."""
    if isinstance(asked, str):
        return cpus
    return asked or (min(_MOST_PROXIES, cpus // 2 or 1) if runs_program else 1)


def url(plan: Plan, port: int) -> str:
    """Return where the server is; ``port`` is the one that was taken, since the plan's may be 0."""
    scheme = "https" if plan.ssl else "http"
    host = f"[{plan.host}]" if ":" in plan.host else plan.host
    return f"{scheme}://{host}:{port}"


def table(plan: Plan, address: str, pids: Sequence[int]) -> str:
    """Draw what runs where: a line for each service."""
    rows = [("SERVICE", "WORKERS", "ADDRESS", "PROCESSES")]
    rows.append((plan.service, str(plan.workers), address, " ".join(map(str, pids))))
    rows += [(name, "", f"inside {plan.service}", "") for name in plan.dependencies]
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    return "\n".join(
        "  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)).rstrip() for row in rows
    )


def restart_delay(failures: int) -> float:
    """Return how long to wait, in seconds, before a worker is started again that has failed this often in a row."""
    return min(_FIRST_DELAY * 2.0 ** min(failures - 1, 16), _LONGEST_DELAY)
