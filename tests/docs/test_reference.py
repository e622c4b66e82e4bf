"""The reference names exactly what there is: options, settings, environment variables, routes, metrics."""

from __future__ import annotations

import ast
import dataclasses
import re
from collections.abc import Iterator
from typing import Any

import pytest
from starlette.testclient import TestClient
from tests.docs.commands import all_commands
from tests.docs.pages import DOCS

import bentoml
from bentoml.runtime.app import AppOptions, create_app
from bentoml.sdk.configuration.settings import ServiceSettings

REFERENCE = DOCS / "reference"
SOURCE = DOCS.parent / "src" / "bentoml"
COMMON = {"--help", "-h", "--verbose", "--debug", "--quiet", "-q", "--do-not-track", "--context"}
NOT_NAMES = {
    "the value of auth.env",  # which the settings name
    "stage",  # a key of an entry of `envs`
    "the value of m[1]",  # `${NAME}` in the file of BENTOML_CONFIG
    "the value of name",  # what was found to be there just before
    "PATH",  # where programs are found, as for every program
}
SAME_AS = {"serve-http": "serve"}

_ROW = re.compile(r"^\|(.*?)\|(.*?)\|(.*?)\|$", re.MULTILINE)
_OPTION = re.compile(r"`(-{1,2}[a-zA-Z][a-z-]*)`")


def sections(page: str, level: str = "##") -> dict[str, str]:
    """Return the text below each heading of a page of the reference."""
    text = (REFERENCE / page).read_text("utf-8")
    pieces = re.split(rf"^{level} (.*)$", text, flags=re.MULTILINE)
    return {"": pieces[0], **dict(zip(pieces[1::2], pieces[2::2], strict=True))}


def commands_on_the_page() -> dict[str, str]:
    found = {}
    for heading, text in sections("cli.md").items():
        words = [w for w in heading.removeprefix("bentoml ").split() if w.islower()]
        found[" ".join(words)] = text
    return found


def test_every_command_is_described_once() -> None:
    assert set(commands_on_the_page()) - {""} == set(all_commands()) - set(SAME_AS)


@pytest.mark.parametrize("name", sorted(set(all_commands()) - set(SAME_AS)))
def test_options_of_a_command(name: str) -> None:
    real = {o for p in all_commands()[name].params for o in p.opts if o.startswith("-")}
    first_column = " ".join(row[0] for row in _ROW.findall(commands_on_the_page()[name]))
    assert set(_OPTION.findall(first_column)) == real - COMMON


def test_options_of_all_commands() -> None:
    introduction = set(_OPTION.findall(commands_on_the_page()[""]))
    assert introduction - {"-v"} == COMMON
    for name, command in all_commands().items():
        real = {o for p in command.params for o in p.opts}
        assert real >= COMMON - {"--help", "-h"}, name


def test_commands_that_are_the_same() -> None:
    for name, other in SAME_AS.items():
        one, two = ({o for p in all_commands()[n].params for o in p.opts} for n in (name, other))
        assert one == two
        assert f"`bentoml {name}` is the same command." in commands_on_the_page()[other]


