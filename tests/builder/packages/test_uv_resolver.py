"""What is locked is the same wherever it is locked, and holds the project's own wheels, constraints and indexes."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import pytest
from tests.builder.handmade import wheel

from bentoml.builder.packages.indexes import Indexes
from bentoml.builder.packages.lock import Lock, LockPlatform, LockRequest, lock_requirements, split_wheels
from bentoml.builder.packages.packed_wheel import packed_wheel
from bentoml.builder.packages.uv_resolver import UvResolver
from bentoml.builder.packages.uv_sources import NamedIndex, PackageIndex, UvSources
from bentoml.exceptions import BentoMLException


def environment(tmp_path: Path, **more: str) -> dict[str, str]:
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        "PIP_CONFIG_FILE": os.devnull,
        "UV_CACHE_DIR": str(tmp_path / "cache"),
        **more,
    }


def request(folder: Path, *requirements: str, platform: str = "linux") -> LockRequest:
    indexes = Indexes(find_links=(str(folder),), no_index=True)
    return LockRequest(requirements, "3.11", LockPlatform.parse(platform), indexes)


def names(pins: str) -> list[str]:
    return [line.rstrip(" \\") for line in pins.splitlines() if not line.startswith(" ")]


@pytest.mark.parametrize(
    "more",
    [
        {"TZ": "Pacific/Auckland", "LANG": "de_DE.UTF-8", "PYTHONHASHSEED": "7"},
        {"UV_PYTHON_PLATFORM": "macos", "UV_PYTHON": "3.13", "VIRTUAL_ENV": "/nowhere"},
        {"UV_CACHE_DIR": "/tmp/{}", "NO_COLOR": "", "FORCE_COLOR": "1"},
    ],
    ids=["locale", "platform", "cache"],
)
def test_both_platforms_are_locked_alike_whatever_the_host_says(
    tmp_path: Path, more: Mapping[str, str]
) -> None:
    folder = tmp_path / "wheels"
    for machine in ("x86_64", "aarch64"):
        for tag in (f"cp311-cp311-manylinux_2_28_{machine}", f"cp313-cp313-manylinux_2_28_{machine}"):
            wheel(folder, "native", "2.0", tag=tag)
    wheel(folder, "native", "3.0", tag="cp311-cp311-macosx_11_0_arm64")
    wheel(folder, "pure", "1.0")

    def locked(name: str, env: Mapping[str, str]) -> bytes:
        (tmp_path / name).mkdir()
        file = tmp_path / name / "bentofile.lock"
        for platform in ("linux/arm64", "linux/amd64"):
            asked = request(folder, "native", "pure", "colorama ; sys_platform == 'win32'", platform=platform)
            lock_requirements(asked, file, UvResolver(env))
        return file.read_bytes()

    here = locked("here", environment(tmp_path))
    other = {key: value.format(tmp_path.name) for key, value in more.items()}
    assert locked("there", environment(tmp_path, **other)) == here
    entries = Lock.parse(here.decode()).entries
    assert list(entries) == ["aarch64-manylinux_2_36-python3.11", "x86_64-manylinux_2_36-python3.11"]
    hashes = {pins.requirements for pins in entries.values()}
    assert len(hashes) == 2
    assert all(names(pins) == ["native==2.0", "pure==1.0"] for pins in hashes)
    assert all(pins.count("--hash") == 2 for pins in hashes)


def test_a_wheel_of_the_project_is_locked_with_what_it_requires(tmp_path: Path) -> None:
    folder = tmp_path / "wheels"
    wheel(folder, "lib", "1.0")
    own = packed_wheel(wheel(tmp_path, "my_own", "2.0", requires="lib"), said="own")
    asked = request(folder)._replace(wheels=(own,))
    file = tmp_path / "bentofile.lock"
    pins = lock_requirements(asked, file, UvResolver(environment(tmp_path)))
    assert names(pins) == ["lib==1.0", "my-own==2.0"]
    assert str(tmp_path) not in file.read_text()
    assert split_wheels(pins, asked.wheels) == (pins.replace("my-own==2.0\n", ""), (own,))
    assert lock_requirements(asked, file, UvResolver({}), "locked") == pins


def test_a_wheel_that_the_marker_leaves_out_stays_out(tmp_path: Path) -> None:
    folder = tmp_path / "wheels"
    wheel(folder, "lib", "1.0")
    own = packed_wheel(wheel(tmp_path, "own"), said="own")._replace(marker="sys_platform == 'win32'")
    pins = UvResolver(environment(tmp_path)).resolve(request(folder, "lib")._replace(wheels=(own,)))
    assert split_wheels(pins, (own,)) == (pins, ())
    assert names(pins) == ["lib==1.0"]


def test_a_wheel_for_another_machine_is_refused(tmp_path: Path) -> None:
    own = packed_wheel(wheel(tmp_path, "own", tag="cp311-cp311-manylinux_2_28_aarch64"), said="own")
    with pytest.raises(BentoMLException, match="cannot be resolved for x86_64"):
        UvResolver(environment(tmp_path)).resolve(request(tmp_path / "none")._replace(wheels=(own,)))


def test_constraints_and_prereleases(tmp_path: Path) -> None:
    folder = tmp_path / "wheels"
    for version in ("1.0", "2.0", "3.0rc1"):
        wheel(folder, "lib", version)
    resolver, asked = UvResolver(environment(tmp_path)), request(folder, "lib")
    assert names(resolver.resolve(asked)) == ["lib==2.0"]
    assert names(resolver.resolve(asked._replace(constraints=("lib<2", "other==1")))) == ["lib==1.0"]
    assert names(resolver.resolve(asked._replace(prereleases=True))) == ["lib==3.0rc1"]
    assert (
        len(
            {
                asked.inputs,
                asked._replace(constraints=("lib<2",)).inputs,
                asked._replace(prereleases=True).inputs,
            }
        )
        == 3
    )


def test_a_package_comes_from_the_index_that_it_is_assigned_to(tmp_path: Path) -> None:
    public, private = tmp_path / "public", tmp_path / "private"
    wheel(public, "lib", "1.0")
    wheel(public, "special", "9.0")
    wheel(private, "special", "1.0")
    wheel(private, "lib", "9.0")
    asked = LockRequest(
        ("lib", "special"),
        "3.11",
        LockPlatform.parse("linux"),
        Indexes(find_links=(str(public),), index_url=(tmp_path / "empty").as_uri()),
        sources=UvSources(
            (NamedIndex("mine", private.as_uri(), explicit=True, format="flat"),),
            (PackageIndex("special", "mine"),),
        ),
    )
    (tmp_path / "empty").mkdir()
    assert names(UvResolver(environment(tmp_path)).resolve(asked)) == ["lib==1.0", "special==1.0"]


def test_offline_says_what_is_missing_and_asks_nobody(tmp_path: Path) -> None:
    asked = LockRequest(
        ("numpy",),
        "3.11",
        LockPlatform.parse("linux"),
        Indexes(index_url="http://127.0.0.1:9/simple"),
        offline=True,
    )
    with pytest.raises(
        BentoMLException, match=r"(?s)`--offline` asks no index; build once without it.*numpy"
    ):
        lock_requirements(asked, tmp_path / "bentofile.lock", UvResolver(environment(tmp_path)))
    assert not (tmp_path / "bentofile.lock").exists()


def test_credentials_of_an_index_are_not_said(tmp_path: Path) -> None:
    indexes = Indexes(index_url="http://user:canary@127.0.0.1:9/simple")
    asked = LockRequest(("numpy",), "3.11", LockPlatform.parse("linux"), indexes)
    with pytest.raises(BentoMLException) as caught:
        UvResolver(environment(tmp_path, UV_HTTP_RETRIES="0")).resolve(asked)
    assert "canary" not in str(caught.value)
