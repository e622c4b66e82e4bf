"""What uv unpacked becomes files of the target, without a trace of this machine."""

from __future__ import annotations

import csv
import hashlib
from base64 import urlsafe_b64decode
from pathlib import Path

import pytest

from bentoml.builder.oci.parts.venv import Group, read_groups
from bentoml.store.archives.tar import TarEntry

SITE = "lib/python3.9/site-packages"  # as on a machine whose Python is not the target's
TARGET = "app/.venv/lib/python3.11/site-packages"


def install(prefix: Path, name: str, files: dict[str, str], *, programs: str = "") -> None:
    """Leave behind what uv does: files, and a RECORD that names them."""
    info = f"{SITE}/{name}-1.0.dist-info"
    texts = {f"{SITE}/{name}/__init__.py": "", **files}
    texts |= {f"{info}/entry_points.txt": programs} if programs else {}
    texts |= {f"{info}/direct_url.json": '{"url": "file:///somewhere"}', f"{info}/uv_cache.json": "{}"}
    rows = [path.removeprefix(f"{SITE}/") if path.startswith(SITE) else f"../../../{path}" for path in texts]
    texts[f"{info}/RECORD"] = "".join(
        f'"{row}",sha256=wrong,1\n' for row in [*rows, f"{name}-1.0.dist-info/RECORD"]
    )
    for path, text in texts.items():
        (prefix / path).parent.mkdir(parents=True, exist_ok=True)
        (prefix / path).write_text(text)


def read(prefix: Path) -> list[Group]:
    return read_groups(prefix, "3.11", "/usr/bin/python3.11")


def by_path(group: Group) -> dict[str, TarEntry]:
    return {entry.path: entry for entry in group.entries}


def content(entry: TarEntry) -> bytes:
    assert isinstance(entry.source, bytes | Path)
    return entry.source if isinstance(entry.source, bytes) else entry.source.read_bytes()


def test_the_environment_is_that_of_the_target(tmp_path: Path) -> None:
    install(tmp_path, "numbers", {})
    (group,) = read(tmp_path)
    entries = by_path(group)
    assert content(entries["app/.venv/pyvenv.cfg"]).decode().splitlines()[0] == "home = /usr/bin"
    assert entries["app/.venv/bin/python"].link == "/usr/bin/python3.11"
    assert entries["app/.venv/bin/python3.11"].link == "python"
    assert f"{TARGET}/numbers/__init__.py" in entries
    assert {"app/.venv", "app/.venv/lib", TARGET} <= {e.path for e in group.entries if e.kind == "dir"}
    assert "app" not in entries, "the folder of the base keeps its mode"


def test_nothing_of_this_machine_is_left(tmp_path: Path) -> None:
    install(tmp_path, "numbers", {f"{SITE}/numbers/__pycache__/one.pyc": "code"})
    (tmp_path / ".lock").touch()
    (group,) = read(tmp_path)
    left = [p for p in by_path(group) if p.endswith((".lock", ".pyc", "direct_url.json", "uv_cache.json"))]
    assert left == []


def test_programs_are_written_anew(tmp_path: Path) -> None:
    programs = "[console_scripts]\ncount = numbers.one:Counter.run\n[gui_scripts]\nshow = numbers:show [extra]\n[other]\nno = x:y\n"
    uv_wrote = "#!/this/machine/python\nimport sys\n"
    install(tmp_path, "numbers", {"bin/count": uv_wrote, "bin/show": uv_wrote}, programs=programs)
    entries = by_path(read(tmp_path)[0])
    count = entries["app/.venv/bin/count"]
    assert count.mode == 0o755
    assert content(count).decode() == (
        "#!/app/.venv/bin/python\nimport sys\n\nfrom numbers.one import Counter\n\n"
        'if __name__ == "__main__":\n    sys.exit(Counter.run())\n'
    )
    assert b"from numbers import show\n" in content(entries["app/.venv/bin/show"])
    assert "app/.venv/bin/no" not in entries


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("#!/this/machine/bin/python3\nrun()\n", "#!/app/.venv/bin/python\nrun()\n", id="python"),
        pytest.param(
            "#!/bin/sh\n'''exec' '/a long path/python' \"$0\" \"$@\"\n' '''\nrun()\n",
            "#!/app/.venv/bin/python\nrun()\n", id="python behind a long path",
        ),
        pytest.param("#!/usr/bin/env python3\nrun()\n", "#!/usr/bin/env python3\nrun()\n", id="env"),
        pytest.param("#!/bin/sh\nrun\n", "#!/bin/sh\nrun\n", id="shell"),
        pytest.param("\x7fELF", "\x7fELF", id="binary"),
    ],
)  # fmt: skip
def test_scripts_of_a_wheel(tmp_path: Path, text: str, expected: str) -> None:
    install(tmp_path, "numbers", {"bin/tool": text})
    (tmp_path / "bin/tool").chmod(0o755)
    tool = by_path(read(tmp_path)[0])["app/.venv/bin/tool"]
    assert content(tool).decode() == expected
    assert tool.mode == 0o755


