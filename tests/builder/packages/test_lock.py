from __future__ import annotations

import os
import zipfile
from pathlib import Path

import pytest

from bentoml.builder.packages.indexes import Indexes
from bentoml.builder.packages.lock import Lock, LockMode, LockPlatform, LockRequest, lock_requirements
from bentoml.builder.packages.uv_resolver import UvResolver
from bentoml.exceptions import BentoMLException, InvalidArgument

PINS = f"numpy==2.4.6 \\\n    --hash=sha256:{'0' * 64} \\\n    --hash=sha256:{'1' * 64}\n"
REQUEST = LockRequest(("numpy", "anyio"), "3.11", LockPlatform.parse("linux"))


class FakeResolver:
    def __init__(self, *answers: str) -> None:
        self.answers = list(answers)
        self.asked: list[LockRequest] = []

    def resolve(self, request: LockRequest) -> str:
        self.asked.append(request)
        return self.answers.pop(0)


def test_a_lock_is_made_once(tmp_path: Path) -> None:
    file, resolver = tmp_path / "bentofile.lock", FakeResolver(PINS)
    assert lock_requirements(REQUEST, file, resolver) == PINS
    before = file.stat()
    again = REQUEST._replace(requirements=("anyio", "numpy"), indexes=Indexes(index_url="https://elsewhere"))
    assert lock_requirements(again, file, resolver) == PINS
    assert lock_requirements(again, file, resolver, "locked") == PINS
    assert file.stat().st_mtime_ns == before.st_mtime_ns
    assert len(resolver.asked) == 1
    text = file.read_text()
    assert Lock.parse(text) == Lock.parse(str(Lock.parse(text)))
    assert str(Lock.parse(text)) == text
    assert "elsewhere" not in text
    assert str(tmp_path) not in text


@pytest.mark.parametrize(
    "changed",
    [
        REQUEST._replace(requirements=("numpy",)),
        REQUEST._replace(declared=Indexes(index_url="https://x")),
    ],
    ids=["requirements", "index"],
)
def test_other_inputs_are_resolved_anew_with_the_old_pins_preferred(
    tmp_path: Path, changed: LockRequest
) -> None:
    file, resolver = tmp_path / "bentofile.lock", FakeResolver(PINS, "anyio==4.16.0\n")
    lock_requirements(REQUEST, file, resolver)
    assert lock_requirements(changed, file, resolver) == "anyio==4.16.0\n"
    assert resolver.asked[1].preferred == PINS
    assert lock_requirements(changed, file, resolver) == "anyio==4.16.0\n"


def test_another_platform_or_python_has_an_entry_of_its_own(tmp_path: Path) -> None:
    file, resolver = tmp_path / "bentofile.lock", FakeResolver(PINS, "a==1\n", "b==1\n")
    lock_requirements(REQUEST, file, resolver)
    lock_requirements(REQUEST._replace(platform=LockPlatform.parse("linux/arm64")), file, resolver)
    lock_requirements(REQUEST._replace(python_version="3.12"), file, resolver)
    assert list(Lock.parse(file.read_text()).entries) == [
        "aarch64-manylinux_2_36-python3.11",
        "x86_64-manylinux_2_36-python3.11",
        "x86_64-manylinux_2_36-python3.12",
    ]
    assert lock_requirements(REQUEST, file, resolver) == PINS


def test_what_another_build_locked_meanwhile_is_kept(tmp_path: Path) -> None:
    file, other = tmp_path / "bentofile.lock", REQUEST._replace(python_version="3.12")

    class Slow:
        def resolve(self, request: LockRequest) -> str:
            lock_requirements(other, file, FakeResolver("b==1\n"))
            return "a==1\n"

    lock_requirements(REQUEST, file, Slow())
    assert [pins.requirements for pins in Lock.parse(file.read_text()).entries.values()] == [
        "a==1\n",
        "b==1\n",
    ]


def test_what_a_killed_build_left_is_removed(tmp_path: Path) -> None:
    (tmp_path / ".bentofile.lock.0123456789ab").write_text("half")
    (tmp_path / ".bentofile.local").write_text("mine")
    lock_requirements(REQUEST, tmp_path / "bentofile.lock", FakeResolver(PINS))
    assert sorted(path.name for path in tmp_path.iterdir()) == [".bentofile.local", "bentofile.lock"]


