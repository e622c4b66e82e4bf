from __future__ import annotations

import errno
from pathlib import Path

import pytest

from bentoml.config import Home
from bentoml.exceptions import BentoMLException
from bentoml.store.staging import Staging


def left(home: Home) -> list[Path]:
    return list(home.staging.iterdir())


def test_a_folder_vanishes_with_its_block(home: Home) -> None:
    with Staging(home).folder() as folder:
        (folder / "sub").mkdir()
        (folder / "sub" / "file").write_text("x")
        (folder / "sub" / "file").chmod(0o444)
        (folder / "sub").chmod(0o555)
    assert left(home) == []


def test_an_error_leaves_nothing_and_passes(home: Home) -> None:
    with pytest.raises(KeyboardInterrupt), Staging(home).folder():
        raise KeyboardInterrupt
    assert left(home) == []


def test_what_was_renamed_away_is_kept(home: Home) -> None:
    with Staging(home).folder() as folder:
        (folder / "item").mkdir()
        (folder / "item").rename(home.root / "kept")
    assert (home.root / "kept").is_dir()


def test_only_the_folders_of_the_dead_are_removed(home: Home) -> None:
    staging = Staging(home)
    with staging.folder() as live:
        (home.staging / "dead.lock").touch()
        (home.staging / "dead" / "sub").mkdir(parents=True)
        (home.staging / "no folder yet.lock").touch()
        assert staging.remove_abandoned()
        assert live.is_dir()
        assert sorted(left(home)) == sorted([live, live.with_suffix(".lock")])
        assert not staging.remove_abandoned()


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_is_said_clearly(home: Home, number: int) -> None:
    with pytest.raises(BentoMLException, match="larger disk") as caught, Staging(home).folder():
        raise OSError(number, "No space left on device")
    assert isinstance(caught.value.__cause__, OSError)
    assert left(home) == []


def test_the_users_own_errors_pass(home: Home) -> None:
    with pytest.raises(FileNotFoundError), Staging(home).folder():
        raise FileNotFoundError(errno.ENOENT, "no such file")


def test_a_home_that_is_a_file_is_said_clearly(tmp_path: Path) -> None:
    (tmp_path / "home").touch()
    with pytest.raises(BentoMLException, match="BENTOML_HOME"), Staging(Home(tmp_path / "home")).folder():
        pass


def test_a_folder_that_is_gone_was_not_abandoned(home: Home) -> None:
    """Whoever looks while an owner ends must not take that for a death: a sweep of all blobs would follow."""
    staging = Staging(home)
    with staging.folder() as folder:
        assert not staging.remove(folder) and folder.exists()
    assert not staging.remove(folder)
    folder.mkdir()
    assert staging.remove(folder) and not folder.exists()
    assert list(home.staging.iterdir()) == []
