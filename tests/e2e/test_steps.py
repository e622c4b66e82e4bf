"""A bento that wants much of its image, in a real engine: packages of the system, a script, commands, a private index, a secret."""

from __future__ import annotations

import base64
import gzip
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from tests.builder.handmade import wheel
from tests.containers import call, docker, running
from tests.support import Project

from bentoml.builder.oci.bases.select import open_base
from bentoml.builder.oci.layout import write_layout
from bentoml.builder.oci.model import Image, Platform
from bentoml.store.digest import canonical_json

pytestmark = pytest.mark.engine

USER, CANARY = "reader", "canary-5d1f0c7e"
IMAGE = "bentoml-test-steps:1"
SERVICE = """
    import os, shutil
    import bentoml
    import private_words

    image = (
        bentoml.images.Image()
        .run("echo $WORDS $(command -v sndfile-info) > /etc/words-of-command")
        .python_packages("private-words==1.0")
        .run("python -c 'import private_words; print(private_words.WORD)' > /etc/word && id -u >> /etc/word")
    )

    @bentoml.service(image=image)
    class Greeter:
        @bentoml.api
        def look(self) -> dict:
            read = lambda path: open(path).read().split()
            return {
                "word": private_words.WORD, "after": read("/etc/word"), "command": read("/etc/words-of-command"),
                "script": read("/etc/set-up"), "tool": shutil.which("sndfile-info"), "as": os.getuid(),
                "capability": os.getxattr("/usr/bin/bound", "security.capability").hex()[:16],
                "secret": os.environ.get("TOKEN"), "account": read("/etc/passwd")[-1],
            }
"""
BUILD = """
    service: service:Greeter
    envs:
      - {name: TOKEN, stage: build}
      - {name: WORDS, value: many words}
    docker:
      python_version: "3.11"
      system_packages: [sndfile-programs]
      setup_script: setup.sh
"""
SETUP = """\
    #!/bin/sh
    set -e
    echo "the token is $TOKEN"
    python3 - <<'PYTHON'
    import base64, os, shutil, urllib.request
    token = base64.b64encode(f"reader:{os.environ['TOKEN']}".encode()).decode()
    asked = urllib.request.Request(os.environ["INDEX"] + "/private-words/", headers={"Authorization": f"Basic {token}"})
    print(urllib.request.urlopen(asked).status, file=open("/etc/set-up", "w"))
    shutil.copy("/bin/true", "/usr/bin/bound")
    os.setxattr("/usr/bin/bound", "security.capability", bytes.fromhex("0100000200040000") + bytes(12))
    PYTHON
"""


@contextmanager
def private_index(wheels: Path) -> Iterator[str]:
    """Serve the packages of a folder to who knows the password; gives the address of the index, without it."""
    expected = "Basic " + base64.b64encode(f"{USER}:{CANARY}".encode()).decode()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            name = self.path.rstrip("/").rpartition("/")[2]
            status, body = 200, b""
            if self.headers.get("Authorization") != expected:
                status = 401
            elif files := sorted(wheels.glob(f"{name.replace('-', '_')}-*")):
                links = (f'<a href="/files/{file.name}">{file.name}</a>' for file in files)
                body = f"<!DOCTYPE html><html><body>{''.join(links)}</body></html>".encode()
            elif (wheels / name).is_file():
                body = (wheels / name).read_bytes()
            else:
                status = 404
            self.send_response(status)
            if status == 401:
                self.send_header("WWW-Authenticate", "Basic realm=private")
            self.send_header(
                "Content-Type", "text/html" if not (wheels / name).is_file() else "application/octet-stream"
            )
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(body)

        do_HEAD = do_GET

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/simple"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Project, str, list[str]]]:
    """The project, its base, and all that the commands said."""
    folder = tmp_path_factory.mktemp("project")
    project = Project(folder, tmp_path_factory.mktemp("home"))
    wheels = folder.parent / "private-wheels"
    wheel(wheels, "private_words", files={"private_words/__init__.py": "WORD = 'hush'\n"})
    base = base_layout(project, tmp_path_factory.mktemp("base"))
    with private_index(wheels) as index:
        host = index.partition("//")[2]
        project.env |= {
            "TOKEN": CANARY,
            "INDEX": index,
            "PIP_EXTRA_INDEX_URL": f"http://{USER}:{CANARY}@{host}",
            "UV_CACHE_DIR": str(folder.parent / "uv"),
        }
        project.write(
            service_py=SERVICE,
            bentofile_yaml=BUILD,
            setup_sh=SETUP.replace('os.environ["INDEX"]', repr(index)),
        )
        said = [
            run(project, "build"),
            run(project, "containerize", "--verbose", "greeter:latest", "--base-image", base, "-t", IMAGE),
        ]
        yield project, base, said
    docker("rmi", "--force", IMAGE)


def base_layout(project: Project, folder: Path) -> str:
    """Write a base as a registry has them: it knows nothing of the packages that a bento wants."""
    base = open_base(
        "debs:bookworm:coreutils", platform=Platform(), cache=project.home / "cache/oci", env=project.env
    )
    write_layout(folder / "base", Image(canonical_json(base.config), base.layers, base.platform), ["base:1"])
    return f"oci:{folder}/base"


def run(project: Project, *arguments: str) -> str:
    ended = project.bentoml(*arguments, timeout=300)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout + ended.stderr


