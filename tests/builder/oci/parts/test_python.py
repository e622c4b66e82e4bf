"""Packages become layers: uv installs wheels from a folder, for a machine that need not be this one."""

from __future__ import annotations

import sys
import zipfile
from pathlib import Path

import pytest
from tests.builder.handmade import members, offline, pins, wheel
from tests.builder.oci.parts.test_libraries import elf

from bentoml.builder.oci.cache import Cache
from bentoml.builder.oci.model import Layer, Platform
from bentoml.builder.oci.parts.python import PythonRequest, PythonTarget, Sources, python_layers
from bentoml.exceptions import BentoMLException

TARGET = PythonTarget.of("3.12", "/usr/bin/python3.12", Platform("linux", "arm64"), "2.36")
SITE = "app/.venv/lib/python3.12/site-packages"


def request(
    folder: Path, *wheels: Path, runtime: tuple[Path, ...] = (), text: str | None = None
) -> PythonRequest:
    requirements = folder / "requirements.txt"
    requirements.write_text(pins(*wheels) if text is None else text)
    options = ("--no-index", "--find-links", str(folder / "wheels"))
    return PythonRequest(requirements, runtime, TARGET, folder, lambda: Sources(offline(folder), options))


def layers_of(request: PythonRequest, cache: Path) -> tuple[Layer, ...]:
    return python_layers(request, Cache(cache), epoch=7).layers


@pytest.mark.parametrize(
    ("platform", "libc", "name"),
    [
        ("amd64", "2.36", "x86_64-manylinux_2_36"),
        ("arm64", "2.28", "aarch64-manylinux_2_28"),
        ("amd64", "2.30", "x86_64-manylinux_2_28"),
        ("amd64", "2.99", "x86_64-manylinux_2_40"),
        ("amd64", "2.5", "x86_64-manylinux_2_17"),
        ("amd64", "", "x86_64-manylinux_2_28"),
        ("amd64", "musl", "x86_64-unknown-linux-musl"),
    ],
)
def test_the_machine_as_uv_names_it(platform: str, libc: str, name: str) -> None:
    assert PythonTarget.of("3.11", "/p", Platform("linux", platform), libc).platform == name


def test_a_machine_without_wheels_is_refused() -> None:
    with pytest.raises(BentoMLException, match="`linux/s390x` is not supported"):
        PythonTarget.of("3.11", "/p", Platform("linux", "s390x"), "2.36")


def test_wheels_become_a_layer(tmp_path: Path) -> None:
    numbers = wheel(tmp_path / "wheels", "numbers", programs={"count": "numbers:run"})
    native = wheel(tmp_path / "wheels", "native", tag="cp312-cp312-manylinux_2_28_aarch64")
    runtime = wheel(tmp_path / "beside", "runtime")
    layers = layers_of(request(tmp_path, numbers, native, runtime=(runtime,)), tmp_path / "cache")
    assert [(layer.kind, layer.about) for layer in layers] == [
        ("python", "python: 2 packages"),
        ("python", "python: runtime 1.0"),
    ]
    found = members(layers[0]) | members(layers[1])
    for name in ("numbers", "native", "runtime"):
        assert f"{SITE}/{name}/__init__.py" in found
    assert found["app/.venv/bin/python"].text == "/usr/bin/python3.12"
    assert found["app/.venv/bin/count"].text.startswith("#!/app/.venv/bin/python\n")
    assert {(m.owner, m.mtime) for m in found.values()} == {((0, 0), 7)}
    everything = "".join(member.text for member in found.values())
    assert str(tmp_path) not in everything
    assert sys.prefix not in everything


def test_the_same_bytes_anywhere(tmp_path: Path) -> None:
    made = []
    for place in (tmp_path / "a", tmp_path / "b" / "c"):
        numbers = wheel(place / "wheels", "numbers", programs={"count": "numbers:run"})
        made.append(layers_of(request(place, numbers), place / "cache")[0].descriptor)
    assert made[0] == made[1]


