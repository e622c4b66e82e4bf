"""Which changes of a project count."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest
from tests.runtime.running import until

from bentoml.runtime.process.reload import Watcher, differences, snapshot


def names(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in snapshot(folder, {}))


def write(folder: Path, *paths: str) -> None:
    for name in paths:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)


def test_only_sources_outside_of_ignored_folders(tmp_path: Path) -> None:
    write(tmp_path, "service.py", "bentofile.yaml", "pkg/util.py", "prompts/main.j2")
    write(tmp_path, "app.log", "monitoring/data.json", "model.pkl", "out.txt")
    write(
        tmp_path, ".git/hook.py", "__pycache__/x.py", "env/pyvenv.cfg", "env/lib/x.py", "node_modules/a/b.py"
    )
    write(tmp_path, "data/made.py", "pkg/data/made.py", "pkg/scratch/made.py")
    (tmp_path / ".bentoignore").write_text("/data\nbuild/\n")
    (tmp_path / "pkg/.bentoignore").write_text("scratch\n")
    assert names(tmp_path) == [
        "bentofile.yaml",
        "pkg/data/made.py",
        "pkg/util.py",
        "prompts/main.j2",
        "service.py",
    ]


def test_differences_are_of_content(tmp_path: Path) -> None:
    write(tmp_path, "same.py", "touched.py", "edited.py", "gone.py")
    before = snapshot(tmp_path, {})
    os.utime(tmp_path / "touched.py", (1, 1))
    (tmp_path / "edited.py").write_text("new")
    (tmp_path / "gone.py").unlink()
    write(tmp_path, "came.py")
    after = snapshot(tmp_path, before)
    assert [path.name for path in differences(before, after)] == ["came.py", "edited.py", "gone.py"]
    assert differences(after, snapshot(tmp_path, after)) == []


def test_a_folder_that_is_gone_and_a_broken_link(tmp_path: Path) -> None:
    (tmp_path / "link.py").symlink_to("nowhere.py")
    assert names(tmp_path) == [] == names(tmp_path / "gone")


@pytest.mark.parametrize("installed", [True, False], ids=["watchfiles", "polling"])
def test_the_watcher_calls_and_stops(tmp_path: Path, installed: bool) -> None:
    write(tmp_path, "service.py")
    called = threading.Event()
    watcher = Watcher(tmp_path, called.set, poll=None if installed else 0.02)
    (tmp_path / "draft").write_text("other")
    (tmp_path / "draft").rename(tmp_path / "service.py")  # at once: writing may be two changes
    assert called.wait(60)
    assert watcher.news() == ["service.py"] and watcher.news() == []
    called.clear()
    write(tmp_path, "written.log")
    assert not called.wait(0.2)
    watcher.stop()
    assert "bentoml-reload" not in {thread.name for thread in threading.enumerate()}


def test_what_the_build_file_leaves_out_does_not_count(tmp_path: Path) -> None:
    write(tmp_path, "service.py")
    called = threading.Event()
    watcher = Watcher(
        tmp_path, called.set, poll=0.02, include=["*.py", "conf/*.yaml"], exclude=["made/", "old_*.py"]
    )
    try:
        write(tmp_path, "made/x.py", "old_a.py", "other.yaml")
        assert not called.wait(0.15)
        news: list[str] = []

        def both() -> bool:
            news.extend(watcher.news())
            return len(news) == 2

        write(tmp_path, "conf/a.yaml", "pkg/new.py")
        until(both, lambda: f"only {news}")
    finally:
        watcher.stop()
    assert sorted(news) == ["conf/a.yaml", "pkg/new.py"]
