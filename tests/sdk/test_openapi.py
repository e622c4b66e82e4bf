"""The OpenAPI document: valid by the specification, and true about what the service takes and gives."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Annotated, Any, Literal, cast

import numpy as np
import pytest
from fastapi import FastAPI
from openapi_spec_validator import validate
from PIL.Image import Image
from pydantic import BaseModel, Field, create_model
from starlette.responses import Response

import bentoml
from bentoml.sdk.openapi import openapi
from bentoml.sdk.openapi.schemas import Schemas

BINARY = {"type": "string", "format": "binary"}
LOOKS_LIKE_A_SCHEMA = {"type": "file"}


class Node(BaseModel):
    name: str
    children: list[Node] = []


class Cat(BaseModel):
    kind: Literal["cat"]


class Dog(BaseModel):
    kind: Literal["dog"]


def other_node() -> type[BaseModel]:
    class Node(BaseModel):
        weight: float
        next: Node | None = None

    return Node


OtherNode: Any = other_node()
ThirdNode: Any = create_model("Node", weight=(float, ...))


@bentoml.service
class Everything:
    """Take and give all there is."""

    @bentoml.api
    def text(self, text: str, length: int = 3, title: str | None = None) -> str:
        """Cut a text."""
        return text

    @bentoml.api
    def form(self, image: Image, params: Node, files: list[Path], sound: Path | None = None) -> None: ...

    @bentoml.api
    def audio(self, sound: Annotated[Path, bentoml.validators.ContentType("audio/mp3")], /) -> None: ...

    @bentoml.api
    def shout(self, text: str, /) -> str:
        return text

    @bentoml.api
    def tree(self, node: Node, /) -> Node:
        return node

    @bentoml.api
    def tree_of_others(self, node: OtherNode, /) -> None: ...

    @bentoml.api
    def array(self, array: Annotated[np.ndarray, bentoml.validators.Shape((2, -1))]) -> np.ndarray:
        return array

    @bentoml.api
    def pet(self, pet: Annotated[Cat | Dog, Field(discriminator="kind")]) -> int | str:
        return 1

    @bentoml.api
    def names_of_json_schema(
        self, type: str, nullable: int, default: dict[str, str] = LOOKS_LIKE_A_SCHEMA
    ) -> Any: ...

    @bentoml.api
    def file(self) -> Path:
        return Path()

    @bentoml.api
    def maybe_file(self) -> Path | None: ...

    @bentoml.api
    def picture(self) -> Image: ...  # type: ignore[empty-body]  # never called

    @bentoml.api
    def steps(self) -> Generator[str, None, None]:
        yield ""

    @bentoml.api
    def lines(self) -> Generator[Annotated[str, bentoml.validators.ContentType("text/plain")], None, None]:
        yield ""

    @bentoml.api
    def response(self) -> Response: ...  # type: ignore[empty-body]  # never called

    @bentoml.api
    def objects(self) -> Iterator[dict[str, int]]:
        yield {}


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    service: Any = Everything  # a class to the type checker, which does not see what class decorators return
    return openapi(service, version="abc")


def request(document: dict[str, Any], api: str) -> Any:
    return document["paths"][f"/{api}"]["post"]["requestBody"]


def answer(document: dict[str, Any], api: str) -> Any:
    return document["paths"][f"/{api}"]["post"]["responses"]["200"]["content"]


def component(document: dict[str, Any], name: str) -> Any:
    return document["components"]["schemas"][name]


def test_it_is_valid_and_complete(document: dict[str, Any]) -> None:
    validate(document)
    assert document["openapi"] == "3.1.0"
    assert document["info"] == {
        "title": "Everything",
        "version": "abc",
        "description": "Take and give all there is.",
    }
    assert {"/livez", "/readyz", "/healthz", "/metrics"} <= set(document["paths"])


def test_no_word_of_ours_is_left(document: dict[str, Any]) -> None:
    def look(node: Any) -> None:
        for value in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
            look(value)
        if isinstance(node, dict):
            assert node.get("type") not in ("file", "tensor", "dataframe") or node == {"type": "file"}
            assert not {"root_input", "is_stream", "pil", "$defs"} & node.keys()
            if isinstance(reference := node.get("$ref"), str):
                kind, name = reference.removeprefix("#/components/").split("/")
                assert name in document["components"][kind]

    look(document)


def test_json(document: dict[str, Any]) -> None:
    operation = document["paths"]["/text"]["post"]
    assert operation["operationId"] == "Everything__text"
    assert operation["description"] == "Cut a text."
    assert request(document, "text") == {
        "required": True,
        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/text__Input"}}},
    }
    assert component(document, "text__Input")["properties"] == {
        "text": {"type": "string", "title": "Text"},
        "length": {"type": "integer", "title": "Length", "default": 3},
        "title": {"anyOf": [{"type": "string"}, {"type": "null"}], "title": "Title", "default": None},
    }
    assert list(answer(document, "text")) == ["text/plain"]
    assert request(document, "file")["required"] is False


def test_forms(document: dict[str, Any]) -> None:
    content = request(document, "form")["content"]["multipart/form-data"]
    assert content["encoding"] == {
        "params": {"contentType": "application/json"},
        "image": {"contentType": "image/*"},
    }
    properties = component(document, "form__Input")["properties"]
    assert properties["image"] == {**BINARY, "title": "Image"}
    assert properties["files"] == {"type": "array", "items": BINARY, "title": "Files", "minItems": 1}
    assert properties["sound"]["anyOf"] == [BINARY, {"type": "null"}]


def test_the_body_itself(document: dict[str, Any]) -> None:
    assert list(request(document, "audio")["content"]) == ["audio/mp3"]
    assert list(request(document, "shout")["content"]) == ["text/plain"]
    assert list(request(document, "tree")["content"]) == ["application/json"]


def test_models_that_contain_themselves(document: dict[str, Any]) -> None:
    children = component(document, "Node")["properties"]["children"]
    assert children["items"] == {"$ref": "#/components/schemas/Node"}
    other = component(document, "tree_of_others__Input__Node")
    assert "weight" in other["properties"]
    assert {"$ref": "#/components/schemas/tree_of_others__Input__Node"} in other["properties"]["next"][
        "anyOf"
    ]


def test_arrays_and_unions(document: dict[str, Any]) -> None:
    array = component(document, "array__Input")["properties"]["array"]
    assert array == {
        "title": "Array",
        "type": "array",
        "items": {"type": "array", "items": {}},
        "minItems": 2,
        "maxItems": 2,
        "description": "An array: shape [2, -1]",
    }
    assert list(answer(document, "array")) == ["application/json", "application/x-npy"]
    assert len(component(document, "pet__Input")["properties"]["pet"]["oneOf"]) == 2


def test_parameters_named_like_words_of_json_schema(document: dict[str, Any]) -> None:
    schema = component(document, "names_of_json_schema__Input")
    assert schema["properties"]["type"] == {"type": "string", "title": "Type"}
    assert schema["properties"]["nullable"] == {"type": "integer", "title": "Nullable"}
    assert schema["properties"]["default"]["default"] == {"type": "file"}
    assert schema["required"] == ["type", "nullable"]


@pytest.mark.parametrize(
    ("api", "content"),
    [
        ("file", {"*/*": {"schema": BINARY}}),
        ("response", {"*/*": {"schema": {}}}),
        (
            "maybe_file",
            {
                "*/*": {"schema": BINARY},
                "application/json": {"schema": {"type": "null"}},
            },
        ),
        ("picture", {"image/*": {"schema": BINARY}}),
        ("lines", {"text/plain": {"schema": {"type": "string"}}}),
    ],
)
def test_files_and_streams(document: dict[str, Any], api: str, content: dict[str, Any]) -> None:
    assert answer(document, api) == content


@pytest.mark.parametrize("api", ["steps", "objects"])
def test_streams_of_events(document: dict[str, Any], api: str) -> None:
    assert list(answer(document, api)) == ["text/event-stream"]
    assert "type" not in answer(document, api)["text/event-stream"]["schema"]


def test_a_task() -> None:
    @bentoml.service
    class Trainer:
        @bentoml.task(route="/jobs/train")
        def train(self, rounds: int) -> str:
            return ""

    document = openapi(cast(Any, Trainer), version=None)
    validate(document)
    paths = document["paths"]
    assert {p.removeprefix("/jobs/train"): list(v) for p, v in paths.items() if p.startswith("/jobs")} == {
        "": ["post"],
        "/submit": ["post"],
        "/status": ["get"],
        "/get": ["get"],
        "/retry": ["post", "put"],
        "/cancel": ["put", "post"],
    }
    assert paths["/jobs/train/submit"]["post"]["requestBody"] == paths["/jobs/train"]["post"]["requestBody"]
    answer = paths["/jobs/train/get"]["get"]["responses"]["200"]
    assert answer == paths["/jobs/train"]["post"]["responses"]["200"]
    assert paths["/jobs/train/status"]["get"]["parameters"][0]["name"] == "task_id"


def test_errors(document: dict[str, Any]) -> None:
    responses = document["paths"]["/text"]["post"]["responses"]
    assert set(responses) == {"200", "400", "403", "404", "413", "415", "422", "429", "500", "503", "504"}
    assert responses["400"] == {"$ref": "#/components/responses/InvalidArgument"}
    assert component(document, "Error")["required"] == ["error"]


def test_a_prefix_and_no_metrics() -> None:
    @bentoml.service(path_prefix="/a/b", metrics={"enabled": False}, name="Short")
    class Prefixed:
        @bentoml.api(route="/x")
        def labour(self) -> int:
            return 1

    service: Any = Prefixed
    document = openapi(service, version=None)
    validate(document)
    assert set(document["paths"]) == {"/a/b/x", "/a/b/livez", "/a/b/readyz", "/a/b/healthz"}
    assert document["servers"] == [{"url": "../.."}]
    assert document["info"]["version"] == "not available"


@pytest.mark.parametrize(
    ("dtype", "element"),
    [
        ("uint8", {"type": "integer", "minimum": 0, "maximum": 255}),
        ("int32", {"type": "integer", "minimum": -(2**31), "maximum": 2**31 - 1}),
        ("float32", {"type": ["number", "null"]}),
        ("torch.float16", {"type": ["number", "null"]}),
        ("bool", {"type": "boolean"}),
        ("str", {"type": "string"}),
        ("complex64", {}),
    ],
)
def test_the_elements_of_an_array(dtype: str, element: dict[str, Any]) -> None:
    node = {"type": "tensor", "format": "numpy-array", "dtype": dtype, "shape": [-1]}
    schemas = Schemas()
    schemas.add("x", node)
    about = {"description": f"An array: dtype {dtype}, shape [-1]"}
    assert schemas.components["x"] == {"type": "array", "items": element, **about}


def test_who_may_call() -> None:
    @bentoml.service(auth={"type": "api_key", "env": "KEYS"})
    class Guarded:
        @bentoml.api
        def labour(self) -> int:
            return 1

    document = openapi(cast(Any, Guarded), version=None)
    validate(document)
    assert document["components"]["securitySchemes"] == {"api_key": {"type": "http", "scheme": "bearer"}}
    assert document["security"] == [{"api_key": []}]
    assert document["paths"]["/livez"]["get"]["security"] == []
    assert "401" in document["paths"]["/metrics"]["get"]["responses"]
    assert "401" in document["paths"]["/labour"]["post"]["responses"]
    assert "KEYS" not in str(document)


def test_a_key_in_a_header_of_its_own() -> None:
    @bentoml.service(auth={"type": "api_key", "env": "KEYS", "header": "x-key"})
    class Guarded:
        pass

    document = openapi(cast(Any, Guarded), version=None)
    validate(document)
    scheme = {"type": "apiKey", "in": "header", "name": "x-key"}
    assert document["components"]["securitySchemes"] == {"api_key": scheme}


def test_mounted_applications_that_describe_themselves() -> None:
    app = FastAPI(title="inner")

    @app.post("/trees", tags=["Trees"])
    def plant(node: ThirdNode) -> None: ...

    @bentoml.service(path_prefix="/v1")
    class Garden:
        @bentoml.api
        def tree(self, node: Node, /) -> Node:
            return node

    service: Any = Garden
    service.mount_asgi_app(app, "/inner", "more")
    document = openapi(service, version=None)
    validate(document)
    operation = document["paths"]["/v1/inner/trees"]["post"]
    body = operation["requestBody"]["content"]["application/json"]["schema"]
    assert body == {"$ref": "#/components/schemas/more__Node"}
    assert "weight" in component(document, "more__Node")["properties"]
    assert "children" in component(document, "Node")["properties"]


def test_paths_that_an_api_shares() -> None:
    app = FastAPI(title="inner")

    @app.get("/tree")
    def seen() -> int:
        return 1

    @app.post("/tree", tags=["never reached"])
    def planted() -> int:
        return 1

    @bentoml.service
    class Garden:
        @bentoml.api
        def tree(self) -> int:
            return 1

        @bentoml.api
        def metrics(self) -> int:
            return 1

    service: Any = Garden
    service.mount_asgi_app(app, "/")
    document = openapi(service, version=None)
    validate(document)
    assert set(document["paths"]["/metrics"]) == set(document["paths"]["/tree"]) == {"get", "post"}
    assert document["paths"]["/tree"]["post"]["tags"] == ["Service APIs"]


class Picked(BaseModel):
    file: Path
    weight: float = 1.0


def test_files_inside_of_models_make_a_form() -> None:
    @bentoml.service
    class Nested:
        @bentoml.api
        def weigh(self, item: Picked, name: str = "") -> None: ...

    document = openapi(cast(Any, Nested), version=None)
    validate(document)
    body = request(document, "weigh")
    assert list(body["content"]) == ["multipart/form-data"]
    assert body["content"]["multipart/form-data"]["encoding"]["item"] == {"contentType": "application/json"}
    assert "item.picture" in body["description"]


class Loose(BaseModel):
    text: str = None  # type: ignore[assignment]  # what many write
    sizes: list[int] = Field(default=[0], min_length=1)


UNFIT = [
    (str, None), (int, "3"), (Loose, None), (list[str], None), (Literal["a"], "b"), (Path, None),
    (tuple[int, str], None), (Annotated[int, Field(ge=3)], 1), (Annotated[str, Field(pattern="^a")], "b"),
    (dict[str, int], {"a": "x"}), (tuple[int, str], [1, 2]), (int | str, 0.5), (Annotated[list[int], Field(max_length=1)], [1, 2]),
]  # fmt: skip
FIT = [
    (str, ""), (float, 1), (int | None, None), (Loose, {"sizes": [2]}), (list[str], ["a"]), (Literal["a"], "a"),
    (Any, {"a": None}), (Annotated[float, Field(multiple_of=0.5)], 1.5), (dict[str, int], {"a": 1}), (tuple[int, str], [1, "a"]),
]  # fmt: skip


@pytest.mark.parametrize(
    ("annotation", "default", "fits"), [(*c, False) for c in UNFIT] + [(*c, True) for c in FIT]
)
def test_a_default_is_in_the_document_where_it_fits_its_type(
    annotation: Any, default: Any, fits: bool
) -> None:
    def use(self: Any, default: Any = default) -> None: ...

    use.__annotations__["default"] = annotation
    service: Any = bentoml.service(type("Given", (), {"use": bentoml.api(use)}))
    document = openapi(service, version=None)
    validate(cast(Any, document))
    schema = document["components"]["schemas"]["use__Input"]
    assert ("default" in schema["properties"]["default"]) is fits
    assert "required" not in schema


def test_braces_of_a_route_are_no_pattern() -> None:
    @bentoml.service(path_prefix="/v1")
    class Odd:
        @bentoml.task(route="/a{b}")
        def use(self) -> None: ...

    document = openapi(cast(Any, Odd), version=None)
    validate(cast(Any, document))
    assert {"/v1/a%7Bb%7D", "/v1/a%7Bb%7D/submit"} <= set(document["paths"])


def test_optional_bytes_and_arrays_are_answered_in_two_ways() -> None:
    @bentoml.service
    class Maybe:
        @bentoml.api
        def data(self) -> bytes | None: ...

        @bentoml.api
        def array(self, array: np.ndarray | None = None) -> np.ndarray | None: ...

    document = openapi(cast(Any, Maybe), version=None)
    validate(cast(Any, document))
    data, array = (document["paths"][path]["post"] for path in ("/data", "/array"))
    assert list(data["responses"]["200"]["content"]) == ["text/plain", "application/json"]
    both = ["application/json", "application/x-npy"]
    assert list(array["responses"]["200"]["content"]) == list(array["requestBody"]["content"]) == both
