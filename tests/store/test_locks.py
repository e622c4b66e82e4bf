from __future__ import annotations

import threading
from pathlib import Path

from bentoml.store.locks import abandoned, claimed, locked


def test_only_one_holds_a_lock(tmp_path: Path) -> None:
    inside, order = threading.Event(), []

    def other() -> None:
        inside.wait()
        with locked(tmp_path / "lock"):
            order.append("other")

    thread = threading.Thread(target=other)
    thread.start()
    with locked(tmp_path / "lock"):
        inside.set()
        thread.join(0.05)
        order.append("first")
    thread.join()
    assert order == ["first", "other"]


def test_a_claimed_lock_is_not_abandoned(tmp_path: Path) -> None:
    with claimed(tmp_path / "lock") as mine:
        assert mine
        with abandoned(tmp_path / "lock") as dead:
            assert not dead
        assert (tmp_path / "lock").exists()
    assert not (tmp_path / "lock").exists()


def test_a_lock_that_nobody_holds_is_abandoned_and_removed(tmp_path: Path) -> None:
    (tmp_path / "lock").touch()
    with abandoned(tmp_path / "lock") as dead:
        assert dead
        with abandoned(tmp_path / "lock") as again:
            assert not again
    assert not (tmp_path / "lock").exists()
    with abandoned(tmp_path / "lock") as dead:
        assert not dead