def test_a_second_time_needs_no_uv(tmp_path: Path) -> None:
    numbers = wheel(tmp_path / "wheels", "numbers")
    asked = request(tmp_path, numbers)
    first = layers_of(asked, tmp_path / "cache")
    numbers.unlink()
    second = layers_of(asked, tmp_path / "cache")
    assert [(la.descriptor, la.diff_id, la.about) for la in first] == [
        (la.descriptor, la.diff_id, la.about) for la in second
    ]
    assert members(second[0])


def test_which_libraries_packages_need_of_a_base_is_remembered(tmp_path: Path) -> None:
    native = wheel(tmp_path / "wheels", "native")
    with zipfile.ZipFile(native, "a") as archive:
        archive.writestr("native/fast.so", elf("libc.so.6", "libGL.so.1"))
        record = archive.read("native-1.0.dist-info/RECORD")
    repacked(native, {"native-1.0.dist-info/RECORD": b"native/fast.so,,\n" + record})
    asked = request(tmp_path, native)
    for _ in range(2):  # the second time comes from the cache
        found = python_layers(asked, Cache(tmp_path / "cache"), epoch=7)
        assert found.needs == {"libGL.so.1": ["native"], "libc.so.6": ["native"]}


def repacked(wheel: Path, files: dict[str, bytes]) -> None:
    """Replace files of a wheel."""
    with zipfile.ZipFile(wheel) as archive:
        contents = {name: archive.read(name) for name in archive.namelist()} | files
    with zipfile.ZipFile(wheel, "w") as archive:
        for name, data in contents.items():
            archive.writestr(zipfile.ZipInfo(name), data)


def test_a_layer_that_is_gone_is_made_again(tmp_path: Path) -> None:
    asked = request(tmp_path, wheel(tmp_path / "wheels", "numbers"))
    (first,) = layers_of(asked, tmp_path / "cache")
    (tmp_path / "cache/blobs/sha256" / first.descriptor.digest.hex).unlink()
    (again,) = layers_of(asked, tmp_path / "cache")
    assert again.descriptor == first.descriptor
    assert members(again)


def test_requirements_without_a_lock_are_resolved_each_time(tmp_path: Path) -> None:
    wheel(tmp_path / "wheels", "numbers", "1.0")
    asked = request(tmp_path, text="numbers>=1\n")
    (first,) = layers_of(asked, tmp_path / "cache")
    wheel(tmp_path / "wheels", "numbers", "1.1")
    (second,) = layers_of(asked, tmp_path / "cache")
    assert f"{SITE}/numbers-1.0.dist-info/RECORD" in members(first)
    assert f"{SITE}/numbers-1.1.dist-info/RECORD" in members(second)


@pytest.mark.parametrize(
    ("tag", "text", "message"),
    [
        pytest.param("cp311-cp311-manylinux_2_28_aarch64", None, "no wheel of `numbers==1.0` for Python 3.12 on aarch64", id="python"),
        pytest.param("cp312-cp312-manylinux_2_28_x86_64", None, "no wheel of `numbers==1.0` for Python 3.12 on aarch64", id="machine"),
        pytest.param("py3-none-any", f"numbers==1.0 --hash=sha256:{'0' * 64}\n", "numbers", id="hash"),
        pytest.param("py3-none-any", f"letters==1.0 --hash=sha256:{'0' * 64}\n", "letters", id="not there"),
    ],
)  # fmt: skip
def test_what_cannot_be_installed(tmp_path: Path, tag: str, text: str | None, message: str) -> None:
    asked = request(tmp_path, wheel(tmp_path / "wheels", "numbers", tag=tag), text=text)
    with pytest.raises(BentoMLException, match=message) as raised:
        layers_of(asked, tmp_path / "cache")
    assert str(tmp_path / "cache") not in str(raised.value)
    assert not list((tmp_path / "cache").rglob("*.json"))
    assert not list((tmp_path / "cache/drafts").iterdir())