def test_the_record_says_what_is_there(tmp_path: Path) -> None:
    install(
        tmp_path, "numbers", {"bin/count": "x", "include/site/python3.9/numbers.h": "h", f"{SITE}/numbers/a,b.txt": "1"},
        programs="[console_scripts]\ncount = numbers:run\n",
    )  # fmt: skip
    entries = by_path(read(tmp_path)[0])
    rows = list(csv.reader(content(entries[f"{TARGET}/numbers-1.0.dist-info/RECORD"]).decode().splitlines()))
    stated = {row[0]: row[1:] for row in rows}
    assert stated.pop("numbers-1.0.dist-info/RECORD") == ["", ""]
    assert set(stated) == {
        "../../../bin/count", "../../../include/site/python3.11/numbers.h", "numbers/__init__.py", "numbers/a,b.txt",
        "numbers-1.0.dist-info/entry_points.txt",
    }  # fmt: skip
    for path, (digest, size) in stated.items():
        data = content(entries[str(Path("/", TARGET, path).resolve())[1:]])
        assert urlsafe_b64decode(digest.removeprefix("sha256=") + "=") == hashlib.sha256(data).digest()
        assert int(size) == len(data)


def test_a_record_cannot_reach_outside(tmp_path: Path) -> None:
    (tmp_path / "secret.txt").write_text("secret")
    install(tmp_path / "venv", "numbers", {})
    record = tmp_path / "venv" / SITE / "numbers-1.0.dist-info/RECORD"
    record.write_text(record.read_text() + f"../../../../secret.txt,,\n{tmp_path}/secret.txt,,\n")
    (group,) = read(tmp_path / "venv")
    assert not [p for p in by_path(group) if "secret" in p]
    assert b"secret" not in content(by_path(group)[f"{TARGET}/numbers-1.0.dist-info/RECORD"])


def test_large_packages_have_layers_of_their_own(tmp_path: Path) -> None:
    sizes = {f"large{n:02}": 10_000 for n in range(13)} | {"small": 5_000}
    for name, size in sizes.items():
        install(tmp_path, name, {f"{SITE}/{name}/data": "x" * size})
    groups = read_groups(tmp_path, "3.11", "/usr/bin/python3.11", large=10_000)
    assert [group.about for group in groups] == [f"large{n:02} 1.0" for n in range(12)] + ["2 packages"]
    assert f"{TARGET}/large12/data" in by_path(groups[-1])
    paths = [p for group in groups for p, entry in by_path(group).items() if entry.kind == "file"]
    assert len(paths) == len(set(paths))


def test_a_package_set_apart_lies_on_top(tmp_path: Path) -> None:
    for name in ("large", "numbers", "runtime"):
        install(tmp_path, name, {f"{SITE}/{name}/data": "x" * 10_000})
    groups = read_groups(tmp_path, "3.11", "/usr/bin/python3.11", apart={"runtime"}, large=10_000)
    assert [group.about for group in groups] == ["large 1.0", "numbers 1.0", "0 packages", "runtime 1.0"]
    assert f"{TARGET}/runtime/data" in by_path(groups[-1])


def test_the_content_decides_the_group_and_nothing_else_does(tmp_path: Path) -> None:
    for place in ("a", "elsewhere/b"):
        install(tmp_path / place, "numbers", {f"{SITE}/numbers/one.py": "1"})
    install(tmp_path / "c", "numbers", {f"{SITE}/numbers/one.py": "2"})
    a, b, c = (read(tmp_path / place)[0].content for place in ("a", "elsewhere/b", "c"))
    assert a == b != c
