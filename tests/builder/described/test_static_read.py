"""Services that are read, as a library of theirs is not installed here; nothing of them is run."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from bentoml.builder.described.describe import Description, describe
from bentoml.exceptions import BentoMLException, ImportServiceError

LACKING = """
    import typing as t
    from pathlib import Path
    import no_such_library as lib
    import bentoml
    from helpers import Helper

    TIMEOUT = 30
    raise_if_run = lib.run()

    class Base:
        @bentoml.api
        def inherited(self, number: int, /) -> int:
            return number

    @bentoml.service(name="reader", traffic={"timeout": TIMEOUT}, labels={"a": "b"}, workers=lib.count())
    class Reader(Base):
        "Reads."
        words = bentoml.models.HuggingFaceModel("org/tiny", revision="v1")
        other = bentoml.models.BentoModel(lib.tag())
        helper = bentoml.depends(Helper)

        @bentoml.api(route="/go", batchable=False)
        async def read(self, text: str, n: t.Optional[int] = 3, x: lib.Array = lib.zeros(3), ctx=None) -> t.Dict[str, t.Any]:
            "Do it."
            return {}

        @bentoml.task
        def later(self, file: Path, words: list[str] = ["a"]) -> str: ...

        @bentoml.api
        async def stream(self, prompt: str = "x") -> t.AsyncGenerator[str, None]:
            yield "a"
"""
HELPERS = """
    from bentoml import api, service

    @service
    class Helper:
        @api
        def help(self) -> int:
            return 1
"""


def described(folder: Path, **files: str) -> Description:
    for name, text in files.items():
        (folder / f"{name}.py").write_text(dedent(text))
    return describe(folder, "service:Reader", env=os.environ)


def test_what_can_be_seen_is_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    found = described(tmp_path, service=LACKING, helpers=HELPERS)
    assert (found.name, found.about, found.labels, found.lacks) == (
        "reader", "Reads.", {"a": "b"}, "no_such_library",
    )  # fmt: skip
    routes: dict[str, Any] = {route["name"]: route for route in found.schema["routes"]}
    assert sorted(routes) == ["inherited", "later", "read", "stream"]
    assert routes["inherited"]["input"]["root_input"] is True
    assert routes["read"]["route"] == "/go"
    assert routes["read"]["input"]["required"] == ["text"]
    assert routes["read"]["input"]["properties"]["n"]["default"] == 3
    assert sorted(routes["read"]["input"]["properties"]) == ["n", "text", "x"]
    assert routes["later"]["is_task"]
    assert routes["later"]["input"]["properties"]["file"]["type"] == "file"
    assert routes["stream"]["output"]["is_stream"]
    assert found.openapi["paths"]["/go"]["post"]["description"] == "Do it."
    assert [one["name"] for one in found.services] == ["reader", "Helper"]
    assert found.services[0]["dependencies"] == [{"service": "Helper"}]
    assert found.services[0]["config"]["traffic"]["timeout"] == 30
    assert found.hub_models["reader"][0]["revision"] == "v1"
    assert found.unseen == [
        "`workers=lib.count()` of `Reader`",
        "`Reader.other = bentoml.models.BentoModel(lib.tag())`",
        "the type `lib.Array` of parameter `x` of `Reader.read`",
        "the default of parameter `x` of `Reader.read`",
    ]
    (record,) = [r for r in caplog.records if r.levelno == logging.WARNING]
    assert "`no_such_library` is not installed here" in record.getMessage()
    assert "* `workers=lib.count()` of `Reader`" in record.getMessage()


def test_reading_says_what_importing_does(tmp_path: Path) -> None:
    plain = LACKING.replace("raise_if_run = lib.run()", "").replace(", workers=lib.count()", "")
    plain = plain.replace("other = bentoml.models.BentoModel(lib.tag())", "")
    plain = plain.replace(", x: lib.Array = lib.zeros(3)", "")
    read = described(tmp_path, service=plain, helpers=HELPERS)
    imported = described(
        tmp_path, service=plain.replace("import no_such_library as lib", ""), helpers=HELPERS
    )
    assert (read.unseen, read.lacks, imported.lacks) == ([], "no_such_library", "")
    for name in ("name", "labels", "envs", "about", "schema", "openapi", "services", "hub_models"):
        assert getattr(read, name) == getattr(imported, name), name


def test_the_only_service_is_found(tmp_path: Path) -> None:
    (tmp_path / "service.py").write_text(
        "import no_such_library, bentoml\n@bentoml.service\nclass A: pass\n"
        "@bentoml.service\nclass B:\n    a = bentoml.depends(A)\n"
    )
    assert describe(tmp_path, "service", env=os.environ).name == "B"


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("import no_such_library\nclass Reader(:\n", "SyntaxError"),
        ("import helpers\n", "ZeroDivisionError"),
        ("import json.none\n", "json.none"),
        ("import helpers.none\n", "helpers.none|ZeroDivisionError"),
        ("raise ImportError('no_such_library')\n", "no_such_library"),
        ("raise ModuleNotFoundError('own')\n", "own"),
        ("import no_such_library\n", "no_such_library"),
    ],
)
def test_what_stays_an_error(tmp_path: Path, code: str, said: str) -> None:
    (tmp_path / "helpers.py").write_text("1 / 0\n")
    (tmp_path / "service.py").write_text(code)
    with pytest.raises(ImportServiceError, match=said):
        describe(tmp_path, "service:Reader", env=os.environ)


def test_a_mistake_that_can_be_read_is_said(tmp_path: Path) -> None:
    (tmp_path / "service.py").write_text(
        "import no_such_library, bentoml\n@bentoml.service(trafic={})\nclass Reader: pass\n"
    )
    with pytest.raises(BentoMLException, match="trafic"):
        describe(tmp_path, "service:Reader", env=os.environ)


def test_the_image_is_read(tmp_path: Path) -> None:
    code = """
        import no_such_library
        import bentoml
        from bentoml.images import Image

        PACKAGES = ["no_such_library", "numpy"]
        image = Image(python_version="3.12").python_packages(*PACKAGES)
        image.run("echo after")
        image.run(no_such_library.command())
        print("not run")

        @bentoml.service(image=image.run_script("setup.sh"))
        class Reader:
            pass
    """
    found = described(tmp_path, service=code)
    assert found.image["requirements"] == ["no_such_library", "numpy"]
    assert found.image["python_version"] == "3.12"
    assert found.image["post_commands"][0] == "echo after"
    assert list(found.image["scripts"].values()) == ["setup.sh"]
