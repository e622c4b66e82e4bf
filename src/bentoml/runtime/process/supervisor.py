"""The parent of the workers: it reserves the address, starts, watches and ends them, and serves nothing itself.

It imports neither the user's code nor the HTTP server, so that it stays small and cannot fail with them.
"""

from __future__ import annotations

import logging
import selectors
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

from ...exceptions import BentoMLException
from .child import Child
from .frames import Deployed, Description, Frame, Listen, Load, Loaded, Ready, Serve
from .logging import configure
from .plan import Options, Plan, make_plan, restart_delay, table, url
from .reload import Watcher
from .shared_folder import SharedFolder, remove_part
from .signals import SignalPipe
from .sockets import Reservation, reserve

__all__ = ["WORKER", "serve"]

logger = logging.getLogger(__name__)

WORKER = (sys.executable, "-P", "-m", "bentoml.runtime.process.worker")

_STOP = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_TICK = 1.0
_HEALTHY_AFTER = 60.0
_TIME_TO_END = 10.0  # of a worker that has no plan yet
_NO_RESOURCES_DELAY = 5.0
_FAILED_TO_START = 3

Next = Literal["exit", "reload", "wait"]  # what comes when all workers have been asked to end, and have ended


def serve(options: Options, *, env: Mapping[str, str], cpus: int, command: Sequence[str] = WORKER) -> int:
    """Serve until a signal comes; return the exit code: 0 after a signal, 3 when the service fails while starting.

    ``command`` is the program of a worker; its last argument will be the number of its control socket.

    Raises:
        BentoMLException: there is no such service, its configuration is wrong or its address is taken.
    """
    with (
        TemporaryDirectory(prefix="bentoml-metrics-", ignore_cleanup_errors=True) as metrics,
        SignalPipe((*_STOP, signal.SIGCHLD)) as signals,
    ):
        supervisor = _Supervisor(
            options, cpus=cpus, command=command, env=env, metrics=Path(metrics), signals=signals
        )
        try:
            return supervisor.run()
        finally:
            supervisor.close()


@dataclass
class _Generation:
    """The workers that run the same code: a server has one of them, with reloading a new one after each change."""

    target: dict[str, Any]
    plan: Plan
    url: str
    up: bool = False  # every worker has been ready


