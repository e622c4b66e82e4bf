"""What a user does wrong is answered with a clear message, the right exit code, no traceback, and nothing left behind."""

from __future__ import annotations

import socket
import urllib.request

import pytest
from tests.support import Project

pytestmark = pytest.mark.slow

SERVICE = """
    import bentoml

    @bentoml.service
    class Echo:
        @bentoml.api
        def echo(self, text: str) -> str:
            return text
"""


def refused(project: Project, *arguments: str, code: int = 1) -> str:
    """Run a command that must fail; return what it said."""
    done = project.bentoml(*arguments)
    assert done.returncode == code, done.stdout + done.stderr
    assert project.stored() == []
    assert "Traceback" not in done.stderr
    return done.stderr


def test_every_mistake_of_a_build_file_is_named_at_once(project: Project) -> None:
    project.write(
        service_py=SERVICE,
        bentofile_yaml="""
            service: service:Echo
            lables: {team: a}
            include: 7
            python:
              pakages: [numpy]
              lock_packages: sometimes
            docker:
              python_verson: "3.11"
        """,
    )
    said = refused(project, "build")
    for mistake in ("lables", "labels", "include", "python.pakages", "packages", "python.lock_packages",
                    "docker.python_verson", "python_version", "bentofile.yaml"):  # fmt: skip
        assert mistake in said


def test_build_without_a_service(project: Project) -> None:
    said = refused(project, "build")
    assert "service" in said


def test_build_of_a_service_that_is_not_there(project: Project) -> None:
    project.write(service_py=SERVICE, bentofile_yaml="service: service:Ekho\n")
    said = refused(project, "build")
    assert "Ekho" in said


def test_the_users_own_traceback_is_shown(project: Project) -> None:
    project.write(
        service_py="def broken():\n    raise RuntimeError('the reason')\n\nbroken()\n",
        bentofile_yaml="service: service:Echo\n",
    )
    for command in ("build", "serve"):
        done = project.bentoml(command)
        assert done.returncode in (1, 3)
        said = done.stdout + done.stderr
        assert "RuntimeError: the reason" in said
        assert 'service.py", line 2, in broken' in said
        assert project.stored() == []


def test_a_model_that_is_not_there(project: Project) -> None:
    project.write(service_py=SERVICE, bentofile_yaml="service: service:Echo\nmodels: [iris:v1]\n")
    said = refused(project, "build")
    assert "iris:v1" in said


@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param(("models", "get", "Bad Name:1"), id="model"),
        pytest.param(("get", "../../etc:passwd"), id="path"),
        pytest.param(("models", "delete", "-y", "iris:"), id="trailing colon"),
        pytest.param(("containerize", "iris:--x"), id="containerize"),
    ],
)
def test_a_tag_that_breaks_the_grammar(project: Project, arguments: tuple[str, ...]) -> None:
    said = refused(project, *arguments, code=2)
    assert "tag" in said.lower()


def test_a_package_that_does_not_exist(project: Project) -> None:
    project.write(
        service_py=SERVICE,
        bentofile_yaml="service: service:Echo\npython:\n  packages: ['six==99.99']\n",
    )
    said = refused(project, "build")
    assert "six" in said
    assert not (project.folder / "bentofile.lock").exists()


def test_a_base_image_that_cannot_be_reached(project: Project) -> None:
    project.write(service_py=SERVICE, bentofile_yaml="service: service:Echo\n")
    assert project.bentoml("build").returncode == 0
    done = project.bentoml(
        "containerize",
        "echo:latest",
        "--base-image",
        "127.0.0.1:9/no/image:1",
        "--output",
        "type=oci,dest=image",
    )
    assert done.returncode == 1
    assert "127.0.0.1:9" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (project.folder / "image").exists()


def test_a_port_that_is_in_use(project: Project) -> None:
    project.write(service_py=SERVICE)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        done = project.bentoml("serve", "service:Echo", "--port", port)
    said = done.stdout + done.stderr
    assert done.returncode == 1
    assert port in said
    assert "in use" in said
    assert "Traceback" not in said


def test_an_option_that_does_not_exist(project: Project) -> None:
    said = refused(project, "build", "--nmae", "x", code=2)
    assert "--nmae" in said


def test_a_bento_declares_its_variables_wherever_it_is_served(project: Project) -> None:
    project.write(
        service_py="""
            import os
            import bentoml

            @bentoml.service
            class Env:
                @bentoml.api
                def show(self) -> str:
                    return os.environ["MODE"] + os.environ["TOKEN"]
        """,
        bentofile_yaml="""
            service: service:Env
            envs:
              - {name: MODE, value: fast}
              - {name: TOKEN, stage: runtime}
            python: {lock_packages: false}
        """,
    )
    assert project.bentoml("build").returncode == 0
    done = project.bentoml("serve", "env:latest", "--port", "0")
    assert done.returncode == 1
    assert "`TOKEN` is required but not set" in done.stdout + done.stderr
    project.env["TOKEN"] = "-token"
    with project.serve("env:latest") as url, urllib.request.urlopen(url + "/show", data=b"{}") as answer:
        assert answer.read() == b"fast-token"


def test_a_model_that_an_attribute_names_is_not_there(project: Project) -> None:
    attribute = "\n        model = bentoml.models.BentoModel('digits:latest')\n"
    project.write(service_py=SERVICE.replace("class Echo:\n", f"class Echo:{attribute}"))
    done = project.bentoml("serve", "service:Echo", "--port", "0")
    assert done.returncode == 1
    assert "service `Echo`: " in done.stderr and "digits" in done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    said = refused(project, "build", "service:Echo")
    assert "digits" in said


def test_a_library_that_is_not_there(project: Project) -> None:
    project.write(
        service_py=SERVICE.replace(
            "        @bentoml.api",
            """
        def __init__(self):
            raise bentoml.exceptions.MissingDependencyException("it needs `x`")

        @bentoml.api""",
        )
    )
    done = project.bentoml("serve", "service:Echo", "--port", "0")
    assert done.returncode == 1
    assert "it needs `x`" in done.stderr
    assert "Traceback" not in done.stdout + done.stderr


@pytest.mark.parametrize(
    ("auth", "said"),
    [
        ('{"type": "api_key", "env": "NO_SUCH_KEYS"}', "NO_SUCH_KEYS"),
        ('{"type": "api_key", "file": "no-keys.txt"}', "no-keys.txt"),
        ('{"type": "jwt", "algorithms": ["RS256"], "file": "service.py"}', "service.py"),
    ],
)
def test_a_service_whose_keys_cannot_be_read(project: Project, auth: str, said: str) -> None:
    project.write(service_py=SERVICE.replace("@bentoml.service", f"@bentoml.service(auth={auth})"))
    done = project.bentoml("serve", "service:Echo", "--port", "0")
    text = done.stdout + done.stderr
    assert done.returncode == 1
    assert said in text
    assert "Traceback" not in text
