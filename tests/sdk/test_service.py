"""Services: decoration, configuration, dependencies, schema."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel
from tests.sdk.services import of

import bentoml
from bentoml.config import Home
from bentoml.exceptions import BentoMLConfigException
from bentoml.sdk.service import get_current_service, set_current_service
from bentoml.store.models import ModelStore


@bentoml.service
class Bare:
    """Say what it does."""

    @bentoml.api
    def b(self, x: int) -> int:
        return x + 1

    @bentoml.api
    def a(self) -> None: ...


@bentoml.service(
    name="named",
    description="about",
    path_prefix="pre/",
    labels={"team": "a"},
    envs=[{"name": "TOKEN"}, {"name": "MODE", "value": "x", "stage": "build"}],
    cmd=["run"],
    workers=2,
    traffic={"timeout": 5},
)
class Called:
    bare = bentoml.depends(Bare)

    @bentoml.api(route="/custom/url")
    def c(self) -> str:
        return "c"


def test_bare() -> None:
    service = of(Bare)
    assert (service.name, service.doc, service.config, service.path_prefix) == (
        "Bare", "Say what it does.", {}, "",
    )  # fmt: skip
    assert list(service.apis) == ["a", "b"]  # in the order of the alphabet
    assert repr(service) == "Service(name='Bare')"


def test_called() -> None:
    service = of(Called)
    assert (service.name, service.description, service.path_prefix) == ("named", "about", "/pre")
    assert (service.labels, service.cmd) == ({"team": "a"}, ["run"])
    assert service.envs == [
        {"name": "TOKEN", "value": "", "stage": "all"},
        {"name": "MODE", "value": "x", "stage": "build"},
    ]
    assert service.config == {"workers": 2, "traffic": {"timeout": 5}}
    assert (service.settings.workers, service.settings.traffic.timeout) == (2, 5)
    assert list(service.dependencies) == ["bare"]
    assert service.all_services() == {"named": Called, "Bare": Bare}
    assert service.find_dependent_by_name("Bare") is Bare
    with pytest.raises(ValueError, match="`Nope` is not among `named`, `Bare`"):
        service.find_dependent_by_name("Nope")


def test_calling_it_gives_an_instance() -> None:
    instance = Bare()
    assert instance.b(1) == 2
    assert type(instance) is of(Bare).inner
    assert Bare() is not instance


def test_what_an_instance_has_besides_its_methods() -> None:
    class Parent:
        bento_service = "its own"

    @bentoml.service
    class Child(Parent):
        @bentoml.api
        def double(self, n: int) -> int:
            return 2 * n

    instance: Any = Bare()
    assert instance.bento_service is Bare
    assert instance.to_sync.b(1) == asyncio.run(instance.to_async.b(1)) == 2
    assert Child().bento_service == "its own"


def test_a_mistake_of_decoration() -> None:
    with pytest.raises(TypeError, match=r"service\(\) decorator can only be applied once"):
        bentoml.service(Bare)
    with pytest.raises(TypeError, match="goes on a class"):
        bentoml.service(3)  # type: ignore[call-overload]  # the case


def test_every_mistake_of_the_configuration_is_named_at_once() -> None:
    with pytest.raises(BentoMLConfigException) as caught:

        @bentoml.service(wrokers=2, traffic={"timeout": "x"})  # type: ignore[call-overload]  # the case
        class Wrong: ...

    for part in ("`Wrong`", "`wrokers`", "did you mean `workers`?", "`traffic.timeout`"):
        assert part in caught.value.message


def test_two_services_of_one_name() -> None:
    other: Any = bentoml.service(name="Bare")(type("Other", (), {}))
    holder = type("Holder", (), {"a": bentoml.depends(Bare), "b": bentoml.depends(other)})
    with pytest.raises(BentoMLConfigException, match="Dependency conflict"):
        bentoml.service(holder)


@pytest.mark.parametrize("options", [{"route": "/a"}, {"name": "a"}], ids=["route", "name"])
def test_two_apis_in_one_place(options: dict[str, str]) -> None:
    class Twice:
        @bentoml.api
        def a(self) -> None: ...

    Twice.b = bentoml.api(**options)(lambda self: None)  # type: ignore[attr-defined, call-overload]  # made here
    Twice.b.func.__name__ = Twice.b.attribute = "b"  # type: ignore[attr-defined]  # a lambda has no name
    with pytest.raises(BentoMLConfigException, match="the same name or the same route"):
        bentoml.service(Twice)


def test_local_models_in_annotations() -> None:
    class Local(BaseModel):
        a: int

    @bentoml.service
    class Uses:
        @bentoml.api
        def use(self, local: Local) -> Local:
            return local

    assert of(Uses).apis["use"].input.from_json(b'{"local": {"a": 1}}') == {"local": Local(a=1)}


def test_names_that_come_later_are_read_on_first_use() -> None:
    @bentoml.service
    class Early:
        @bentoml.api
        def use(self, later: Later) -> None: ...  # type: ignore[name-defined]  # noqa: F821  # the case

    globals()["Later"] = type("Later", (BaseModel,), {"__annotations__": {"a": int}, "__module__": __name__})
    try:
        assert of(Early).apis["use"].input.from_json(b'{"later": {"a": 1}}')["later"].a == 1
    finally:
        del globals()["Later"]


def test_a_type_that_cannot_be_served_is_an_error_at_once() -> None:
    with pytest.raises(TypeError, match=r"Unable to infer the input spec for function .*use"):

        class Unknown: ...

        @bentoml.service
        class Worse:
            @bentoml.api
            def use(self, other: Unknown) -> None: ...


def test_stored_models(tmp_path: Path) -> None:
    store = ModelStore(Home(tmp_path))
    with store.create("iris") as model:
        Path(model.path, "model.pkl").write_text("x")
    stored = store.get("iris")

    @bentoml.service
    class Uses:
        iris = stored

        @bentoml.api
        def read(self) -> str:
            return Path(self.iris.path_of("model.pkl")).read_text()

    assert of(Uses).models == [stored]
    assert Uses().read() == "x"


def test_schema() -> None:
    assert of(Bare).schema() == {
        "name": "Bare",
        "type": "service",
        "description": "Say what it does.",
        "routes": [
            {
                "name": "a",
                "route": "/a",
                "batchable": False,
                "input": {"properties": {}, "title": "Input", "type": "object"},
                "output": {"type": "null"},
                "is_task": False,
            },
            {
                "name": "b",
                "route": "/b",
                "batchable": False,
                "input": {
                    "properties": {"x": {"title": "X", "type": "integer"}},
                    "required": ["x"],
                    "title": "Input",
                    "type": "object",
                },
                "output": {"type": "integer"},
                "is_task": False,
            },
        ],
        "paths": {"/a": {"mounted": False}, "/b": {"mounted": False}},
    }


def test_schema_with_prefix_and_mounts() -> None:
    class App:
        async def __call__(self, scope: Any, receive: Any, send: Any) -> None: ...

    @bentoml.service(path_prefix="/pre")
    class Mounted:
        @bentoml.api
        def a(self) -> None: ...

    mounted = of(Mounted)
    mounted.mount_asgi_app(App(), path="/mnt")
    assert [name for _, _, name in mounted.mount_apps] == ["App"]
    schema = mounted.schema()
    assert schema["paths"] == {"/pre/a": {"mounted": False}, "/pre/mnt": {"mounted": True}}
    assert schema["routes"][0]["route"] == "/pre/a"


def test_the_current_service() -> None:
    assert get_current_service() is None
    instance = Bare()
    set_current_service(instance)
    try:
        assert bentoml.get_current_service() is instance
    finally:
        set_current_service(None)


def test_the_environment_overrides_the_code(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BENTOML_CONFIG_OVERRIDES", '{"services": {"Tuned": {"workers": 3}}}')

    @bentoml.service(workers=1)
    class Tuned: ...

    assert of(Tuned).settings.workers == 3


def test_a_service_that_inherits_from_another() -> None:
    @bentoml.service
    class Good:
        def __init__(self) -> None:
            self.word = "good"

        @bentoml.api
        def say(self) -> str:
            return self.word

    @bentoml.service
    class Better(Good):
        def __init__(self) -> None:
            super().__init__()
            self.word += ", better"

        @bentoml.api
        def more(self) -> str:
            return self.say() + "!"

    service: Any = Better
    assert sorted(service.apis) == ["more", "say"]
    assert service().more() == "good, better!"


@bentoml.service
class Deep:
    @bentoml.api
    def go(self) -> int:
        return 1


@bentoml.service(name="mid")
class Middle:
    deep = bentoml.depends(Deep)
    far = bentoml.depends(url="http://127.0.0.1:9")


@bentoml.service(http={"port": 4000}, path_prefix="/top")
class Top:
    middle = bentoml.depends(Middle)


def test_find_dependent() -> None:
    top: Any = Top
    assert top.find_dependent_by_name("Deep") is Deep
    assert top.find_dependent_by_path("middle") is Middle
    assert top.find_dependent_by_path("middle.deep") is Deep
    with pytest.raises(ValueError, match="service `mid` has no dependency `nope`; it has `deep`, `far`"):
        top.find_dependent_by_path("middle.nope")
    with pytest.raises(ValueError, match="has no dependency `far`"):
        top.find_dependent_by_path("middle.far")


def test_what_a_service_says_of_where_it_is() -> None:
    top: Any = Top
    assert top.url == "http://127.0.0.1:4000/top"
    assert asyncio.run(top.get_hosts()) == ["127.0.0.1:4000"]
    assert top.openapi_spec["openapi"].startswith("3.1")
    top.inject_config({"BENTOML_CONFIG_OVERRIDES": '{"services": {"Top": {"http": {"port": 5000}}}}'})
    assert top.settings.http.port == 5000
    top.inject_config({})
    assert top.settings.http.port == 4000


def test_a_service_class_of_ones_own() -> None:
    class Own(bentoml.Service[Any]):
        pass

    made: Any = bentoml.service(service_class=Own)(type("Made", (), {}))
    assert isinstance(made, Own)


def test_an_image_is_kept() -> None:
    image = bentoml.images.Image()
    assert bentoml.service(image=image)(type("Made", (), {})).image is image


@pytest.mark.parametrize("kind", [3, int], ids=["number", "other class"])
def test_a_service_class_that_is_none(kind: Any) -> None:
    with pytest.raises(TypeError, match="service_class"):
        bentoml.service(service_class=kind)(type("Empty", (), {}))


def test_what_cannot_be_called_cannot_be_mounted() -> None:
    service = of(Bare)
    wrong: Any = "app"
    for mount in (service.mount_asgi_app, service.mount_wsgi_app, bentoml.asgi_app):
        with pytest.raises(TypeError, match="`'app'`"):
            mount(wrong)
    with pytest.raises(TypeError, match="`'app'`"):
        service.add_asgi_middleware(wrong)
    with pytest.raises(TypeError, match="goes on a class or a service, not on `3`"):
        bentoml.asgi_app(lambda scope, receive, send: None)(3)  # type: ignore[arg-type, return-value]  # so it is
    assert (service.mount_apps, service.middlewares) == ([], [])
