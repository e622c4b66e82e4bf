from __future__ import annotations

import pytest

from bentoml.builder.packages.sources import GitSource, PathSource, parse_source, source_problem

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("git+https://h/r.git", ("https://h/r.git", "", "", "", "")),
        ("demo @ git+https://h/r@v1.0", ("https://h/r", "v1.0", "", "demo", "")),
        ("demo[a,b]@git+https://h/g/r.git@feature/x", ("https://h/g/r.git", "feature/x", "", "demo", "a,b")),
        ("git+ssh://git@h/r.git@main#egg=demo&subdirectory=py/demo", ("ssh://git@h/r.git", "main", "py/demo", "demo", "")),
        ("demo @ git+file:///srv/r", ("file:///srv/r", "", "", "demo", "")),
    ],
)  # fmt: skip
def test_git(line: str, expected: tuple[str, ...]) -> None:
    assert source_problem(line) is None
    source = parse_source(line)
    assert isinstance(source, GitSource)
    assert (source.url, source.ref, source.subdirectory, source.name, source.extras) == expected


def test_a_git_source_is_written_with_its_commit() -> None:
    source = parse_source("demo[x] @ git+https://h/r@main#subdirectory=py ; python_version < '3.14'")
    assert isinstance(source, GitSource)
    assert source.place == "https://h/r@main"
    assert (
        source.at(COMMIT) == f"demo[x] @ git+https://h/r@{COMMIT}#subdirectory=py ; python_version < '3.14'"
    )
    again = parse_source(source.at(COMMIT))
    assert isinstance(again, GitSource)
    assert again.is_pinned
    assert not source.is_pinned


@pytest.mark.parametrize(
    ("line", "path", "name", "extras", "marker"),
    [
        ("./libs/demo", "./libs/demo", "", "", ""),
        (".", ".", "", "", ""),
        ("./libs/demo[x]", "./libs/demo", "", "x", ""),
        ("demo @ ./libs/demo", "./libs/demo", "demo", "", ""),
        ("demo @ file:libs/demo", "libs/demo", "demo", "", ""),
        ("wheels/x-1-py3-none-any.whl ; sys_platform == 'linux'", "wheels/x-1-py3-none-any.whl", "", "", "sys_platform == 'linux'"),
        ("./x-1-py3-none-any.whl --hash=sha256:00", "./x-1-py3-none-any.whl", "", "", ""),
    ],
)  # fmt: skip
def test_paths(line: str, path: str, name: str, extras: str, marker: str) -> None:
    assert source_problem(line) is None
    source = parse_source(line)
    assert isinstance(source, PathSource)
    assert (source.path, source.name, source.extras, source.marker) == (path, name, extras, marker)


@pytest.mark.parametrize(
    "line",
    [
        "numpy",
        "numpy>=2,<3",
        "numpy >= 2 ; python_version > '3'",
        "x @ https://h/x-1.whl",
        "x[y]==1 --hash=sha256:0",
    ],
)
def test_what_an_index_or_a_url_gives_is_no_source(line: str) -> None:
    assert source_problem(line) is None
    assert parse_source(line) is None


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("hg+https://h/r", "`hg` are not supported"),
        ("demo @ svn+https://h/r", "`svn` are not supported"),
        ("git+git@h:r.git", "has to be an https, ssh"),
        ("git+ext::sh -c id", "cannot be read"),
        ("git+https://user:secret@h/r", "user name or password"),
        ("git+https://token@h/r", "user name or password"),
        ("git+https://h/r?token=x", "user name or password"),
        ("git+https://h/r@--upload-pack=x", "no branch"),
        ("git+https://h/r@a..b", "no branch"),
        ("git+https://h/r#subdirectory=../x", "leaves the project"),
        ("/opt/demo", "a path of this machine"),
        ("~/demo", "a path of this machine"),
        ("demo @ file:///opt/demo", "a path of this machine"),
        ("../demo", "leaves the project"),
        ("./a/../../demo", "leaves the project"),
        ("./demo --config-settings=x=y", "takes no options"),
    ],
)
def test_what_cannot_be_part_of_a_bento(line: str, said: str) -> None:
    assert said in (source_problem(line) or "")
