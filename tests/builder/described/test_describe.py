from __future__ import annotations

import datetime
import os
from pathlib import Path

import pytest

import bentoml
from bentoml.builder.described.describe import describe, import_string_of
from bentoml.builder.described.describe_child import described
from bentoml.exceptions import BentoMLException, ImportServiceError


class Inner:
    @bentoml.api
    def one(self) -> int:
        return 1


inner = bentoml.service(envs=[{"name": "X", "value": "0"}, {"name": "Y", "value": "2"}])(Inner)


class Outer:
    """Say two."""

    inner = bentoml.depends(inner)

    @bentoml.api(route="/two")
    def two(self) -> int:
        return 2


outer = bentoml.service(
    name="outer", labels={"a": "b"}, envs=[{"name": "X", "value": "1"}], traffic={"timeout": 3}
)(Outer)


@pytest.mark.parametrize(
    ("service", "is_src_layout", "expected"),
    [
        ("", False, "service"),
        ("service:Iris", False, "service:Iris"),
        ("service.py:Iris", False, "service:Iris"),
        ("pkg/sub/service.py:Iris.inner", False, "pkg.sub.service:Iris.inner"),
        ("src/pkg/service.py:Iris", True, "pkg.service:Iris"),
        ("src/pkg/service.py:Iris", False, "src.pkg.service:Iris"),
        ("pkg.service", True, "pkg.service"),
    ],
)
def test_import_strings(service: str, is_src_layout: bool, expected: str) -> None:
    assert import_string_of(service, is_src_layout=is_src_layout) == expected


@pytest.mark.parametrize(
    "service", ["../service.py:A", "/srv/service.py:A", "a/../../b.py", "folder/module:A"]
)
def test_a_file_outside_the_project_or_no_python(service: str) -> None:
    with pytest.raises(ImportServiceError, match="neither a folder nor a service"):
        import_string_of(service, is_src_layout=False)


def test_what_a_service_says_of_itself() -> None:
    found = described(outer, "service:Outer")
    assert (found["name"], found["service"], found["about"]) == ("outer", "service:Outer", "Say two.")
    assert found["labels"] == {"a": "b"}
    assert [(env["name"], env["value"]) for env in found["envs"]] == [("X", "0"), ("Y", "2"), ("X", "1")]
    assert [route["route"] for route in found["schema"]["routes"]] == ["/two"]
    assert "/two" in found["openapi"]["paths"]
    assert found["services"] == [
        {
            "name": "outer",
            "service": "",
            "models": [],
            "dependencies": [{"service": "Inner"}],
            "config": {"traffic": {"timeout": 3}},
        },
        {"name": "Inner", "service": "", "models": [], "dependencies": [], "config": {}},
    ]


def test_models_on_hugging_face_are_named_and_not_asked_for(tmp_path: Path) -> None:
    (tmp_path / "service.py").write_text(
        "import bentoml\n@bentoml.service\nclass A:\n"
        "    weights = bentoml.models.HuggingFaceModel('org/name', endpoint='http://127.0.0.1:9', include=('*.json',))\n"
    )
    arguments = {"model_id": "org/name", "revision": "main", "endpoint": "http://127.0.0.1:9"}
    assert describe(tmp_path, "service:A", env=os.environ).hub_models == {
        "A": [{**arguments, "include": ["*.json"], "exclude": None}]
    }


def test_what_the_module_prints_does_not_disturb(tmp_path: Path) -> None:
    (tmp_path / "yaml.py").write_text("raise RuntimeError('the project is not on the path yet')\n")
    (tmp_path / "service.py").write_text(
        "import os, threading, bentoml\nprint('{}')\nos.system('echo out; echo err >&2')\n"
        "threading.Thread(target=threading.Event().wait).start()\n"
        "@bentoml.service\nclass Loud:\n    @bentoml.api\n    def api(self) -> int:\n        return 1\n"
    )
    assert describe(tmp_path, "service", env=os.environ).name == "Loud"


@pytest.mark.parametrize(
    ("helper", "said"),
    [
        (
            "def broken():\n    return 1 / 0\n\n\nbroken()\n",
            r'(?s)helper\.py", line 2, in broken.*ZeroDivisionError',
        ),
        ("def broken(:\n", r'(?s)helper\.py", line 1\n.*SyntaxError'),
    ],
    ids=["error", "syntax"],
)
def test_an_import_that_fails_shows_the_users_traceback(tmp_path: Path, helper: str, said: str) -> None:
    (tmp_path / "service.py").write_text("import helper\n")
    (tmp_path / "helper.py").write_text(helper)
    with pytest.raises(ImportServiceError, match=said) as caught:
        describe(tmp_path, "service:Iris", env=os.environ)
    assert "describe_child" not in str(caught.value)
    assert "importlib" not in str(caught.value)
    assert 'service.py", line 1, in <module>' in str(caught.value)


def test_a_service_that_is_not_there_needs_no_traceback(tmp_path: Path) -> None:
    with pytest.raises(BentoMLException, match="there is no module `nowhere`") as caught:
        describe(tmp_path, "nowhere:Iris", env=os.environ)
    assert "Traceback" not in str(caught.value)


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("raise SystemExit(0)", r"ends the process: sys\.exit\(0\)"),
        ("import sys; sys.exit(3)", r"ends the process: sys\.exit\(3\)"),
        ("import os; os._exit(0)", "ends the process"),
        ("import os; os._exit(3)", "exit code 3"),
        ("import os; os.kill(os.getpid(), 9)", "killed by signal 9"),
    ],
)
def test_a_module_that_ends_its_process(tmp_path: Path, code: str, said: str) -> None:
    (tmp_path / "service.py").write_text(code)
    with pytest.raises(ImportServiceError, match=said):
        describe(tmp_path, "service", env=os.environ)


def test_what_the_module_prints_is_no_part_of_a_message(tmp_path: Path) -> None:
    (tmp_path / "service.py").write_text("import sys\nprint('noise')\nprint('noise', file=sys.stderr)\n")
    with pytest.raises(BentoMLException, match=r"^`service` has no service"):
        describe(tmp_path, "service", env=os.environ)


def test_arguments_reach_the_service(tmp_path: Path) -> None:
    (tmp_path / "service.py").write_text(
        "import bentoml\n\nargs = bentoml.use_arguments()\n\n"
        "@bentoml.service(name=args.name, labels={'day': args.day})\nclass Named:\n    pass\n"
    )
    args = {"name": "given", "day": datetime.date(2026, 1, 2)}
    said = describe(tmp_path, "service:Named", env=os.environ, args=args)
    assert (said.name, said.labels) == ("given", {"day": "2026-01-02"})


def test_arguments_that_do_not_fit_need_no_traceback(tmp_path: Path) -> None:
    (tmp_path / "service.py").write_text(
        "import bentoml\nfrom pydantic import BaseModel\n\nclass A(BaseModel):\n    n: int\n\nbentoml.use_arguments(A)\n"
    )
    with pytest.raises(BentoMLException, match=r"^Argument error\. (?s:.*)`n`: Field required$"):
        describe(tmp_path, "service:Named", env=os.environ, args={})
