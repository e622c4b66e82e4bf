"""Temporary folders: private, empty, used again, and gone in the end."""

from __future__ import annotations

from bentoml.runtime.intake.folders import Folders


def test_a_folder_is_lent_empty_and_removed_in_the_end() -> None:
    folders = Folders()
    one, two = folders.take(), folders.take()
    assert one != two
    assert one.stat().st_mode & 0o777 == 0o700
    (one / "file").write_text("x")
    (one / "folder").mkdir()
    (one / "folder" / "file").write_text("x")
    (one / "link").symlink_to(two)
    (two / "kept").write_text("x")
    folders.give_back(one)
    assert folders.take() == one
    assert list(one.iterdir()) == []
    assert (two / "kept").exists()
    folders.close()
    assert not one.parent.exists()


def test_a_folder_that_the_user_removed_is_not_lent_again() -> None:
    folders = Folders()
    gone = folders.take()
    gone.rmdir()
    folders.give_back(gone)
    assert folders.take().is_dir()
    folders.close()