class _Supervisor:
    """Keep the state of one server; each method is one thing that happens to it."""

    def __init__(
        self,
        options: Options,
        *,
        cpus: int,
        command: Sequence[str],
        env: Mapping[str, str],
        metrics: Path,
        signals: SignalPipe,
    ) -> None:
        self._options = options
        self._cpus = cpus
        self._command = command
        self._env = {**env, "PROMETHEUS_MULTIPROC_DIR": str(metrics)}
        self._metrics = metrics
        self._in_use = SharedFolder(metrics)
        self._signals = signals
        self._selector = selectors.DefaultSelector()
        self._selector.register(signals, selectors.EVENT_READ)
        self._children: dict[int, Child] = {}
        self._failures: dict[int, int] = {}
        self._restarts: dict[int, float] = {}
        self._generation: _Generation | None = None
        self._reservation: Reservation | None = None
        self._watcher: Watcher | None = None
        self._deployed = False
        self._was_up = False  # some generation has been up
        self._halting: Next | None = None
        self._deadline = 0.0
        self._exit_code = 0

    def run(self) -> int:
        """Run until all workers have ended for good."""
        self._start(1)
        while self._children or self._halting != "exit":
            for key, _ in self._selector.select(self._patience()):
                if key.data is None:
                    self._take_signals()
                else:
                    self._listen(key.data)
            self._tend(time.monotonic())
        return self._exit_code

    def close(self) -> None:
        """Leave nothing behind, whatever happened."""
        if self._watcher is not None:
            self._watcher.stop()
        for child in self._children.values():
            child.stop()
        for child in self._children.values():
            child.finish(_TIME_TO_END)
        if self._reservation is not None:
            self._reservation.close()
        self._selector.close()
        self._in_use.leave()

    def _start(self, index: int) -> None:
        """Start a worker; the first of a generation finds the service, the others load what it found."""
        self._restarts.pop(index, None)
        child = self._children[index] = Child(index, self._command, self._env)
        self._selector.register(child.channel, selectors.EVENT_READ, child)
        child.channel.send(
            Load(
                index=index,
                identifier=self._options.target,
                working_dir=self._options.working_dir,
                target=self._generation.target if self._generation else None,
                log_level=logger.getEffectiveLevel(),
                timeout=self._options.timeout,
                args=dict(self._options.args),
                arg_file=self._options.arg_file,
                shared_folder=str(self._metrics),
            )
        )

    def _listen(self, child: Child) -> None:
        for frame in child.read(time.monotonic()):
            if isinstance(frame, Deployed):
                self._deployed = True
            if self._halting is None:
                self._hear(child, frame)
        if not child.talks:
            self._selector.unregister(child.channel)

    def _hear(self, child: Child, frame: Frame) -> None:
        match frame:
            case Description():
                generation = self._generation or self._begin(frame)
                self._let_serve(child, generation.plan)
                if self._deployed:
                    self._start_others(generation.plan)
            case Deployed() if self._generation:
                self._start_others(self._generation.plan)
            case Loaded() if self._generation:
                self._let_listen(self._generation.plan)
            case Ready() if self._generation:
                self._welcome(child, self._generation)
            case _:
                pass

    def _begin(self, described: Description) -> _Generation:
        """Decide what runs where, from what the first worker of a generation says, and take the address."""
        if described.json_log:
            configure("cli", logger.getEffectiveLevel(), as_json=True)
        plan = make_plan(self._options, described, cpus=self._cpus)
        taken = self._reservation
        if taken is None or (taken.host, taken.asked_port) != (plan.host, plan.port):
            if taken is not None:
                taken.close()
            taken = self._reservation = reserve(plan.host, plan.port)
        self._generation = _Generation(described.target, plan, url(plan, taken.port))
        if self._options.reload and self._watcher is None and described.target["working_dir"]:
            folder = Path(described.target["working_dir"])
            self._watcher = Watcher(
                folder, self._signals.wake, include=described.include, exclude=described.exclude
            )
        logger.info("Starting %s with %s", plan.service, _count(plan.workers))
        return self._generation

    def _let_serve(self, child: Child, plan: Plan) -> None:
        assert self._reservation is not None
        order = Serve(
            deploy=not self._deployed,
            workers=plan.workers,
            development=self._options.development,
            backlog=plan.backlog,
            timeout_keep_alive=plan.timeout_keep_alive,
            timeout_graceful_shutdown=plan.timeout_graceful_shutdown,
            timeout_program=plan.timeout_program,
            metrics_folder=str(self._metrics),
            ssl=dict(plan.ssl),
            together=plan.workers > 1 and self._generation is not None and not self._generation.up,
        )
        with self._reservation.worker_socket() as listening:
            child.channel.send(order, [listening.fileno()])

    def _start_others(self, plan: Plan) -> None:
        for index in range(1, plan.workers + 1):
            if index not in self._children and index not in self._restarts:
                self._start(index)

    def _let_listen(self, plan: Plan) -> None:
        """Let the workers of a new generation listen, all at once, so that connections spread over all of them."""
        loaded = [child for child in self._children.values() if child.loaded]
        if len(loaded) == plan.workers:
            for child in loaded:
                child.channel.send(Listen())

    def _welcome(self, child: Child, generation: _Generation) -> None:
        """Say that a worker, or with the last of them the whole server, is ready."""
        workers = generation.plan.workers
        ready = [c for _, c in sorted(self._children.items()) if c.ready_since is not None]
        if generation.up:
            logger.info("%s is ready", child)
        elif len(ready) == workers:
            generation.up = self._was_up = True
            rows = table(generation.plan, generation.url, [c.pid for c in ready])
            logger.info("What runs where:\n%s", rows)
            how = f"{_count(workers)}, Press CTRL+C to quit"
            logger.info("Service %s ready: %s (%s)", generation.plan.service, generation.url, how)

    def _take_signals(self) -> None:
        for number in self._signals.read():
            if number in _STOP:
                self._stop(signal.Signals(number).name)
            elif number == SignalPipe.WOKEN:
                self._reload()

    def _reload(self) -> None:
        news = self._watcher.news() if self._watcher else []
        if news and self._halting != "exit":
            logger.info("Detected changes in %s. Reloading...", ", ".join(news))
            self._halt("reload")

    def _stop(self, why: str) -> None:
        """Let the requests in flight end, or after a second signal nothing any more."""
        if self._halting == "exit":
            logger.warning("Stopping at once")
            for child in self._children.values():
                child.kill()
            return
        logger.info("Stopping after %s", why)
        self._end()

    def _end(self) -> None:
        if self._reservation is not None:
            self._reservation.close()
        self._halt("exit")

    def _halt(self, then: Next) -> None:
        """Ask every worker to end, and remember what comes then."""
        if self._halting == then:
            return
        for child in self._children.values():
            child.stop()
        patience = self._generation.plan.time_to_end if self._generation else _TIME_TO_END
        self._deadline = time.monotonic() + patience
        self._halting = then
        self._restarts.clear()

    def _patience(self) -> float:
        """Return for how long there is nothing to do, in seconds."""
        now = time.monotonic()
        return max(0.0, min([_TICK, *(due - now for due in self._restarts.values())]))

    def _tend(self, now: float) -> None:
        """Do what the clock, rather than somebody, asks for."""
        for child in [c for c in self._children.values() if c.ended()]:
            self._lose(child, now)
        for index in [i for i, due in self._restarts.items() if due <= now]:
            self._start_again(index, now)
        if self._halting is None:
            for child in self._children.values():
                child.check_pulse(now)
        elif self._halting == "reload" and not self._children:
            self._halting, self._generation = None, None
            self._failures.clear()
            self._start(1)
        elif self._children and now > self._deadline:
            logger.warning("Ending %s: they took too long", ", ".join(map(str, self._children.values())))
            for child in self._children.values():
                child.kill()

    def _lose(self, child: Child, now: float) -> None:
        """React to the end of a worker."""
        if child.talks:
            self._listen(child)  # its last word
        if child.talks:
            self._selector.unregister(child.channel)
        child.channel.close()
        del self._children[child.index]
        for left in self._metrics.glob(f"gauge_live*_{child.pid}.db"):
            left.unlink()  # what prometheus_client keeps of living processes
        remove_part(self._metrics, child.pid)
        if self._halting is not None:
            if child.failure is not None and child.ready_since is not None:
                logger.error("%s %s while stopping%s", child, child.reason(), _said(child))
        elif self._generation is not None and self._generation.up:
            self._restart_later(child, now)
        else:
            self._give_up(child)

    def _restart_later(self, child: Child, now: float) -> None:
        if child.ready_since is not None and now - child.ready_since > _HEALTHY_AFTER:
            self._failures[child.index] = 0
        failures = self._failures[child.index] = self._failures.get(child.index, 0) + 1
        delay = restart_delay(failures)
        self._restarts[child.index] = now + delay
        logger.error("%s %s; it starts again in %g s%s", child, child.reason(), delay, _said(child))

    def _start_again(self, index: int, now: float) -> None:
        try:
            self._start(index)
        except OSError as e:  # short of memory or processes: the other workers go on
            logger.error("worker %d cannot be started: %s", index, e)
            self._restarts[index] = now + _NO_RESOURCES_DELAY

    def _give_up(self, child: Child) -> None:
        """End everything because a worker cannot start; with reloading only until the code changes again."""
        failure = child.failure
        if self._was_up:
            logger.error("%s %s while starting; waiting for a change%s", child, child.reason(), _said(child))
            self._halt("wait")
        elif failure is not None and failure.exit_code != _FAILED_TO_START:
            raise BentoMLException(failure.message)
        else:
            logger.error("The service failed to start: %s %s%s", child, child.reason(), _said(child))
            self._exit_code = _FAILED_TO_START
            self._end()


def _said(child: Child) -> str:
    return f"\n{child.failure.message}" if child.failure else ""


def _count(workers: int) -> str:
    return "1 worker" if workers == 1 else f"{workers} workers"
