"""Arguments: what a service reads from outside while it is imported."""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from pydantic import BaseModel

import bentoml
from bentoml.config import Home
from bentoml.exceptions import InvalidArgument
from bentoml.sdk.configuration.argument_file import read_argument_file
from bentoml.sdk.configuration.arguments import give_arguments, importing, plain, use_arguments
from bentoml.sdk.context import server_context
from bentoml.sdk.loader import find, load_target


class Args(BaseModel):
    name: str
    size: int = 1
    loud: bool = False


@dataclass
class Plain:
    size: int = 1


@pytest.fixture(autouse=True)
def forget() -> Iterator[None]:
    yield
    give_arguments({})


def test_texts_become_what_the_model_asks_for() -> None:
    give_arguments({"name": "a", "size": "3", "loud": "yes", "more": 1})
    assert bentoml.use_arguments(Args) == Args(name="a", size=3, loud=True)
    assert use_arguments(Plain).size == 3


def test_without_a_model() -> None:
    give_arguments({"name": "a", "size": "3"})
    assert vars(use_arguments()) == {"name": "a", "size": "3"}


def test_every_mistake_is_named() -> None:
    give_arguments({"size": "x"})
    with pytest.raises(InvalidArgument) as caught:
        use_arguments(Args)
    title, *mistakes = caught.value.message.splitlines()
    assert title == "Argument error. Please provide correct arguments via --arg option:"
    assert [m.split(":")[0] for m in mistakes] == ["  - `name`", "  - `size`"]


def test_a_file(tmp_path: Path) -> None:
    file = tmp_path / "args.yaml"
    file.write_text("size: 3\nday: 2026-01-02\n")
    assert plain(read_argument_file(file)) == {"size": 3, "day": str(datetime.date(2026, 1, 2))}
    file.write_text("")
    assert read_argument_file(file) == {}


@pytest.mark.parametrize("text", ["- 1\n", "a: [", "\x00"])
def test_a_file_that_is_none(tmp_path: Path, text: str) -> None:
    file = tmp_path / "args.yaml"
    file.write_text(text)
    with pytest.raises(InvalidArgument, match="--arg-file"):
        read_argument_file(file)


SERVICE = """
import bentoml

args = bentoml.use_arguments()

@bentoml.service(name=args.name)
class Named:
    pass
"""


def test_the_build_file_gives_arguments_and_others_go_over_them(tmp_path: Path) -> None:
    (tmp_path / "service.py").write_text(SERVICE)
    (tmp_path / "bentofile.yaml").write_text("service: service:Named\nargs: {name: first}\n")
    home = Home(tmp_path / "home")
    target = find(str(tmp_path), home=home)
    assert load_target(target, home=home).name == "first"


def test_what_is_given_goes_over_the_build_file(tmp_path: Path) -> None:
    (tmp_path / "service.py").write_text(SERVICE)
    (tmp_path / "pyproject.toml").write_text(
        '[tool.bentoml.build]\nservice = "service:Named"\nargs = {name = "first"}\n'
    )
    home = Home(tmp_path / "home")
    target = find(str(tmp_path), home=home)
    assert target.args == {"name": "first"}
    assert load_target(replace(target, args={"name": "second"}), home=home).name == "second"


def test_importing_what_is_not_there() -> None:
    with bentoml.importing():
        import not_there_at_all  # type: ignore[import-not-found]  # noqa: F401


def test_importing_in_a_worker() -> None:
    server_context.worker_index = 1
    try:
        with pytest.raises(ModuleNotFoundError), importing():
            import not_there_at_all  # noqa: F401
    finally:
        server_context.worker_index = None


def test_importing_hides_no_other_error() -> None:
    with pytest.raises(ZeroDivisionError), importing():
        _ = 1 / 0
