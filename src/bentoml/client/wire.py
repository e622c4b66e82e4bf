"""Wire: what the flow of a call needs of the world, whether it blocks or awaits an event loop."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from typing import Any, Protocol, TypeVar

from .address import Address
from .body import Body

__all__ = ["Answer", "Wire", "run"]

T = TypeVar("T")


class Answer(Protocol):
    """What a server sent; the body is read as it is asked for. It must be closed."""

    status: int
    headers: Mapping[str, str]

    async def read(self) -> bytes:
        """Return the whole body."""
        ...

    async def piece(self) -> bytes | None:
        """Return the next piece of the body as it comes from the network; None is its end."""
        ...

    async def close(self) -> None:
        """Give the connection back, or hang up where the body is not read to its end."""
        ...


class Wire(Protocol):
    """How the flow of a call, written once, meets the world: by blocking, or by awaiting an event loop.

    What it sends raises ``ServiceUnavailable`` (``RequestTimeout``, ``Unreachable``, ``BrokenConnection``).
    """

    address: Address

    async def send(
        self, method: str, url: str, body: Body | None, headers: Mapping[str, str], timeout: float | None
    ) -> Answer:
        """Send a request to the server, or to another address; the token goes to the server alone."""
        ...

    async def fetch(self, url: str, timeout: float | None) -> Answer:
        """Ask for something that lies elsewhere."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        ...

    async def work(self, function: Callable[..., T], *args: Any) -> T:
        """Call a function that takes its time."""
        ...

    async def close(self) -> None:
        """Close the connections."""
        ...


def run(flow: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine whose wire blocks: it never waits for an event loop, and so ends at the first step."""
    try:
        flow.send(None)
    except StopIteration as done:
        value: T = done.value
        return value
    flow.close()
    raise RuntimeError("a flow over a blocking wire waited for an event loop")
