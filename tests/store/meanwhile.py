"""What another thread does over and over while a block of a test runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Event, Thread


@contextmanager
def meanwhile(action: Callable[[], None]) -> Iterator[None]:
    """Repeat an action until the block ends, however it does."""
    is_over = Event()

    def repeat() -> None:
        while not is_over.is_set():
            action()

    thread = Thread(target=repeat)
    thread.start()
    try:
        yield
    finally:
        is_over.set()
        thread.join()
