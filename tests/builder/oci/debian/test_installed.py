"""Packages of the system upon a base: chosen once, unpacked here, or left to an engine with their names."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

import pytest
from tests.builder.handmade import layer, members
from tests.builder.oci.debian.made import member
from tests.builder.oci.debian.test_debs import Mirror

from bentoml.builder.oci.cache import Cache
from bentoml.builder.oci.debian.installed import with_packages
from bentoml.builder.oci.model import Base, Platform
from bentoml.exceptions import BentoMLException, InvalidArgument, NotFound
from bentoml.store.archives.tar import TarEntry

DEBIAN_12 = "ID=debian\nVERSION_CODENAME=bookworm\n"
NO_ENGINE = "unix:///nowhere/docker.sock"
STATUS = b"Package: libc6\nStatus: install ok installed\nArchitecture: amd64\nVersion: 1\n"
SOURCES = b"deb http://base.example/debian bookworm main\n"


def base(release: str = DEBIAN_12, files: Mapping[str, bytes] = MappingProxyType({})) -> Base:
    texts = {"etc/os-release": release.encode(), "etc/apt/sources.list": SOURCES, **files}
    entries = [TarEntry.file(path, text) for path, text in texts.items()]
    folders = [TarEntry.folder(path) for path in ("usr", "usr/bin", "var", "var/lib", "var/lib/dpkg")]
    return Base("python:3.11-slim", None, {}, (layer([*folders, *entries]),), Platform())


DEBIAN = base(files={"var/lib/dpkg/status": STATUS})


@pytest.fixture
def mirror(tmp_path: Path) -> Mirror:
    """A machine whose apt knows one package, and whose distribution is whatever it is: the base's sources will do."""
    made = Mirror(tmp_path)
    for file in (tmp_path / "debs").iterdir():
        file.unlink()
    made.publish("demo", member("usr/bin/demo", b"ELF", mode=0o755))
    return made


def add(
    mirror: Mirror, *names: str, upon: Base = DEBIAN, cache: str = "cache", offline: bool = False
) -> Base:
    env: Mapping[str, str] = {"PATH": f"{mirror.folder}/bin:/usr/bin:/bin", "DOCKER_HOST": NO_ENGINE}
    kept = Cache(mirror.folder / cache)
    return with_packages(upon, names, cache=kept, env=env, offline=offline, etc=mirror.folder / "etc")


def test_packages_are_a_layer_upon_the_base(mirror: Mirror) -> None:
    made = add(mirror, "demo")
    assert made.layers[:-1] == DEBIAN.layers
    found = members(made.layers[-1])
    assert (found["usr/bin/demo"].text, found["usr/bin/demo"].mode) == ("ELF", 0o755)
    assert "Package: libc6" in found["var/lib/dpkg/status"].text
    assert "Package: demo\nStatus: install ok installed" in found["var/lib/dpkg/status"].text
    assert "usr/bin" not in found, "the base has it"
    assert made.layers[-1].about == "packages demo"


def test_apt_resolves_against_what_is_installed(mirror: Mirror) -> None:
    add(mirror, "demo")
    (status,) = (mirror.folder / "cache/apt").glob("bookworm-amd64*/status")
    assert status.read_text() == f"{STATUS.decode()}\n"


def test_it_is_the_same_from_an_empty_cache(mirror: Mirror) -> None:
    assert add(mirror, "demo").layers[-1].diff_id == add(mirror, "demo", cache="other").layers[-1].diff_id


def test_it_is_chosen_once(mirror: Mirror) -> None:
    first = add(mirror, "demo")
    calls = mirror.calls()
    mirror.publish("demo", member("usr/bin/demo", b"newer"), version="4")
    assert add(mirror, "demo", "demo", offline=True).layers == first.layers
    assert mirror.calls() == calls
    assert (
        add(mirror, "demo", upon=base(files={"var/lib/dpkg/status": STATUS + b"\n"})).layers[-1]
        != first.layers[-1]
    )


def test_what_the_mirrors_no_longer_have_is_chosen_anew(
    mirror: Mirror, caplog: pytest.LogCaptureFixture
) -> None:
    add(mirror, "demo")
    for blob in (mirror.folder / "cache/blobs/sha256").iterdir():
        blob.unlink()
    apt = mirror.folder / "bin/apt-get"
    gone = 'case "$*" in *demo=3.11.2-1*) echo "E: Version 3.11.2-1 was not found" >&2; exit 100;; esac\n'
    apt.write_text(apt.read_text().replace("#!/bin/sh\n", f"#!/bin/sh\n{gone}"))
    mirror.publish("demo", member("usr/bin/demo", b"newer"), version="4")
    assert members(add(mirror, "demo").layers[-1])["usr/bin/demo"].text == "newer"
    assert "Version 3.11.2-1 was not found" in caplog.text


def test_nothing_is_wanted(mirror: Mirror) -> None:
    assert add(mirror) == DEBIAN
    assert mirror.calls() == 0


def test_offline_it_has_to_be_in_the_cache(mirror: Mirror) -> None:
    with pytest.raises(NotFound, match=r"`demo` on `python:3\.11-slim` are not in the cache"):
        add(mirror, "demo", offline=True)
    assert mirror.calls() == 0


def test_a_script_that_matters_is_left_to_an_engine(mirror: Mirror) -> None:
    mirror.publish("demo", member("usr/bin/demo"), scripts={"postinst": "#!/bin/sh\nadduser --system demo\n"})
    with pytest.raises(
        BentoMLException, match=r"`system_packages \(for the scripts of demo\)` would have to run"
    ):
        add(mirror, "demo")
    bare = base(files={"var/lib/dpkg/status.d/libc6": STATUS})
    assert "usr/bin/demo" in members(add(mirror, "demo", upon=bare).layers[-1]), "nothing there runs scripts"


@pytest.mark.parametrize(
    ("release", "step"),
    [
        ("ID=alpine\n", "apk add"),
        ('ID="rhel"\n', "dnf install"),
        ('ID="amzn"\n', "yum install"),
    ],
)
def test_other_distributions_install_them_by_their_own_tool(mirror: Mirror, release: str, step: str) -> None:
    with pytest.raises(BentoMLException, match=rf"`system_packages \({step}\)`.* would have to run"):
        add(mirror, "demo", upon=base(release))


def test_a_base_that_nobody_knows(mirror: Mirror) -> None:
    with pytest.raises(
        BentoMLException, match=r"nobody knows how `python:3\.11-slim` installs `demo`.*`arch`"
    ):
        add(mirror, "demo", upon=base("ID=arch\n"))


def test_a_machine_without_apt_leaves_it_to_an_engine(mirror: Mirror) -> None:
    with pytest.raises(BentoMLException, match=r"`system_packages \(apt-get update\)`"):
        add(mirror, "demo", upon=base("ID=debian\n", {"etc/apt/sources.list": b""}))


def test_a_machine_of_another_kind_has_no_apt(mirror: Mirror) -> None:
    (mirror.folder / "none").mkdir()
    env = {"PATH": str(mirror.folder / "none"), "DOCKER_HOST": NO_ENGINE}
    with pytest.raises(BentoMLException, match=r"`system_packages \(apt-get update\)`"):
        with_packages(DEBIAN, ["demo"], cache=Cache(mirror.folder / "cache"), env=env)


def test_names_are_checked(mirror: Mirror) -> None:
    with pytest.raises(InvalidArgument, match="`--reinstall` is not the name"):
        add(mirror, "demo", "--reinstall")
