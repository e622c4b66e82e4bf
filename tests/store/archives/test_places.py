"""Which place a path, a URL or the words of one mean, and what is written to and read from others."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import fsspec  # type: ignore[import-untyped]  # it has no types
import pytest
from fsspec import AbstractFileSystem
from tests.store.saving import Save

from bentoml.config import Home
from bentoml.exceptions import BentoMLException, MissingDependencyException, NotFound
from bentoml.store.archives.exporting import export
from bentoml.store.archives.importing import import_item
from bentoml.store.archives.places import LocalPlace, RemotePlace, WebPlace, open_place
from bentoml.store.models import Model


@pytest.fixture
def memory() -> Iterator[Any]:
    """The file system of fsspec that is in memory."""
    system = fsspec.filesystem("memory")
    yield system
    for path in system.find("/"):
        system.rm_file(path)
    system.pseudo_dirs[:] = [""]


@pytest.mark.parametrize(
    ("path", "words", "expected"),
    [
        ("/a/b.tar", {}, LocalPlace(Path("/a/b.tar"))),
        ("/a/b/", {}, LocalPlace(Path("/a/b"), means_folder=True)),
        (Path("/a/b.tar"), {}, LocalPlace(Path("/a/b.tar"))),
        ("/a", {"subpath": "b.tar"}, LocalPlace(Path("/a/b.tar"))),
        ("file:///a/b%20c.tar", {}, LocalPlace(Path("/a/b c.tar"))),
        ("file://localhost/a.tar", {}, LocalPlace(Path("/a.tar"))),
        ("/a/b.tar", {"protocol": "file"}, LocalPlace(Path("/a/b.tar"))),
        ("memory://a/b.tar", {}, RemotePlace("memory", "a/b.tar")),
        ("MEMORY://a/b.tar", {}, RemotePlace("memory", "a/b.tar")),
        ("a", {"protocol": "memory", "subpath": "b.tar"}, RemotePlace("memory", "a/b.tar")),
        (
            "host",
            {"protocol": "ftp", "user": "u", "passwd": "p", "params": {"port": "21"}, "subpath": "x.tar"},
            RemotePlace("ftp", "host/x.tar", {"username": "u", "password": "p", "port": 21}),
        ),
        ("https://host/x.tar", {}, WebPlace("https://host/x.tar")),
    ],
)
def test_what_is_meant(path: str, words: dict[str, Any], expected: object) -> None:
    assert open_place(path, **words) == expected


@pytest.mark.parametrize(
    ("path", "words", "said"),
    [
        ("memory://x", {"protocol": "memory"}, "says all by itself"),
        ("memory://x", {"user": "u"}, "says all by itself"),
        ("memory://x", {"subpath": "u"}, "says all by itself"),
        ("nope://x", {}, "Unknown or unsupported protocol `nope`"),
        ("x", {"protocol": "nope"}, "Unknown or unsupported protocol `nope`"),
        ("/x", {"user": "u"}, "`protocol` says how to reach"),
    ],
)
def test_what_cannot_be_meant(path: str, words: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        open_place(path, **words)


def test_a_library_that_is_missing_is_named() -> None:
    with pytest.raises(MissingDependencyException, match=r"places of `gs://` need a library: .*gcsfs"):
        open_place("gs://bucket/x.tar")


def test_secrets_are_not_part_of_a_name() -> None:
    assert RemotePlace("ftp", "user:secret@host/x.tar").name == "ftp://host/x.tar"
    assert WebPlace("https://user:secret@host/x.tar?token=secret").name == "https://host/x.tar"


@pytest.mark.parametrize(
    ("url", "format", "expected"),
    [
        ("memory://shelf/x.tar", None, "memory://shelf/x.tar"),
        ("memory://shelf/x", None, "memory://shelf/x.bentomodel"),
        ("memory://shelf/", None, "memory://shelf/iris-v1.bentomodel"),
        ("memory://shelf/deep/", "zip", "memory://shelf/deep/iris-v1.zip"),
        ("memory://x.gz", None, "memory://x.gz"),
    ],
)
def test_there_and_back(
    save: Save, tmp_path: Path, memory: Any, url: str, format: str | None, expected: str
) -> None:
    model = save("iris:v1", {"w": "1"})
    assert export(model, open_place(url), format) == expected
    assert [f"memory://{path.lstrip('/')}" for path in memory.find("/")] == [expected], "and nothing else"
    (received,) = import_item(Model, open_place(expected), home=Home(tmp_path / "here"))
    assert received.item.digest == model.digest


def test_a_folder_that_is_there(save: Save, memory: Any) -> None:
    memory.makedirs("/shelf")
    assert (
        export(save("iris:v1", {"w": "1"}), open_place("memory://shelf"))
        == "memory://shelf/iris-v1.bentomodel"
    )


def test_a_folder_goes_nowhere_else(save: Save) -> None:
    with pytest.raises(BentoMLException, match="can only be written to this machine"):
        export(save("iris:v1", {"w": "1"}), open_place("memory://x"), "folder")


def test_nothing_there(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match=r"`memory://shelf/none\.tar` does not exist"):
        import_item(Model, open_place("memory://shelf/none.tar"), home=Home(tmp_path / "here"))


def test_nobody_answers(tmp_path: Path) -> None:
    with pytest.raises(BentoMLException, match=r"`ftp://127\.0\.0\.1/x\.tar`: "):
        import_item(
            Model, open_place("127.0.0.1", protocol="ftp", subpath="x.tar"), home=Home(tmp_path / "here")
        )


def test_what_a_protocol_does_not_take(tmp_path: Path) -> None:
    place = open_place("x", protocol="ftp", params={"no_such_option": "1"})
    with pytest.raises((ValueError, BentoMLException)):
        import_item(Model, place, home=Home(tmp_path / "here"))


class Bucket(AbstractFileSystem):  # type: ignore[misc]  # fsspec has no types
    """Object storage: what makes a folder makes the bucket, and its library has errors of its own."""

    protocol = "cos"
    objects: ClassVar[dict[str, bytes]] = {}

    class Unreachable(Exception):
        """No `OSError`, as those of botocore are none."""

    def makedirs(self, path: str, exist_ok: bool = False) -> None:
        raise AssertionError(f"a bucket was made for {path}")

    def put_file(self, local: str, name: str, **_: object) -> None:
        self.objects[name] = Path(local).read_bytes()

    def mv(self, old: str, new: str, **_: object) -> None:
        self.objects[new] = self.objects.pop(old)

    def isdir(self, path: str) -> bool:
        return False

    def get_file(self, *_: object, **__: object) -> None:
        raise self.Unreachable("nobody answers")


fsspec.register_implementation("cos", Bucket)


def test_no_bucket_is_made_for_an_archive(save: Save) -> None:
    export(save("iris:v1", {"w": "1"}), open_place("cos://bucket/deep/x.tar"))
    assert list(Bucket.objects) == ["bucket/deep/x.tar"]


def test_what_a_library_of_a_protocol_raises_names_the_place(tmp_path: Path) -> None:
    with pytest.raises(BentoMLException, match=r"`cos://bucket/x\.tar`: nobody answers"):
        import_item(Model, open_place("cos://bucket/x.tar"), home=Home(tmp_path))