def settings_of(cls: type[Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for field in dataclasses.fields(cls):
        factory: Any = field.default_factory
        if isinstance(factory, type):
            yield from settings_of(factory, f"{prefix}{field.name}.")
        else:
            yield f"{prefix}{field.name}", field.default


def test_settings_and_their_defaults() -> None:
    rows = _ROW.findall((REFERENCE / "settings.md").read_text("utf-8"))
    written = {row[0].strip(" `"): row[1].strip(" `") for row in rows if row[0].startswith(" `")}
    assert written == {name: repr(default) for name, default in settings_of(ServiceSettings)}


@pytest.mark.parametrize(
    ("heading", "pattern"),
    [("With effect", r"[.\"]{name}\b"), ("Without effect", r"\b{section}\.{name}\b")],
)
def test_settings_have_the_effect_that_the_page_says(heading: str, pattern: str) -> None:
    """Each setting with effect is asked for by some module, and none of those without."""
    own = ("settings.py", "resources.py")
    code = "".join(path.read_text() for path in SOURCE.rglob("*.py") if path.name not in own)
    names = [row[0].strip(" `") for row in _ROW.findall(sections("settings.md")[heading])[2:]]
    asked = [name for name in names if re.search(_asked_for(name, pattern), code)]
    assert names
    assert asked == (names if heading == "With effect" else [])


def _asked_for(name: str, pattern: str) -> str:
    *sections, key = f"settings.{name}".split(".")
    return pattern.format(section=sections[-1], name=key)


def environment_variables() -> set[str]:
    """Return the names that the code looks up in the environment that it is given."""
    found: set[str] = set()
    for path in SOURCE.rglob("*.py"):
        tree = ast.parse(path.read_text())
        constants = {
            target.id: node.value.value
            for node in tree.body
            if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant)
            for target in node.targets
            if isinstance(target, ast.Name)
        }
        for node in ast.walk(tree):
            found.update(_looked_up(node, constants))
    return found


def _looked_up(node: ast.AST, constants: dict[str, Any]) -> Iterator[str]:
    match node:
        case ast.Call(func=ast.Attribute(value=mapping, attr="get"), args=[key, *_]) if _is_env(mapping):
            yield _name(key, constants)
        case ast.Subscript(value=mapping, slice=key) if _is_env(mapping):
            yield _name(key, constants)
        case ast.Compare(left=key, ops=[ast.In()], comparators=[mapping]) if _is_env(mapping):
            yield _name(key, constants)
        case ast.keyword(arg="envvar", value=key):
            yield _name(key, constants)


def _is_env(node: ast.AST) -> bool:
    match node:
        case ast.Name(id="env") | ast.Attribute(value=ast.Name(id="self"), attr="_env" | "env"):
            return True
        case ast.Call(func=ast.Name(id="environment")):
            return True
    return False


def _name(key: ast.AST, constants: dict[str, Any]) -> str:
    match key:
        case ast.NamedExpr(value=value):
            return _name(value, constants)
        case ast.JoinedStr(values=[ast.Constant(value=str(beginning)), *_]):
            return f"{beginning}*"
        case ast.Constant(value=str(name)):
            return name
        case ast.Name(id=name) if name in constants:
            return str(constants[name])
    return f"the value of {ast.unparse(key)}"


def test_environment_variables() -> None:
    text = sections("store.md")["Environment variables"]
    first_column = " ".join(re.findall(r"^\| (.*?) \|", text, re.MULTILINE))
    assert set(re.findall(r"`([A-Z][A-Z_*]+)`", first_column)) == environment_variables() - NOT_NAMES


@bentoml.service
class Little:
    @bentoml.api
    def answer(self) -> int:
        return 42


def test_routes_and_metrics() -> None:
    page = sections("http.md")
    routes = set(re.findall(r"`(/[a-z.]*)`", " ".join(row[0] for row in _ROW.findall(page["Routes"]))))
    names = set(re.findall(r"^\| `(\w+)`", page["Metrics"], re.MULTILINE))
    with TestClient(create_app(Little, options=AppOptions())) as client:  # type: ignore[arg-type]  # as ASGI has it
        assert client.post("/answer").headers.keys() >= {"server", "x-bentoml-request-id"}
        assert {"/", "/livez", "/healthz", "/readyz", "/metrics", "/schema.json", "/docs.json"} <= routes
        for route in routes:
            assert client.get(route).status_code == client.head(route).status_code == 200, route
        metrics = client.get("/metrics").text
        assert client.get("/docs.json").json()["openapi"].startswith("3.1")
    assert names == set(re.findall(r"^# TYPE (bentoml_\w+)", metrics, re.MULTILINE))
    for row in _ROW.findall(page["Metrics"]):
        for label in re.findall(r"`(\w+)`", row[2]):
            assert f'{label}="' in metrics
