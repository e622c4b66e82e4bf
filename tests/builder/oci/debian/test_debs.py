"""The base made of Debian packages: how it is named, kept, pinned and, with the real apt, made."""

from __future__ import annotations

import io
import tarfile
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.builder.oci.debian.made import folder, member, write_deb

from bentoml.builder.oci.bases.select import open_base
from bentoml.builder.oci.cache import Cache
from bentoml.builder.oci.codec import decompressed
from bentoml.builder.oci.debian.debs import debs_digest, open_debs
from bentoml.builder.oci.model import Base, Platform
from bentoml.exceptions import BentoMLException, InvalidArgument, NotFound
from bentoml.store.digest import Digest

AMD64 = Platform()


@pytest.mark.parametrize(
    "reference", ["", "book/worm", "../x", "bookworm:", "bookworm:a++b", "bookworm@sha256:1", "a b"]
)
def test_references_are_checked(tmp_path: Path, reference: str) -> None:
    with pytest.raises(InvalidArgument):
        open_debs(reference, platform=AMD64, cache=Cache(tmp_path), env={})


def test_an_unknown_platform_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidArgument, match="no Debian packages for `windows/amd64`"):
        open_debs("bookworm", platform=Platform("windows", "amd64"), cache=Cache(tmp_path), env={})


def test_offline_without_a_list_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="run once without `--offline`"):
        open_debs("bookworm", platform=AMD64, cache=Cache(tmp_path), env={}, offline=True)


@dataclass(frozen=True)
class Mirror:
    """A machine whose apt is a script that knows a folder of packages."""

    folder: Path

    def __post_init__(self) -> None:
        for name in ("etc", "bin", "debs"):
            (self.folder / name).mkdir()
        (self.folder / "etc" / "sources.list").write_text("deb http://mirror.example bookworm main\n")
        program = self.folder / "bin" / "apt-get"
        program.write_text(
            f'#!/bin/sh\necho "$@" >> {self.folder}/calls\n'
            'for word in "$@"; do case "$word" in Dir::Cache::archives=*) into=${word#*=};; esac; done\n'
            f'case "$*" in *print-uris*) cat {self.folder}/listing;;\n'
            f'*download-only*) cp {self.folder}/debs/* "$into";; esac\n'
        )
        program.chmod(0o755)
        self.publish("base-files", folder("tmp", 0o1777))
        self.publish("python3", member("usr/bin/python3", b"ELF", mode=0o755))

    def publish(
        self,
        name: str,
        *members: tuple[tarfile.TarInfo, bytes],
        version: str = "3.11.2-1",
        scripts: Mapping[str, str] | None = None,
    ) -> None:
        """Put a package on the mirror in the place of its older version."""
        for old in (self.folder / "debs").glob(f"{name}_*"):
            old.unlink()
        fields = {"Package": name, "Version": version, "Architecture": "all"}
        write_deb(self.folder / "debs" / f"{name}_{version}_all.deb", members, fields, scripts=scripts)
        self.list()

    def list(self) -> None:
        """Write the list of all packages as apt prints it."""
        lines = (
            f"'http://mirror.example/x.deb' {deb.name} {deb.stat().st_size} SHA256:{Digest.of_file(deb).hex}\n"
            for deb in sorted((self.folder / "debs").iterdir())
        )
        (self.folder / "listing").write_text("".join(lines))

    def calls(self) -> int:
        """Return how often apt was called so far."""
        calls = self.folder / "calls"
        return len(calls.read_text().splitlines()) if calls.exists() else 0

    @property
    def env(self) -> dict[str, str]:
        return {"PATH": f"{self.folder}/bin:/usr/bin:/bin"}

    def open(self, reference: str = "bookworm", *, offline: bool = False) -> Base:
        cache = Cache(self.folder / "cache")
        return open_debs(
            reference, platform=AMD64, cache=cache, env=self.env, offline=offline, etc=self.folder / "etc"
        )

    def digest(self, *, anew: bool = False) -> Digest:
        cache = Cache(self.folder / "cache")
        return debs_digest(
            "bookworm", platform=AMD64, cache=cache, env=self.env, anew=anew, etc=self.folder / "etc"
        )


@pytest.fixture
def mirror(tmp_path: Path) -> Mirror:
    return Mirror(tmp_path)


def age(mirror: Mirror, days: float) -> None:
    """Make what was remembered older."""
    cache = Cache(mirror.folder / "cache")
    for file in (cache.root / "records").iterdir():
        record = cache.recall(Digest(file.stem)) or {}
        if "at" in record:
            cache.remember(Digest(file.stem), {**record, "at": float(str(record["at"])) - days * 86400})


def test_a_base_is_made_once_and_asked_for_once_a_day(mirror: Mirror) -> None:
    base = mirror.open()
    assert mirror.calls() == 3, "update, list, download"
    assert base.config["config"] == {
        "Env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG=C.UTF-8",
                "PYTHON_VERSION=3.11.2"],
        "Cmd": ["python3"],
    }  # fmt: skip
    assert mirror.open() == base and mirror.open(offline=True) == base
    assert mirror.calls() == 3
    age(mirror, 2)
    assert mirror.open(offline=True) == base
    assert mirror.open() == base
    assert mirror.calls() == 5, "update and list; nothing new to download"


