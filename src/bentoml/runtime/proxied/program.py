"""The program of a service: started with its worker, watched, started again, ended."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import httpx2

from ...exceptions import BentoMLConfigException, BentoMLException
from ..process.plan import restart_delay
from .command import CommandFailed
from .reverse_proxy import ReverseProxy
from .users import nobody_uses, using

__all__ = ["running_program"]

logger = logging.getLogger(__name__)

_LEASH = Path(__file__).with_name("leash.py")
_LOOK_EVERY = 0.5


@asynccontextmanager
async def running_program(
    argv: list[str] | None,
    upstream: str,
    health: str,
    env: Mapping[str, str],
    *,
    grace: float,
    lock: Path | None = None,
) -> AsyncIterator[ReverseProxy]:
    """Run a program while the block runs, and give what passes requests on to it once it is well.

    Without ``argv`` another worker runs it; it ends the program when nobody holds ``lock``, which is theirs, any more.

    Raises:
        CommandFailed: it ends before.
        BentoMLConfigException: it has no page ``health``.
    """
    async with ReverseProxy(upstream, health) as proxy:
        if argv is None:
            await _until_well(proxy, None)
            with using(lock):
                yield proxy
            return
        program = _Program(argv, env, proxy, grace)
        await program.start()
        keeping = asyncio.create_task(program.keep())
        try:
            yield proxy
        finally:
            await nobody_uses(lock)
            keeping.cancel()
            await asyncio.gather(keeping, return_exceptions=True)
            await program.end()


class _Program:
    """One running program, and the next one when it has ended."""

    def __init__(self, argv: list[str], env: Mapping[str, str], proxy: ReverseProxy, grace: float) -> None:
        self._argv = argv
        self._env = dict(env)
        self._proxy = proxy
        self._grace = grace
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        """Start the program and return when it is well."""
        logger.info("Starting `%s`", self._argv[0])
        leash = (sys.executable, "-I", "-S", str(_LEASH), str(os.getpid()))
        self._process = await asyncio.create_subprocess_exec(
            *leash, *self._argv, env=self._env, stdin=asyncio.subprocess.DEVNULL, start_new_session=True
        )
        try:
            await _until_well(self._proxy, self._process)
        except BaseException:
            await self.end()
            raise
        logger.info("`%s` answers at %s", self._argv[0], self._proxy.upstream)

    async def keep(self) -> None:
        """Start the program again whenever it ends."""
        failures = 0
        while self._process is not None:
            code = await self._process.wait()
            failures += 1
            delay = restart_delay(failures)
            logger.error("`%s` ended with exit code %d; it starts again in %g s", self._argv[0], code, delay)
            await asyncio.sleep(delay)
            try:
                await self.start()
                failures = 0
            except BentoMLException as e:
                logger.error("%s", e)

    async def end(self) -> None:
        """Ask the program and what it has started to end, and after a while end them."""
        process = self._process
        if process is None:
            return
        for number, patience in ((signal.SIGTERM, self._grace), (signal.SIGUSR1, None)):  # see leash.py
            with suppress(ProcessLookupError):
                process.send_signal(number)
            with suppress(TimeoutError):
                await asyncio.wait_for(process.wait(), patience)
                return


async def _until_well(proxy: ReverseProxy, process: asyncio.subprocess.Process | None) -> None:
    """Return when the program answers its health page; ``process`` is the one to watch meanwhile."""
    while True:
        if process is not None and process.returncode is not None:
            raise CommandFailed(
                f"the command of the service ended with exit code {process.returncode} before it answered at "
                f"`{proxy.upstream}{proxy.health}`; its own output is above"
            )
        try:
            status = await proxy.status()
        except httpx2.TransportError:
            status = None
        if status == 404:
            raise BentoMLConfigException(
                f"the command of the service has no page `{proxy.health}`; name the one that says whether it is well by "
                '`endpoints={"livez": "/path"}`'
            )
        if status is not None and status < 400:
            return
        await asyncio.sleep(_LOOK_EVERY)
