"""The folder of a server's processes: it goes with the last of them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from bentoml.runtime.process.shared_folder import SharedFolder, own_part, remove_part

HOLDS = """
import sys, time
from pathlib import Path
from bentoml.runtime.process.shared_folder import SharedFolder
SharedFolder(Path(sys.argv[1]))
print("held", flush=True)
time.sleep(60)
"""


def test_it_goes_with_the_last_one(tmp_path: Path) -> None:
    folder = tmp_path / "shared"
    folder.mkdir()
    (folder / "file").write_text("x")
    one, two = SharedFolder(folder), SharedFolder(folder)
    one.leave()
    assert (folder / "file").exists()
    two.leave()
    assert not folder.exists()


def test_a_process_that_was_killed_does_not_keep_it(tmp_path: Path) -> None:
    folder = tmp_path / "shared"
    folder.mkdir()
    with subprocess.Popen([sys.executable, "-c", HOLDS, str(folder)], stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        other.stdout.readline()
        SharedFolder(folder).leave()
        assert folder.exists()
        ours = SharedFolder(folder)
        other.kill()
        other.wait()
    ours.leave()
    assert not folder.exists()


def test_the_part_of_a_process_that_was_killed(tmp_path: Path) -> None:
    (tmp_path / f"{own_part()}a" / "deep").mkdir(parents=True)
    (tmp_path / "requests-1-b").mkdir()
    remove_part(tmp_path, os.getpid())
    assert [path.name for path in tmp_path.iterdir()] == ["requests-1-b"]