def test_update_moves_the_lock_without_regard_to_it(tmp_path: Path) -> None:
    file, resolver = tmp_path / "bentofile.lock", FakeResolver(PINS, "numpy==3\n")
    lock_requirements(REQUEST, file, resolver)
    assert lock_requirements(REQUEST, file, resolver, "update") == "numpy==3\n"
    assert (resolver.asked[1].preferred, resolver.asked[1].refresh) == ("", True)
    assert lock_requirements(REQUEST, file, resolver, "locked") == "numpy==3\n"


def test_locked_fails_where_the_lock_would_change(tmp_path: Path) -> None:
    file, resolver = tmp_path / "bentofile.lock", FakeResolver(PINS)
    mode: LockMode = "locked"
    with pytest.raises(BentoMLException, match="has no entry"):
        lock_requirements(REQUEST, file, resolver, mode)
    assert not file.exists()
    lock_requirements(REQUEST, file, resolver)
    before = file.read_bytes()
    with pytest.raises(BentoMLException, match="other requirements"):
        lock_requirements(REQUEST._replace(requirements=("x",)), file, resolver, mode)
    assert file.read_bytes() == before


@pytest.mark.parametrize(
    "text",
    [
        "version = 2\n",
        "<<<<<<< ours\n",
        "version = 1\n<<<<<<< HEAD\n=======\n>>>>>>> other\n",
        "version = 1\n[a]\ninputs = 'x'\nrequirements = ''\n",
        "version = 1\n[a]\nrequirements = ''\n",
        f"version = 1\n[a]\ninputs = 'sha256:{'0' * 64}'\nrequirements = '--index-url https://evil'\n",
        f"version = 1\n[a]\ninputs = 'sha256:{'0' * 64}'\nrequirements = 'numpy==1 \\\n --index-url https://evil'\n",
    ],
)
def test_a_file_that_is_no_lock_is_refused(tmp_path: Path, text: str) -> None:
    file = tmp_path / "bentofile.lock"
    file.write_text(text)
    with pytest.raises(BentoMLException, match=r"bentofile\.lock"):
        lock_requirements(REQUEST, file, FakeResolver(PINS))
    assert file.read_text() == text


def test_a_merge_conflict_is_named(tmp_path: Path) -> None:
    file = tmp_path / "bentofile.lock"
    lock_requirements(REQUEST, file, FakeResolver(PINS))
    file.write_text(file.read_text().replace("numpy", "<<<<<<< HEAD\nnumpy", 1))
    with pytest.raises(BentoMLException, match="holds the marks of a merge conflict"):
        lock_requirements(REQUEST, file, FakeResolver(PINS))


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    with pytest.raises(
        BentoMLException, match=r"bentofile\.lock` cannot be written: No such file or directory"
    ):
        lock_requirements(REQUEST, tmp_path / "none" / "bentofile.lock", FakeResolver(PINS))


def test_hashes_of_the_requirements_are_kept(tmp_path: Path) -> None:
    request = REQUEST._replace(requirements=(f"numpy --hash=sha256:{'f' * 64}",))
    with pytest.raises(BentoMLException, match="none of the hashes"):
        lock_requirements(request, tmp_path / "bentofile.lock", FakeResolver(PINS))
    assert list(tmp_path.iterdir()) == []


def test_an_answer_that_is_not_pinned_is_not_written(tmp_path: Path) -> None:
    with pytest.raises(BentoMLException, match="cannot be locked"):
        lock_requirements(REQUEST, tmp_path / "bentofile.lock", FakeResolver("numpy>=1\n"))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("text", "distro", "uv", "image"),
    [
        ("linux", "debian", "x86_64-manylinux_2_36", "linux/amd64"),
        ("linux/arm64", "ubi8", "aarch64-manylinux_2_28", "linux/arm64"),
        ("linux/amd64", "alpine", "x86_64-unknown-linux-musl", "linux/amd64"),
        ("aarch64-manylinux_2_31", "alpine", "aarch64-manylinux_2_31", "linux/arm64"),
    ],
)
def test_platforms(text: str, distro: str, uv: str, image: str) -> None:
    platform = LockPlatform.parse(text, distro=distro)
    assert (str(platform), platform.image) == (uv, image)


@pytest.mark.parametrize(
    "text", ["windows", "macos", "linux/s390x", "x86_64-manylinux_9", "", "linux/amd64/v2"]
)
def test_platforms_that_no_bento_runs_on(text: str) -> None:
    with pytest.raises(InvalidArgument, match="is not supported"):
        LockPlatform.parse(text)


