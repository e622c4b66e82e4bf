"""The services of the documents that this project was asked for, as written there, served and called."""

from __future__ import annotations

import ast
import asyncio
import inspect
import json
import os
import re
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import PIL.Image
import pytest
from tests.hub import Hub, serving
from tests.support import Project

import bentoml

SEEDS = Path(__file__).parent.parent / "projects" / "seeds"

pytestmark = pytest.mark.slow


def document(name: str, tmp_path: Path) -> Project:
    """Return the project of one document, with stand-ins for the packages that it uses."""
    project = Project(SEEDS / name, tmp_path / "home")
    project.env["PYTHONPATH"] = str(SEEDS / "fakes")
    return project


def run(project: Project, *arguments: str) -> None:
    subprocess.run([sys.executable, *arguments], cwd=project.folder, env=project.env, check=True)


def test_summarization(tmp_path: Path) -> None:
    with (
        document("summarization", tmp_path).serve("service:Summarization") as url,
        bentoml.SyncHTTPClient(url) as client,
    ):
        assert client.is_ready()
        assert client.summarize(text="A point. And more.") == "A point."
        assert client.elsewhere(text="A point. And more.") == "A point."
        request = urllib.request.Request(
            url + "/custom/url/name", b'{"text": "One. Two."}', {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request) as answer:
            assert answer.read() == b"One."


def test_headers_cookies_and_status(tmp_path: Path) -> None:
    with document("context", tmp_path).serve("service:Summarization") as url:
        request = urllib.request.Request(
            url + "/summarize",
            b'{"text": "One. Two."}',
            {"Content-Type": "application/json", "X-Sent": "seen"},
        )
        with urllib.request.urlopen(request) as answer:
            assert (answer.status, answer.read()) == (202, b"One.")
            assert answer.headers["X-Custom-Header"] == "value"
            assert answer.headers["X-Seen"] == "seen"
            assert answer.headers["Set-Cookie"] == (
                "key=value; HttpOnly; Path=/summarize; SameSite=None; Secure"
            )


def test_text_stream(tmp_path: Path) -> None:
    with document("vllm", tmp_path).serve(".") as url, bentoml.SyncHTTPClient(url) as client:
        assert "".join(client.generate(prompt="a b c")) == "a b c "
        assert "".join(client.generate()).startswith("Explain superconductors")


def test_greeting_card(tmp_path: Path) -> None:
    project = document("greeting_card", tmp_path)
    project.env["PATH"] = f"{SEEDS / 'fakes' / 'bin'}{os.pathsep}{os.environ['PATH']}"
    with (
        project.serve("service:GreetingCardService", "--workers", "1") as url,
        bentoml.SyncHTTPClient(url) as client,
    ):
        card = Path(client.generate_card(message="hello"))
        assert card.suffix == ".mp4"
        content = card.read_bytes()
        assert content.startswith(b"\x89PNG")
        assert content.endswith(b"HELLO")


def test_iris_classifier(tmp_path: Path) -> None:
    project = document("iris", tmp_path)
    save = """
import joblib, pathlib, bentoml

from sklearn.neighbors import KNeighborsClassifier
with bentoml.models.create("iris_sklearn") as ref:
    joblib.dump(KNeighborsClassifier(1).fit([[0.0], [10.0]], [0, 1]), pathlib.Path(ref.path) / "model.pkl")
"""
    run(project, "-c", save)
    with project.serve("service:IrisClassifier") as url, bentoml.SyncHTTPClient(url) as client:
        assert client.classify(input_series=[[1.0], [8.0]]).tolist() == [0, 1]
        assert client.classify_preprocessed(input_series=[[1.0], [4.0]]).tolist() == [0, 1]


CURL = """
curl -s -X 'POST' \\
  'http://localhost:3000/generate' \\
  -H 'accept: application/json' \\
  -H 'Content-Type: application/json' \\
  -d '{
  "prompt": "Give me a character description."
}'
"""


def test_outlines(tmp_path: Path) -> None:
    project = document("outlines", tmp_path)
    run(project, "import_model.py")
    listed = project.bentoml("models", "list").stdout.splitlines()
    assert listed[0].split() == ["Tag", "Module", "Size", "Creation", "Time"]
    assert listed[1].startswith("mistralai--mistral-7b-v0.1:")
    character = {"name": "Aura", "age": 15, "armor": "plate", "weapon": "sword", "strength": 20}
    with project.serve(".") as url:
        curl = CURL.replace("http://localhost:3000", url)
        assert (
            json.loads(subprocess.run(["bash", "-c", curl], check=True, capture_output=True).stdout)
            == character
        )
        code = (project.folder / "client.py").read_text().replace("http://localhost:3000", url)
        done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
        assert done.stdout == f"{character}\n"
        with bentoml.SyncHTTPClient(url) as client:
            assert client.generate(json_schema='{"properties": {"age": {}}}') == {"age": 15}


def test_outlines_with_a_model_of_the_hub(tmp_path: Path) -> None:
    project = document("outlines", tmp_path)
    hub, files = Hub(), {"config.json": b"{}", "tokenizer.json": b"{}", "model.safetensors": b"w" * 300}
    hub.commit("mistralai/Mistral-7B-v0.1", files | {"pytorch_model.bin": b"b" * 300})
    with serving(hub) as url:
        project.env |= {"HF_ENDPOINT": url, "HF_HOME": str(tmp_path / "hf")}
        run(project, "import_model.py")
    stored = Path(project.bentoml("models", "get", "mistralai--mistral-7b-v0.1", "-o", "path").stdout.strip())
    kept = {path.name: path.read_bytes() for path in stored.iterdir() if path.name != "model.yaml"}
    assert kept == files
    with project.serve(".") as address, bentoml.SyncHTTPClient(address) as client:
        assert client.generate()["name"] == "Aura"


def test_inference_graph(tmp_path: Path) -> None:
    with (
        document("composition", tmp_path).serve("service:InferenceGraph") as url,
        bentoml.SyncHTTPClient(url) as client,
    ):
        assert client.generate_score() == [
            {"generated": "I have an idea! (gpt2)", "score": 0.22},
            {"generated": "I have an idea! (distilgpt2)", "score": 0.28},
        ]


SNIPPETS = SEEDS / "clients" / "snippets"
SAID = {
    "sync_client": "Your\n",
    "async_client": "Your\n",
    "sync_block": "Your\n",
    "async_block": "Your\n",
    "is_ready": "Summarized text: Your\n",
    "ready_timeout": "Your\n",
    "json_input": "Encoded sentences result: [[56.   0.5]\n [51.   0.5]\n [50.   0.5]]\n",
    "json_output": "{'segments': [{'start': 0.009, 'text': 'a sound'}]}\nSegment text: a sound\n",
    "files": "Generated file saved at: FILE.png\n",
    "url_input": "Generated file saved at: FILE.png\n",
    "sync_stream": "chunk: one \nchunk: two \n",
    "async_stream": "awaited: one \nawaited: two \n",
    "authorization": "Your\n",
    "errors": "Your\n",
    "retry": "Your\n",
}


@pytest.fixture(scope="module")
def addresses(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The services that the snippets call, and a server of the files that they name by URL."""
    folder = tmp_path_factory.mktemp("elsewhere")
    (folder / "female.wav").write_text("a sound")
    PIL.Image.new("RGB", (3, 2), "red").save(folder / "1.png")
    handler = partial(SimpleHTTPRequestHandler, directory=str(folder))
    with (
        ThreadingHTTPServer(("127.0.0.1", 0), handler) as files,
        document("clients", tmp_path_factory.mktemp("document")).serve(".") as url,
    ):
        threading.Thread(target=files.serve_forever).start()
        yield {
            "https://:3000": f"https://:{url.rpartition(':')[2]}",
            "https://example.org": f"http://127.0.0.1:{files.server_port}",
            "/path/to/example-image.png": str(folder / "1.png"),
        }
        files.shutdown()


async def _nothing(chunk: str) -> None:
    print("awaited:", chunk)


@pytest.mark.parametrize("name", sorted(path.stem for path in SNIPPETS.glob("*.py")))
def test_snippets_of_clients_run_as_written(
    name: str, addresses: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    text = (SNIPPETS / f"{name}.py").read_text()
    for written, here in addresses.items():
        text = text.replace(written, here)
    code = compile(text, name, "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    # The document shows these two functions after the code that calls them.
    names = {"process_data": lambda chunk: print("chunk:", chunk), "process_data_async": _nothing}
    result = eval(code, names)
    if inspect.iscoroutine(result):
        asyncio.run(result)
    assert re.sub(r": \S+bentoml-client-\S+(\.\w+)", r": FILE\1", capsys.readouterr().out) == SAID[name]


def test_a_document_leaves_nothing_in_its_folder(tmp_path: Path) -> None:
    for _, folders, files in os.walk(SEEDS):
        assert "bentofile.lock" not in files
        folders[:] = [f for f in folders if f != "__pycache__"]