def written(project: Project, base: str, folder: Path) -> str:
    """Write the image as a layout, and return what was said of it."""
    output = f"type=oci,dest={folder}"
    return run(project, "containerize", "greeter:latest", "--base-image", base, "--output", output)


def test_the_image_has_all_that_was_asked_for(built: tuple[Project, str, list[str]]) -> None:
    with running(IMAGE) as (_, address):
        assert call(address, "look") == {
            "word": "hush",
            "after": ["hush", "0"],
            "command": ["many", "words", "/usr/bin/sndfile-info"],
            "script": ["200"],
            "tool": "/usr/bin/sndfile-info",
            "as": 1034,
            "capability": "0100000200040000",
            "secret": None,
            "account": "bentoml:x:1034:1034::/home/bentoml:/bin/sh",
        }


def test_the_secret_is_nowhere(built: tuple[Project, str, list[str]], tmp_path: Path) -> None:
    project, base, said = built
    said.append(written(project, base, tmp_path / "image"))
    looked = 0
    for place in (tmp_path / "image", project.home, project.folder):
        for file in (path for path in place.rglob("*") if path.is_file() and path.suffix != ".pyc"):
            content = file.read_bytes()
            plain = gzip.decompress(content) if content[:2] == b"\x1f\x8b" else content
            assert CANARY.encode() not in content and CANARY.encode() not in plain, file
            looked += 1
    assert looked > 50
    assert CANARY not in "".join(said)
    assert "the token is ***" in said[1], "what a script says is shown, but for the secret"
    assert CANARY not in docker("history", "--no-trunc", IMAGE) + docker("image", "inspect", IMAGE)


def test_a_changed_line_runs_nothing_again(built: tuple[Project, str, list[str]]) -> None:
    project, base, _ = built
    service = project.folder / "service.py"
    service.write_text(service.read_text().replace('"tool": shutil', '"new": 1, "tool": shutil'))
    run(project, "build")
    project.env.pop("TOKEN")
    began = time.monotonic()
    said = run(project, "containerize", "greeter:latest", "--base-image", base, "-t", IMAGE)
    assert time.monotonic() - began < 60, "seconds, on a busy machine"
    assert "setup_script:" not in said
    with running(IMAGE) as (_, address):
        assert call(address, "look")["new"] == 1


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("echo before; exit 7", r"`commands[0]` ended with exit code 7"),
        ("echo $TOKEN > /root/.netrc", "leaves the build secret `TOKEN` in `/root/.netrc`"),
        ("no-such-program", "no-such-program: not found"),
    ],
    ids=["fails", "keeps the secret", "is not there"],
)
def test_a_command_that_goes_wrong(
    built: tuple[Project, str, list[str]], tmp_path: Path, command: str, message: str
) -> None:
    whole, base, _ = built
    project = Project(tmp_path, whole.home)
    project.env |= {"TOKEN": CANARY}
    source = f"""
        import bentoml

        @bentoml.service(image=bentoml.images.Image().run({command!r}), envs=[{{"name": "TOKEN", "stage": "build"}}])
        class Wrong:
            @bentoml.api
            def go(self) -> int:
                return 1
    """
    project.write(
        service_py=source, bentofile_yaml="service: service:Wrong\ndocker: {python_version: '3.11'}\n"
    )
    run(project, "build")
    ended = project.bentoml(
        "containerize", "wrong:latest", "--base-image", base, "-t", "bentoml-test-wrong:1"
    )
    assert ended.returncode == 1
    assert message in ended.stderr
    assert "Traceback" not in ended.stderr and CANARY not in ended.stdout + ended.stderr
    assert "bentoml-steps" not in docker("images") + docker("ps", "--all")


def test_a_command_that_is_killed_leaves_no_container(
    built: tuple[Project, str, list[str]], tmp_path: Path
) -> None:
    whole, base, _ = built
    project = Project(tmp_path, whole.home)
    source = """
        import bentoml

        @bentoml.service(image=bentoml.images.Image().run("sleep 300"))
        class Sleeper:
            @bentoml.api
            def go(self) -> int:
                return 1
    """
    project.write(
        service_py=source, bentofile_yaml="service: service:Sleeper\ndocker: {python_version: '3.11'}\n"
    )
    run(project, "build")
    argv = [
        sys.executable,
        "-m",
        "bentoml",
        "containerize",
        "sleeper",
        "--base-image",
        base,
        "-t",
        "bentoml-test-sleeper:1",
    ]
    with subprocess.Popen(argv, cwd=project.folder, env=project.env, stderr=subprocess.DEVNULL) as command:
        until(lambda: "bentoml-steps" in docker("ps"))
        command.kill()
    until(lambda: "bentoml-steps" not in docker("ps", "--all"))
    docker("rmi", *docker("images", "--quiet", "bentoml-steps").split())


def until(is_so: Callable[[], bool]) -> None:
    end = time.monotonic() + 120
    while not is_so():
        assert time.monotonic() < end
        time.sleep(0.1)


def test_the_layout_of_the_base_is_read_by_others(built: tuple[Project, str, list[str]]) -> None:
    """The layer that came of the steps is one like others: skopeo takes the image that stands upon it."""
    project, base, _ = built
    target = project.folder.parent / "copied"
    written(project, base, target / "a")
    copied = subprocess.run(
        ["skopeo", "copy", f"oci:{target}/a", f"dir:{target}/b"], capture_output=True, text=True, timeout=120
    )
    assert copied.returncode == 0, copied.stderr