# -- uv itself, with a folder of wheels for an index


@pytest.fixture
def wheels(tmp_path: Path) -> Path:
    folder = tmp_path / "wheels"
    folder.mkdir()
    for name, version, requires in [
        ("app", "1", "lib"),
        ("app", "2", "lib"),
        ("lib", "1.5", "bentoml"),
        ("other", "1", ""),
    ]:
        make_wheel(folder, name, version, requires)
    return folder


def make_wheel(
    folder: Path, name: str, version: str, requires: str = "", *, tag: str = "py3-none-any"
) -> None:
    with zipfile.ZipFile(folder / f"{name}-{version}-{tag}.whl", "w") as archive:
        info = f"{name}-{version}.dist-info"
        needs = f"Requires-Dist: {requires}\n" if requires else ""
        archive.writestr(
            f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{needs}"
        )
        archive.writestr(f"{info}/WHEEL", f"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: {tag}\n")
        archive.writestr(f"{info}/RECORD", "")


def request(wheels: Path, *requirements: str, preferred: str = "") -> LockRequest:
    indexes = Indexes(find_links=(str(wheels),), no_index=True)
    return LockRequest(requirements, "3.11", LockPlatform.parse("linux"), indexes, preferred=preferred)


def test_uv_pins_with_hashes_and_without_addresses(wheels: Path) -> None:
    pins = UvResolver(os.environ).resolve(request(wheels, "app", "app>=1"))
    lines = pins.splitlines()
    assert [line.rstrip(" \\") for line in lines if not line.startswith(" ")] == ["app==2", "lib==1.5"]
    assert sum("--hash=sha256:" in line for line in lines) == 2
    assert str(wheels) not in pins


def test_uv_pins_only_what_the_target_machine_could_install(wheels: Path) -> None:
    make_wheel(wheels, "native", "1", tag="cp311-cp311-manylinux_2_28_x86_64")
    here = UvResolver(os.environ).resolve(request(wheels, "native"))
    make_wheel(wheels, "native", "1", tag="cp311-cp311-macosx_11_0_arm64")  # as a fuller index has it
    make_wheel(wheels, "native", "1", tag="cp314-cp314-manylinux_2_28_x86_64")
    assert UvResolver(os.environ).resolve(request(wheels, "native")) == here
    assert here.count("--hash") == 1


def test_uv_keeps_what_was_pinned(wheels: Path) -> None:
    pins = UvResolver(os.environ).resolve(request(wheels, "app", "other", preferred="app==1\nlib==1.5\n"))
    assert "app==1 " in pins
    assert "other==1" in pins


def test_uv_says_which_package_has_no_solution(wheels: Path) -> None:
    (wheels / "sourceonly-1.tar.gz").write_bytes(b"")
    with pytest.raises(
        BentoMLException, match=r"(?s)cannot be resolved for x86_64-manylinux_2_36 with Python 3\.11.*app>2"
    ) as caught:
        UvResolver(os.environ).resolve(request(wheels, "app>2"))
    assert str(wheels) not in str(caught.value)
    with pytest.raises(BentoMLException, match=r"(?s)sourceonly.*an image is made of wheels"):
        UvResolver(os.environ).resolve(request(wheels, "sourceonly==1"))


@pytest.mark.parametrize("pin", ["numpy==2.4.7", "numpy==2.4.6 @ https://evil.example/x.whl", "other==2.4.6"])
def test_pins_that_were_changed_by_hand_are_refused(tmp_path: Path, pin: str) -> None:
    file = tmp_path / "bentofile.lock"
    lock_requirements(REQUEST, file, FakeResolver(PINS))
    file.write_text(file.read_text().replace("numpy==2.4.6", pin))
    with pytest.raises(BentoMLException, match="not a lock that can be read"):
        lock_requirements(REQUEST, file, FakeResolver())


def test_a_lock_without_checksums_is_read(tmp_path: Path) -> None:
    file = tmp_path / "bentofile.lock"
    lock_requirements(REQUEST, file, FakeResolver(PINS))
    lines = [line for line in file.read_text().splitlines(keepends=True) if not line.startswith("checksum")]
    file.write_text("".join(lines))
    assert lock_requirements(REQUEST, file, FakeResolver()) == PINS
