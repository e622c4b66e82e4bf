from __future__ import annotations

import pytest

from bentoml.builder.packages.requirements import read_requirements, split_runtime
from bentoml.exceptions import BentoMLConfigException

FILES = {
    "requirements.txt": """
        # what we need
        --index-url https://packages.example/simple
        --extra-index-url=https://packages.example/cpu
        -f wheels
        numpy>=2  # arrays
        scipy==1.17.0 \\
            --hash=sha256:00
        -r more/extra.txt
        x @ https://packages.example/x.whl#sha256=00
        """,
    "more/extra.txt": "torch\n-r deep.txt\n",
    "more/deep.txt": "--no-index\nbentoml\n",
}


def read(name: str) -> str:
    return FILES[name].replace("        ", "")


def test_a_requirements_file_is_lines_and_options() -> None:
    found = read_requirements("requirements.txt", read)
    assert found.lines == (
        "numpy>=2",
        "scipy==1.17.0 --hash=sha256:00",
        "torch",
        "bentoml",
        "x @ https://packages.example/x.whl#sha256=00",
    )
    assert found.options == {
        "index_url": ["https://packages.example/simple"],
        "extra_index_url": ["https://packages.example/cpu"],
        "find_links": ["wheels"],
        "no_index": [""],
    }


def test_each_line_that_cannot_be_kept_is_named() -> None:
    text = "ok\n-e .\n../local\nhg+https://x/y\n--no-binary=x\n--target=y\nz @ https://user:secret@x/z.whl\n"
    with pytest.raises(BentoMLConfigException) as caught:
        read_requirements("r.txt", lambda _: text)
    said = str(caught.value)
    for number in range(2, 8):
        assert f"r.txt:{number}: " in said
    assert "r.txt:1" not in said
    assert "secret" not in said


def test_a_file_that_includes_itself_is_refused() -> None:
    with pytest.raises(BentoMLConfigException, match="includes itself"):
        read_requirements("a", {"a": "-r b", "b": "-r a"}.__getitem__)


@pytest.mark.parametrize(
    ("line", "extras"),
    [
        ("bentoml", set()),
        ("bentoml==1.4.39", set()),
        ("BentoML[io, docker]>=1.2", {"io", "docker"}),
        ("bentoml @ https://x/bentoml.whl", set()),
        ("bentoml ; python_version > '3'", set()),
        ("bentoml-extras", None),
        ("bentoml_extras==1", None),
        ("bentoml.x", None),
        ("mybentoml", None),
    ],
)
def test_the_runtime_itself_is_no_requirement(line: str, extras: set[str] | None) -> None:
    others, found = split_runtime(["numpy", line])
    assert others == (["numpy"] if extras is not None else ["numpy", line])
    assert found == (extras or set())