def test_an_update_gives_another_base_and_a_pin_keeps_the_old_one(mirror: Mirror) -> None:
    old = mirror.open()
    mirror.publish("python3", member("usr/bin/python3", b"NEW", mode=0o755), version="3.11.2-2")
    age(mirror, 2)
    new = mirror.open()
    assert new.digest != old.digest and new.layers[0].diff_id != old.layers[0].diff_id
    assert mirror.open(f"bookworm@{old.digest}") == old
    with pytest.raises(NotFound, match="no longer have the packages"):
        mirror.open(f"bookworm@sha256:{'0' * 64}")


def test_a_pin_of_what_was_made_in_another_way_is_not_taken_for_the_base_of_now(mirror: Mirror) -> None:
    cache = Cache(mirror.folder / "cache")
    record = cache.recall(mirror.digest())
    assert record is not None
    old = Digest.of(b"the same packages by an older recipe")
    cache.remember(old, dict(record))
    with pytest.raises(NotFound, match="--update-base"):
        mirror.open(f"bookworm@{old}")


def test_the_digest_is_that_of_the_base_and_costs_no_package(mirror: Mirror) -> None:
    digest = mirror.digest()
    assert mirror.calls() == 2, "update and list"
    calls = (mirror.folder / "calls").read_text()
    assert "Acquire::Retries=0" in calls and "Acquire::http::Timeout=5" in calls
    assert mirror.open(f"bookworm@{digest}").digest == digest
    mirror.publish("python3", member("usr/bin/python3", b"NEW", mode=0o755), version="3.11.2-2")
    assert mirror.digest() == digest, "asked once a day"
    assert mirror.digest(anew=True) != digest, "or when it is wanted"


def test_a_pinned_list_whose_packages_are_gone_says_what_else_there_is(mirror: Mirror) -> None:
    digest = mirror.digest()
    program = mirror.folder / "bin" / "apt-get"
    program.write_text("#!/bin/sh\necho \"E: Version '3.11.2-1' for 'python3' was not found\"\nexit 100\n")
    with pytest.raises(BentoMLException, match=r"3.11.2-1(?s:.*)--base-image debs:bookworm.*--update-base"):
        mirror.open(f"bookworm@{digest}")


def test_a_package_that_is_not_the_listed_one_is_refused(mirror: Mirror) -> None:
    mirror.list()
    deb = next((mirror.folder / "debs").glob("python3_*"))
    deb.write_bytes(deb.read_bytes() + b"\n")
    with pytest.raises(BentoMLException, match=r"is not the package `python3=3\.11\.2-1="):
        mirror.open()
    mirror.list()
    age(mirror, 2)
    assert mirror.open().layers


def test_several_may_make_one_base_at_once(mirror: Mirror) -> None:
    with ThreadPoolExecutor(4) as pool:
        bases = list(pool.map(lambda _: mirror.open(), range(8)))
    assert all(base == bases[0] for base in bases)
    assert list((mirror.folder / "cache/drafts").iterdir()) == []


def test_offline_does_not_download_a_layer_that_was_lost(mirror: Mirror) -> None:
    layer = mirror.open().layers[0]
    (mirror.folder / "cache" / "blobs" / "sha256" / layer.descriptor.digest.hex).unlink()
    calls = mirror.calls()
    with pytest.raises(NotFound, match="run once without `--offline`"):
        mirror.open(offline=True)
    assert mirror.calls() == calls
    assert mirror.open().layers[0] == layer


@pytest.mark.slow
def test_a_real_base_is_the_same_wherever_it_is_made_and_known_the_second_time(tmp_path: Path) -> None:
    env = {"PATH": "/usr/bin:/bin:/usr/sbin:/sbin"}
    one, two = (
        open_base("debs:bookworm", platform=AMD64, cache=tmp_path / name, env=env) for name in ("a", "b")
    )
    assert one.digest == two.digest and one.layers[0].diff_id == two.layers[0].diff_id
    assert one.layers[0].descriptor == two.layers[0].descriptor
    started = time.perf_counter()
    again = open_base("debs:bookworm", platform=AMD64, cache=tmp_path / "a", env={}, offline=True)
    pinned = open_base(f"debs:bookworm@{one.digest}", platform=AMD64, cache=tmp_path / "a", env={})
    assert time.perf_counter() - started < 5, "to make one takes longer"
    assert again == one and pinned.layers == one.layers
    data = b"".join(decompressed(one.layers[0].blob.chunks()))
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        names = {info.name: info for info in archive}
    for path in ("usr/bin/python3", "usr/bin/bash", "usr/bin/env", "usr/bin/which", "etc/ssl/certs"):
        assert path in names
    assert names["tmp"].mode == 0o1777
    assert not any(name.startswith(("var/lib/apt", "usr/share/man")) for name in names)
    assert len(data) < 80_000_000


@pytest.mark.slow
def test_a_pinned_list_that_is_gone_is_not_found(tmp_path: Path) -> None:
    env = {"PATH": "/usr/bin:/bin:/usr/sbin:/sbin"}
    pin = f"sha256:{'0' * 64}"
    with pytest.raises(NotFound, match="no longer have the packages"):
        open_base(f"debs:bookworm@{pin}", platform=AMD64, cache=tmp_path, env=env)
