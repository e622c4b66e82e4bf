from __future__ import annotations

import socket
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.support import free_port

from bentoml.builder.check import Checked, check_project
from bentoml.builder.described.describe import Description
from bentoml.config import Home
from bentoml.images import Image

HERE = f"{sys.version_info.major}.{sys.version_info.minor}"
SERVICE = "import bentoml\n\n\n@bentoml.service\nclass Greeter:\n    @bentoml.api\n    def greet(self) -> str:\n        return ''\n"

GREETER = Description(
    service="service:Greeter", name="Greeter", labels={}, envs=[], about="", schema={}, openapi={},
    services=[{"name": "Greeter", "models": [], "config": {}}],
)  # fmt: skip


class Trial:
    """A project, and what is found in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "project"
        self.folder.mkdir()
        self.home = Home(folder / "home")
        self.write("service.py", SERVICE)

    def write(self, name: str, text: str | bytes) -> Trial:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        return self

    def config(self, **data: object) -> Trial:
        return self.write("bentofile.yaml", yaml.safe_dump(data))

    def check(self, port: int | None = None, described: Description | None = GREETER) -> Checked:
        """Look at it; the service is imported in a real child process where ``described`` is ``None``."""
        env = {"PATH": "/usr/bin:/bin", "BENTOML_PORT": str(free_port() if port is None else port or "")}
        if described is None:
            return check_project(self.folder, home=self.home, env=env)
        return check_project(self.folder, home=self.home, env=env, describe=lambda *_: described)

    def found(self, port: int | None = None, described: Description | None = GREETER) -> list[str]:
        findings = self.check(port, described).findings
        return [f"{one.level} {one.about}: {one.message} | {one.fix}" for one in findings]


@pytest.fixture
def trial(tmp_path: Path) -> Trial:
    return Trial(tmp_path)


def one_with(found: list[str], *parts: str) -> bool:
    return sum(all(part in line for part in parts) for line in found) == 1


def test_nothing_is_wrong_with_a_small_project_and_nothing_is_written(trial: Trial) -> None:
    checked = trial.check(described=None)
    assert [(one.level, one.about) for one in checked.findings] == [("note", "lock")]
    assert [file.path for file in checked.files] == ["service.py"]
    assert checked.size == len(SERVICE)
    assert not trial.home.root.exists()
    assert {path.name for path in trial.folder.iterdir()} <= {"service.py", "__pycache__"}


def test_all_mistakes_of_the_configuration_each_on_its_own(trial: Trial) -> None:
    found = trial.config(servcie="x", docker={"distro": "windows"}).found()
    assert len(found) == 3
    assert one_with(found, "error configuration", "`servcie`", "did you mean `service`?")
    assert one_with(found, "error configuration", "`docker.distro`")
    assert one_with(found, "note configuration")
    assert one_with(trial.write("bentofile.yaml", "a: [").found(), "error configuration", "bentofile.yaml")


def test_a_package_that_is_not_there_is_named(trial: Trial) -> None:
    trial.write("service.py", "import not_there_at_all\n" + SERVICE)
    missing = "service.py:1 imports `not_there_at_all`, which no requirement brings"
    assert one_with(trial.found(described=None), "error requirements", missing, "`python.packages`")
    assert one_with(trial.config(python={"packages": ["x-y"]}).found(), "warning requirements", missing)
    found = trial.config(python={"packages": ["not_there-at_all>=1"]}).found()
    assert one_with(found, "warning service", "not installed here", "`pip install not-there-at-all`")
    assert not any("requirements" in line for line in found)


def test_an_error_of_the_services_own_has_its_traceback(trial: Trial) -> None:
    found = trial.write("service.py", "1 / 0\n").found(described=None)
    assert one_with(found, "error service", "ZeroDivisionError", 'service.py", line 1')


def test_a_service_that_lies_outside_or_declares_what_a_bento_refuses(trial: Trial) -> None:
    found = trial.config(service="../other.py:Greeter").found(described=None)
    assert one_with(
        found, "error service", "`../other.py:Greeter` is neither a folder nor a service in the project"
    )
    bad = replace(GREETER, envs=[{"name": "A B", "value": "1", "stage": "all"}])
    assert one_with(trial.config().found(described=bad), "error service", "`envs[0].name`")
    assert one_with(
        trial.found(described=replace(GREETER, name="Größe")), "error service", "cannot be called"
    )


def test_what_is_imported_has_to_be_required(trial: Trial) -> None:
    trial.write("service.py", "import numpy\nimport sklearn\nimport joblib\nimport anyio\n" + SERVICE)
    found = trial.found()
    for package in ("numpy", "scikit-learn", "joblib"):
        assert one_with(found, "error requirements", f"add `{package}` to `python.packages`")
    assert not any("anyio" in line for line in found)
    found = trial.config(python={"packages": ["scikit_learn>=1.6", "bentoml[numpy]"]}).found()
    assert not any(line.startswith("error") for line in found)
    assert one_with(found, "note requirements", "`joblib`", "only because another package")
    assert not any("`numpy`" in line for line in found)
    trial.write("requirements.txt", "scikit-learn>=1.6\njoblib>=1\n")
    found = trial.config(python={"requirements_txt": "requirements.txt"}).found()
    assert one_with(found, "note requirements", "add `numpy` to `requirements.txt`")


def test_what_the_service_declares_of_its_image_counts(trial: Trial) -> None:
    trial.write("service.py", "import numpy\n" + SERVICE)
    image = Image(python_version="3.12" if HERE != "3.12" else "3.13").python_packages("numpy>=2")
    found = trial.found(described=replace(GREETER, image=image.declared()))
    assert not any("error" in line for line in found)
    assert one_with(found, "warning python")
    image = Image().run("pip install numpy")
    found = trial.found(described=replace(GREETER, image=image.declared()))
    assert one_with(found, "warning requirements", "imports `numpy`")


def test_a_service_that_would_be_left_out(trial: Trial) -> None:
    found = trial.config(service="service:Greeter", include=["*.txt"]).found()
    assert one_with(
        found, "error files", "`service.py`, which holds the service, would not be part of the bento"
    )


def test_secrets_and_large_files_unless_they_are_left_out(trial: Trial) -> None:
    trial.write(".env", "A=1").write("keys/id_rsa", "x").write("weights.bin", bytes(11 << 20))
    found = trial.found()
    assert one_with(found, "warning files", "`.env` looks like a secret", "`exclude`")
    assert one_with(found, "warning files", "`keys/id_rsa` looks like a secret")
    assert one_with(found, "warning files", "`weights.bin` of 11.5 MB", "model store")
    assert trial.check().largest[0].path == "weights.bin"
    found = trial.write(".bentoignore", ".env\nkeys/\n*.bin\n").found()
    assert not any("files" in line for line in found)


def test_what_is_very_large_together(trial: Trial) -> None:
    for number in range(11):
        (trial.folder / f"part{number}").touch()
        with (trial.folder / f"part{number}").open("r+b") as file:
            file.truncate(10 << 20)
    checked = trial.check()
    assert any("the bento would hold 115.3 MB in 12 files" in one.message for one in checked.findings)
    assert len(checked.largest) == 10


def test_a_lock_that_is_stale_or_none(trial: Trial) -> None:
    trial.config(python={"packages": ["numpy>=2"]})
    key = f"linux/x86_64-glibc2.36-python{HERE}"
    trial.write("bentofile.lock", "version = 1\n")
    assert one_with(trial.found(), "warning lock", "has no entry for")
    key = next(one.message for one in trial.check().findings if one.about == "lock").split("`")[3]
    entry = f"version = 1\n[\"{key}\"]\ninputs = \"sha256:{'0' * 64}\"\nrequirements = '''\nnumpy==2.0\n'''\n"
    found = trial.write("bentofile.lock", entry).found()
    assert one_with(found, "warning lock", "was made from other requirements", "`bentoml build` renews it")
    found = trial.write("bentofile.lock", "no lock").found()
    assert one_with(found, "error lock", "is not a lock that can be read")


def test_models_that_are_not_in_the_store(trial: Trial) -> None:
    found = trial.config(models=["iris:latest"]).found()
    assert one_with(found, "error models", "model `iris:latest` not found")


def test_models_of_the_service_that_are_gone(trial: Trial) -> None:
    entry = {"name": "Greeter", "models": [("iris:v1", "")], "config": {}}
    found = trial.found(described=replace(GREETER, services=[entry]))
    assert one_with(found, "error models", "model `iris:v1` not found")


def test_requirements_that_any_version_satisfies(trial: Trial) -> None:
    found = trial.config(python={"packages": ["numpy", "rich>=13"], "lock_packages": False}).found()
    assert one_with(found, "note requirements", "`numpy`: any version will do")
    assert one_with(found, "warning requirements", "`python.lock_packages` is off")


def test_the_python_of_the_image(trial: Trial) -> None:
    other = "3.12" if HERE != "3.12" else "3.13"
    found = trial.config(docker={"python_version": other}).found()
    assert one_with(found, "warning python", f"the image has Python {other}, and this is Python {HERE}")


def test_a_port_that_is_taken(trial: Trial) -> None:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        port = int(server.getsockname()[1])
        assert one_with(trial.found(port), "warning port", f"port {port} is taken")
        entry = {"name": "Greeter", "models": [], "config": {"http": {"port": port}}}
        own = replace(GREETER, services=[entry])
        assert one_with(trial.found(0, own), "warning port", f"port {port} is taken")


def test_the_worst_comes_first(trial: Trial) -> None:
    trial.config(models=["iris"], python={"packages": ["numpy"]}).write(".env", "A=1")
    levels = [one.level for one in trial.check().findings]
    assert levels == sorted(levels, key=["error", "warning", "note"].index) and set(levels) == {
        "error", "warning", "note",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("python", "said"),
    [
        ({"wheels": ["a-1-py3-none-any.whl"]}, "`a-1-py3-none-any.whl` is not there"),
        ({"packages": ["./libs/colors"]}, "`./libs/colors` is not there"),
        ({"find_links": ["wheels"]}, "names `wheels`, which is no folder"),
    ],
)
def test_code_that_is_not_there(trial: Trial, python: dict[str, Any], said: str) -> None:
    assert one_with(trial.config(python=python).found(), "error requirements", said)


def test_a_module_that_would_be_left_out(trial: Trial) -> None:
    trial.write("helper.py", "").write("service.py", "import helper\n" + SERVICE)
    found = trial.config(exclude=["helper.py"]).found()
    assert one_with(found, "warning files", "service.py:1 imports `helper` of the project", "`exclude`")
    assert not any("requirement" in line for line in found)
    assert not any("helper" in line for line in trial.config().found())


def test_a_module_of_a_package_that_would_be_left_out(trial: Trial) -> None:
    trial.write("pkg/__init__.py", "name = 1\n").write("pkg/part.py", "").write("pkg/deep/__init__.py", "")
    trial.write("service.py", "from pkg import name, part\nimport pkg.deep\n" + SERVICE)
    assert not any("pkg" in line for line in trial.config().found())
    found = trial.write(".bentoignore", "pkg/part.py\npkg/deep/\n").found()
    assert one_with(found, "warning files", "service.py:1 imports `pkg.part` of the project", "`exclude`")
    assert one_with(found, "warning files", "service.py:2 imports `pkg.deep` of the project", "`exclude`")
    assert not any("pkg.name" in line for line in found)
