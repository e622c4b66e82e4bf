"""The worker's side of the queue: claim tasks while there are places, run them as requests, keep their answers."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from time import perf_counter

from starlette.types import ASGIApp

from ..errors import GENERIC, RAISED, error_body
from .clerk import Clerk
from .exchange import Kept, replayed, scope_of
from .model import Claimed, Reply
from .places import Place, Places
from .queue import TaskStoreError
from .spool import NO_ROOM, Spool, forget

__all__ = ["Runner"]

logger = logging.getLogger(__name__)

_FIRST_PAUSE = 0.5
_LONGEST_PAUSE = 10.0
_JSON = (("content-type", "application/json"),)
_NOT_KEPT = "the answer of this task could not be kept: there is no room on the disk of the server"


class Runner:
    """Run the tasks of the APIs of one worker, each of them by its application in ``apps``."""

    def __init__(
        self,
        clerk: Clerk,
        apps: Mapping[str, ASGIApp],
        concurrency: int,
        new_spool: Callable[[], Spool],
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        self._clerk = clerk
        self._apps = apps
        self._places = Places(concurrency, self.wake, loop)
        self._new_spool = new_spool
        self._loop = loop
        self._running: dict[str, asyncio.Task[None]] = {}
        self._unwanted: set[str] = set()
        self._claiming: asyncio.Task[None] | None = None
        self._again = False
        self._ending = False
        self._ended_at = 0.0

    def wake(self) -> None:
        """Look for work: there may be some, or a place has become free. Never waits."""
        if self._ending:
            return
        if self._claiming is None or self._claiming.done():
            self._claiming = self._loop.create_task(self._claim())
        else:
            self._again = True

    def cancel(self, id: str) -> None:
        """Stop a task that was canceled, if it runs here."""
        running = self._running.get(id)
        if running is not None and id not in self._unwanted:
            self._unwanted.add(id)
            running.cancel()

    def end(self) -> None:
        """Claim no more; the time that running tasks have left begins now."""
        if not self._ending:
            self._ending = True
            self._ended_at = self._loop.time()

    async def close(self, grace: float) -> None:
        """Let running tasks end until ``grace`` seconds after ``end``; the others wait again, for other workers."""
        self.end()
        if self._claiming is not None:
            await self._claiming  # a task that is claimed just now is to be given back
        if self._running:
            await asyncio.wait(
                self._running.values(), timeout=max(0.0, self._ended_at + grace - self._loop.time())
            )
        left = dict(self._running)
        for running in left.values():
            running.cancel()
        if left:
            await asyncio.wait(left.values())
            await self._give_back(list(left))

    async def _claim(self) -> None:
        """Take as many tasks as there are places, and see which of those that run were canceled elsewhere."""
        self._again = True
        while self._again and not self._ending:
            self._again = False
            try:
                claimed, canceled = await self._news(self._places.free, list(self._running))
            except TaskStoreError as e:
                logger.error("no task can be taken: %s", e)
                return  # the clerk says when there is news
            for id in canceled:
                self.cancel(id)
            for task in claimed:
                self._start(task)
            self._again = self._again or bool(claimed)

    async def _news(self, free: int, running: list[str]) -> tuple[list[Claimed], list[str]]:
        if free:
            return await self._clerk.write(lambda q: (q.claim(self._apps, free), q.canceled(running)))
        return [], await self._clerk.read(lambda q: q.canceled(running))

    def _start(self, task: Claimed) -> None:
        place = self._places.take()
        self._running[task.id] = running = self._loop.create_task(self._run(task, place))
        running.add_done_callback(lambda _: self._over(task.id, place))

    def _over(self, id: str, place: Place) -> None:
        del self._running[id]
        self._unwanted.discard(id)
        place.done()  # also of a task that was canceled before its first step

    async def _run(self, task: Claimed, place: Place) -> None:
        started = perf_counter()
        spool = self._new_spool()
        try:
            with place.entered():
                reply = await self._answer(task, spool)
            place.done()  # the next task need not wait until this one's answer is on the disk
            await self._keep(task, reply, spool, perf_counter() - started)
        except asyncio.CancelledError:
            if task.id in self._unwanted:
                logger.info("Task %s of %s was canceled", task.id, task.api)
        finally:
            spool.discard()

    async def _answer(self, task: Claimed, spool: Spool) -> Reply:
        kept = Kept(spool)
        try:
            scope = scope_of(task.request, path=task.api, task_id=task.id)
            await self._apps[task.api](scope, replayed(task.request.body), kept)
            return await kept.reply()
        except RAISED as e:  # the boundary of the user's code: its response may fail while it is sent
            logger.exception("Exception on task %s of %s", task.id, task.api)
            full = isinstance(e, OSError) and e.errno in NO_ROOM
            return Reply(507 if full else 500, _JSON, error_body(_NOT_KEPT if full else GENERIC))

    async def _keep(self, task: Claimed, reply: Reply, spool: Spool, seconds: float) -> None:
        """Keep an answer, however long the disk may be full."""
        pause = _FIRST_PAUSE
        spool.keep()  # from here on nobody knows, if this is cancelled, whether the task has it
        while True:
            try:
                kept = await self._clerk.write(lambda q: q.finish(task.id, reply, seconds))
            except TaskStoreError as e:
                logger.error("the answer of task %s cannot be kept yet: %s", task.id, e)
                await asyncio.sleep(pause)
                pause = min(pause * 2, _LONGEST_PAUSE)
            else:
                if not kept:
                    forget(reply.body)
                what = f"{reply.status}: {reply.code}" if kept else "no longer wanted: its answer is dropped"
                logger.info(
                    "Task %s of %s %s in %.3f s (attempt %d)", task.id, task.api, what, seconds, task.attempt
                )
                return

    async def _give_back(self, ids: list[str]) -> None:
        try:
            await self._clerk.write(lambda q: q.release(ids))
        except TaskStoreError as e:
            logger.error("%d tasks run again once this process has ended: %s", len(ids), e)
        else:
            logger.info("Tasks given back to the queue: %s", ", ".join(ids))
