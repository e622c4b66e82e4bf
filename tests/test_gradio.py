"""Gradio's page beside the APIs, with the real Gradio."""

from __future__ import annotations

import json
import urllib.request
from pathlib import Path

import pytest
from tests.support import Project

import bentoml
from bentoml.exceptions import InvalidArgument

PAGE = """
import bentoml
import gradio as gr

def greet(name):
    return bentoml.get_current_service().greet(name)

ui = gr.Interface(fn=greet, inputs="text", outputs="text")

@bentoml.service
@bentoml.gradio.mount_gradio_app(ui, path="/ui")
class WithPage:
    def __init__(self) -> None:
        self.word = "Hello"

    @bentoml.api
    def greet(self, name: str) -> str:
        return f"{self.word}, {name}"
"""


def get(url: str) -> str:
    with urllib.request.urlopen(url, timeout=60) as response:
        text: str = response.read().decode()
    return text


@pytest.mark.slow
def test_the_page_loads_and_its_functions_run(tmp_path: Path) -> None:
    (tmp_path / "project").mkdir()
    project = Project(tmp_path / "project", tmp_path / "home").write(service_py=PAGE)
    with project.serve("service:WithPage") as url:
        assert "gradio" in get(f"{url}/ui")
        body = json.dumps({"data": ["you"]}).encode()
        call = f"{url}/ui/gradio_api/call/greet"
        request = urllib.request.Request(call, body, {"content-type": "application/json"})
        with urllib.request.urlopen(request, timeout=60) as response:
            event = json.loads(response.read())["event_id"]
        assert '["Hello, you"]' in get(f"{call}/{event}")
        assert json.loads(get(f"{url}/schema.json"))["paths"]["/ui"] == {"mounted": True}
        assert 'endpoint="/ui",http_response_code="200"' in get(f"{url}/metrics")


def test_a_path_without_a_slash_is_refused_before_gradio_is_loaded() -> None:
    with pytest.raises(InvalidArgument, match="`ui`"):
        bentoml.gradio.mount_gradio_app(None, path="ui")  # type: ignore[arg-type]  # it is not looked at
