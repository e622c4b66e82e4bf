from __future__ import annotations

import os
import re
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from bentoml.builder.build_file.config import (
    BuildConfig,
    EnvVar,
    ModelSpec,
    load_config,
    parse_config,
)
from bentoml.builder.build_file.config_conda import CONDA_KEYS
from bentoml.builder.build_file.config_docker import DOCKER_KEYS
from bentoml.builder.build_file.config_python import PYTHON_KEYS
from bentoml.exceptions import BentoMLConfigException

ROOT = Path(__file__).parents[3]
EXAMPLE, REFERENCE = ROOT / "bentofile.yaml.example", ROOT / "docs" / "reference" / "bentofile.md"


def mistakes_of(data: dict[str, Any]) -> str:
    with pytest.raises(BentoMLConfigException) as caught:
        parse_config(data, source="bentofile.yaml")
    return str(caught.value)


def test_an_empty_build_file_means_the_defaults(tmp_path: Path) -> None:
    assert parse_config({}, source="") == BuildConfig() == load_config(tmp_path)
    assert BuildConfig().include == ("*",)
    assert BuildConfig().python.lock_packages


def test_each_key_is_read() -> None:
    config = parse_config(
        {
            "service": "service:Iris",
            "name": "iris",
            "description": "# Iris",
            "labels": {"owner": "me", "stage": 1},
            "include": "*.py",
            "exclude": ["tests/"],
            "models": ["iris:v1", {"tag": "other", "alias": "o", "filter": "label:x"}],
            "envs": [{"name": "A", "value": "-1"}, {"name": "TOKEN", "stage": "build"}],
            "args": {"size": 3},
            "python": {
                "packages": ["numpy>=2", "torch; sys_platform == 'linux'"],
                "lock_packages": False,
                "extra_index_url": "https://wheels.example/cpu",
                "find_links": ["./wheels", "more"],
                "trusted_host": "wheels.example:8080",
            },
            "docker": {
                "base_image": "registry.example:5000/python:3.12@sha256:" + "0" * 64,
                "distro": "alpine",
                "python_version": 3.12,
                "system_packages": ["git", "libstdc++6", "gcc=4:12.2.0-3"],
                "env": ["A=1", "B=x=y z"],
            },
        },
        source="bentofile.yaml",
    )
    assert config.service == "service:Iris"
    assert config.labels == {"owner": "me", "stage": "1"}
    assert config.include == ("*.py",)
    assert config.models == (
        ModelSpec("iris:v1"),
        ModelSpec("other", alias="o", filter="label:x"),
    )
    assert config.envs == (EnvVar("A", "-1"), EnvVar("TOKEN", "", "build"))
    assert config.args == {"size": 3}
    assert config.python.packages == ("numpy>=2", "torch; sys_platform == 'linux'")
    assert not config.python.lock_packages
    assert config.python.extra_index_url == ("https://wheels.example/cpu",)
    assert config.python.find_links == ("./wheels", "more")
    assert config.docker.python_version == "3.12"
    assert config.docker.system_packages == ("git", "libstdc++6", "gcc=4:12.2.0-3")
    assert config.docker.env == {"A": "1", "B": "x=y z"}


def test_values_without_measure_are_refused_in_few_words() -> None:
    huge = "x" * 10_000_000
    for data in (
        {"labels": {"a": huge}},
        {"labels": {huge: "a"}},
        {huge: 1},
        {"docker": {"env": [huge]}},
        {"python": {"packages": [huge], "pip_args": f"--{huge}"}},
        {"envs": [{"name": huge, "value": huge}]},
        {"docker": {"distro": huge, "cuda_version": huge}},
    ):
        assert len(mistakes_of(data)) < 5000
    many = mistakes_of({f"key{n}": 1 for n in range(1000)})
    assert many.startswith("bentofile.yaml has 1000 mistakes:\n")
    assert many.endswith("\n  and 950 more")
    assert parse_config({"description": huge}, source="x").description == huge


def test_an_editable_requirement_is_refused_with_the_reason() -> None:
    said = mistakes_of({"python": {"packages": ["-e ./libs/demo"]}})
    assert "`python.packages[0]` must not start with a dash" in said
    assert "points at a folder of this machine; write the path without it" in said


def test_all_mistakes_are_reported_at_once_with_the_nearest_key() -> None:
    said = mistakes_of(
        {
            "lables": {},
            "include": 7,
            "models": ["Bad Name", {"tga": "x"}],
            "envs": [{"value": "x"}, "A=1", {"name": "T", "stage": "build", "value": "canary"}],
            "python": {"pakages": [], "lock_packages": "sometimes", "packages": [{}]},
            "docker": {"python_version": "3.8", "distro": "windows"},
        }
    )
    assert said.startswith("bentofile.yaml has 13 mistakes:\n")
    for line in [
        "bentofile.yaml: `lables` is not a known key; did you mean `labels`?",
        "bentofile.yaml: `include` has to be a list, not a number",
        "bentofile.yaml: `models[0]` names no model",
        "bentofile.yaml: `models[1].tga` is not a known key; did you mean `tag`?",
        "bentofile.yaml: `envs[0].name` is missing",
        "bentofile.yaml: `models[1].tag` is missing",
        "bentofile.yaml: `envs[1]` has to be a mapping, not a string",
        "bentofile.yaml: `envs[2].value` would put a build secret into the bento",
        "bentofile.yaml: `python.pakages` is not a known key; did you mean `packages`?",
        "bentofile.yaml: `python.lock_packages` has to be true or false, not a string",
        "bentofile.yaml: `python.packages[0]` has to be a string, not a mapping",
        "bentofile.yaml: `docker.python_version` is '3.8'; the runtime needs 3.11 or later",
        "bentofile.yaml: `docker.distro` is 'windows'; it is one of `debian`",
    ]:
        assert line in said
    assert "canary" not in said


@pytest.mark.parametrize(
    ("data", "key"),
    [
        pytest.param({"service": "service:A\nRUN x"}, "service", id="service, newline"),
        pytest.param({"service": "--help"}, "service", id="service, dash"),
        pytest.param({"name": "../x"}, "name", id="name"),
        pytest.param({"labels": {"a": "x\nUSER root"}}, "labels.a", id="label"),
        pytest.param({"labels": ["a"]}, "labels", id="labels, list"),
        pytest.param({"include": ["../secret"]}, "include", id="include leaves"),
        pytest.param({"models": ["-x"]}, "models[0].tag", id="model"),
        pytest.param({"envs": [{"name": "A B"}]}, "envs[0].name", id="env name"),
        pytest.param({"envs": [{"name": "A", "value": "x\nRUN y"}]}, "envs[0].value", id="env value"),
        pytest.param({"envs": [{"name": "A", "value": True}]}, "envs[0].value", id="env true"),
        pytest.param({"python": {"packages": ["--index-url http://x"]}}, "python.packages[0]", id="option"),
        pytest.param({"python": {"packages": ["a\n--index-url x"]}}, "python.packages[0]", id="package"),
        pytest.param({"python": {"packages": ["hg+https://x/y"]}}, "python.packages", id="hg"),
        pytest.param(
            {"python": {"packages": ["y @ git+https://u:p@x/y"]}}, "python.packages", id="git password"
        ),
        pytest.param({"python": {"packages": ["../x.whl"]}}, "python.packages", id="path"),
        pytest.param({"python": {"packages": ["x @ https://u:p@h/x.whl"]}}, "python.packages", id="password"),
        pytest.param({"python": {"requirements_txt": "-r"}}, "python.requirements_txt", id="requirements"),
        pytest.param({"python": {"index_url": "https://u:p@h/simple"}}, "python.index_url", id="credentials"),
        pytest.param({"python": {"index_url": "ftp://h"}}, "python.index_url", id="scheme"),
        pytest.param({"python": {"extra_index_url": ["-x"]}}, "python.extra_index_url[0]", id="index, dash"),
        pytest.param({"python": {"find_links": ["/opt/x"]}}, "python.find_links[0]", id="machine path"),
        pytest.param({"python": {"find_links": ["a/../../x"]}}, "python.find_links[0]", id="outside path"),
        pytest.param({"python": {"find_links": ["./../x"]}}, "python.find_links[0]", id="outside path, dot"),
        pytest.param({"python": {"trusted_host": ["h;x"]}}, "python.trusted_host[0]", id="host"),
        pytest.param({"docker": {"base_image": "a b"}}, "docker.base_image", id="image, space"),
        pytest.param({"docker": {"base_image": "a\nRUN b"}}, "docker.base_image", id="image, newline"),
        pytest.param({"docker": {"base_image": "--platform=x"}}, "docker.base_image", id="image, dash"),
        pytest.param({"docker": {"system_packages": ["git; rm"]}}, "docker.system_packages[0]", id="shell"),
        pytest.param({"docker": {"system_packages": ["-o"]}}, "docker.system_packages[0]", id="apt option"),
        pytest.param({"docker": {"env": {"A": "b\u2028c"}}}, "docker.env.A", id="line separator"),
        pytest.param({"docker": {"env": ["A"]}}, "docker.env[0]", id="docker env without value"),
        pytest.param({"docker": {"env": ["A B=1"]}}, "docker.env", id="docker env name"),
        pytest.param({"docker": {"python_version": 3.1}}, "docker.python_version", id="3.10 without quotes"),
        pytest.param({"docker": []}, "docker", id="docker, list"),
        pytest.param({"python": {"no_index": 1}}, "python.no_index", id="flag"),
        pytest.param({"args": [1]}, "args", id="args"),
        pytest.param({"description": 3}, "description", id="description"),
        pytest.param({"description": "a\ud800"}, "description", id="half-a-character"),
    ],
)
def test_a_value_that_is_not_acceptable_is_refused_by_name(data: dict[str, Any], key: str) -> None:
    said = mistakes_of(data)
    assert said.startswith("bentofile.yaml has a mistake:\n")
    assert f"bentofile.yaml: `{key}` " in said
    assert "u:p@" not in said


def test_a_patch_level_is_dropped_with_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    config = parse_config({"docker": {"python_version": "3.11.4"}}, source="")
    assert config.docker.python_version == "3.11"
    assert "3.11.4" in caplog.text


def test_bentofile_goes_before_pyproject_and_a_given_file_before_both(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text("[project]\nname = 'three'\n")
    assert load_config(tmp_path).name == "three"
    (tmp_path / "bentofile.yaml").write_text("name: two\n")
    assert load_config(tmp_path).name == "two"
    (tmp_path / "other.yaml").write_text("name: one\n")
    assert load_config(tmp_path, tmp_path / "other.yaml").name == "one"
    with pytest.raises(BentoMLConfigException, match=r"none\.yaml"):
        load_config(tmp_path, tmp_path / "none.yaml")


def test_pyproject_gives_name_dependencies_and_layout(tmp_path: Path) -> None:
    (tmp_path / "src").mkdir()
    (tmp_path / "pyproject.toml").write_text(
        """
        [project]
        name = "my-project"
        dependencies = ["numpy>=2"]
        [tool.bentoml.build]
        service = "pkg.service:Iris"
        [tool.bentoml.build.python]
        packages = ["scipy"]
        """
    )
    config = load_config(tmp_path)
    assert config.name == "my-project"
    assert config.python.packages == ("scipy", "numpy>=2")
    assert config.python.is_src_layout


def test_mistakes_in_pyproject_are_named(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text(
        "[tool.bentoml.build]\nservise = 'x'\n[tool.bentoml.build.docker]\nenv = 3\n"
    )
    with pytest.raises(
        BentoMLConfigException, match=re.escape("pyproject.toml: `servise` is not a known key")
    ):
        load_config(tmp_path)


def test_files_that_the_build_file_names(tmp_path: Path) -> None:
    (tmp_path / "ABOUT.md").write_text("# About\n\nLong.\n")
    (tmp_path / ".env").write_text("# variables\nA=1\n\nB=two words\n")
    (tmp_path / "bentofile.yaml").write_text("description: 'file: ABOUT.md'\ndocker: {env: .env}\n")
    config = load_config(tmp_path)
    assert config.description == "# About\n\nLong.\n"
    assert config.docker.env == {"A": "1", "B": "two words"}


@pytest.mark.parametrize("name", ["../ABOUT.md", "/etc/hostname", "missing.md"])
def test_a_file_outside_the_project_or_missing(tmp_path: Path, name: str) -> None:
    (tmp_path / "bentofile.yaml").write_text(f"description: 'file: {name}'\n")
    with pytest.raises(BentoMLConfigException, match=re.escape(name.rpartition("/")[2])):
        load_config(tmp_path)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("name: a\nname: b\n", id="duplicate key"),
        pytest.param("- a\n", id="list"),
        pytest.param("a: [\n", id="broken"),
        pytest.param("a: !!python/object/apply:os.system [x]\n", id="object"),
        pytest.param(
            "a: &a [x,x,x,x,x,x,x,x,x,x]\n"
            + "".join(
                f"{c}: &{c} [{','.join(['*' + p] * 10)}]\n"
                for p, c in zip("abcdefgh", "bcdefghi", strict=True)
            ),
            id="alias bomb",
        ),
        pytest.param("a: " + "[" * 5000 + "]" * 5000, id="deep"),
        pytest.param("x" * (1 << 20) + "y", id="huge"),
    ],
)
def test_a_document_that_is_not_believed(tmp_path: Path, text: str) -> None:
    (tmp_path / "bentofile.yaml").write_text(text)
    with pytest.raises(BentoMLConfigException, match=r"bentofile\.yaml"):
        load_config(tmp_path)


def test_a_file_that_is_not_text(tmp_path: Path) -> None:
    (tmp_path / "bentofile.yaml").write_bytes(b"name: \xff\n")
    with pytest.raises(BentoMLConfigException, match="UTF-8"):
        load_config(tmp_path)


def test_the_example_is_what_the_parser_reads(tmp_path: Path) -> None:
    """Each line `# key: value` of the example is a setting; with the `# ` gone the file is a whole configuration."""
    lines = EXAMPLE.read_text().splitlines()
    settings = [re.sub(r"^( *)#(?! \S)", r"\1", line) for line in lines]
    (tmp_path / "ABOUT.md").write_text("about")
    (tmp_path / "environment.yml").write_text("name: mine\nprefix: /home/me\ndependencies: [libgdal]\n")
    (tmp_path / "bentofile.yaml").write_text("\n".join(settings))
    config = load_config(tmp_path)
    default = BuildConfig()
    not_shown = {
        "is_pyproject",
        "image_requirements",
        "cuda_version",
    }  # the first two are no keys, the last gives way to `base_image`
    for part, plain in ((config, default), (config.python, default.python), (config.docker, default.docker)):
        for name in sorted({*part._fields} - not_shown):
            assert getattr(part, name) != getattr(plain, name), f"the example does not show `{name}`"
    assert load_config(tmp_path, EXAMPLE).service == "service:Iris"
    shown = set(re.findall(r"^ *#? *(\w+):", EXAMPLE.read_text(), re.MULTILINE))
    assert {*PYTHON_KEYS, *DOCKER_KEYS, *CONDA_KEYS} <= shown


def test_the_reference_has_a_row_for_each_key() -> None:
    rows = re.findall(r"^\| `(\w+)` \|", REFERENCE.read_text(), re.MULTILINE)
    keys = [key for key in BuildConfig._fields if key not in ("python", "docker")]
    assert sorted(rows) == sorted([*keys, *PYTHON_KEYS, *DOCKER_KEYS, *CONDA_KEYS])


def test_what_yaml_reads_as_a_number_may_be_a_name_or_a_label() -> None:
    config = parse_config({"name": 123, "labels": {5: 1.5}}, source="bentofile.yaml")
    assert (config.name, config.labels) == ("123", {"5": "1.5"})


def test_what_yaml_reads_as_something_else_is_named() -> None:
    labels = {"a": None, "b": True, "c": date(2024, 1, 1), True: "d"}
    with pytest.raises(BentoMLConfigException) as caught:
        parse_config({"labels": labels}, source="x")
    said = str(caught.value)
    assert "`labels.a` has to be a string, not null" in said
    assert "`labels.b` has to be a string, not true or false" in said
    assert "`labels.c` has to be a string, not a date" in said
    assert "`labels (the key True)` has to be a string, not true or false" in said


def test_patterns_may_start_at_the_project_as_paths_do() -> None:
    config = parse_config({"include": ["./a.py", "!./b/", "*.md", ".x"]}, source="x")
    assert config.include == ("/a.py", "!/b/", "*.md", ".x")


@pytest.mark.parametrize(
    "service", [".:A", "..x:A", "a.:A", "a..b:A", "service:", "service:A..b", "service:A:B"]
)
def test_what_names_no_module_is_no_service(service: str) -> None:
    assert "`service` is" in mistakes_of({"service": service})


@pytest.mark.parametrize("image", ["UPPER", "a:b:c", "a@sha256:123", "https://python:3.11", "a//b"])
def test_a_base_image_is_a_reference(image: str) -> None:
    said = f"`docker.base_image` is {image!r}, which is not an image reference"
    assert said in mistakes_of({"docker": {"base_image": image}})


@pytest.mark.parametrize(
    "image",
    ["docker://UPPER", "oci:./Base", "docker-archive:Base.tar:a:b", "debs:bookworm", "rootfs:./Root.tar.gz"],
)
def test_a_base_image_need_not_lie_in_a_registry(image: str) -> None:
    assert parse_config({"docker": {"base_image": image}}, source="x").docker.base_image == image


@pytest.mark.parametrize(
    "image",
    ["oci:", "oci://", "oci::1.0", "oci-archive:", "docker-archive:", "rootfs:", "debs:", "docker:"],
)
def test_a_base_image_says_which(image: str) -> None:
    said = mistakes_of({"docker": {"base_image": image}})
    assert re.search(
        rf"`docker.base_image` is '{image}', which does not say which image; write `{image.partition(':')[0]}:",
        said,
    )


def test_a_model_needs_a_name() -> None:
    assert "`models[0].tag` is empty" in mistakes_of({"models": [""]})


@pytest.mark.parametrize("value", [{1, 2}, [{"a": {1}}], {"a": {1}}, object()])
def test_arguments_are_data(value: object) -> None:
    assert "`args.x` holds a" in mistakes_of({"args": {"x": value}})


def test_dates_are_data() -> None:
    assert parse_config({"args": {"x": [date(2024, 1, 1)]}}, source="x").args == {"x": [date(2024, 1, 1)]}


@pytest.mark.parametrize("make", [Path.mkdir, os.mkfifo, lambda path: path.symlink_to("missing")])
def test_a_build_file_that_is_no_file_is_not_passed_over(
    tmp_path: Path, make: Callable[[Path], None]
) -> None:
    make(tmp_path / "bentofile.yaml")
    with pytest.raises(BentoMLConfigException, match=r"bentofile\.yaml"):
        load_config(tmp_path)


def test_each_file_that_cannot_be_used_is_named_with_the_other_mistakes(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    data = {
        "description": "file: missing.md",
        "docker": {"env": "pipe", "distro": "fedora"},
        "conda": {"environment_yml": "../env.yml"},
    }
    with pytest.raises(BentoMLConfigException) as caught:
        parse_config(data, source="bentofile.yaml", folder=tmp_path)
    said = str(caught.value).splitlines()
    for key in ("description", "docker.env", "docker.distro", "conda.environment_yml"):
        assert any(line.startswith(f"  bentofile.yaml: `{key}` ") for line in said), key


def test_the_requirements_of_a_pyproject_are_a_list(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text("project.dependencies = 'numpy'\n")
    with pytest.raises(BentoMLConfigException, match=r"`project\.dependencies` has to be a list"):
        load_config(tmp_path)


def test_one_package_stands_beside_the_requirements_of_a_pyproject(tmp_path: Path) -> None:
    text = "project.dependencies = ['numpy']\n[tool.bentoml.build.python]\npackages = 'anyio'\n"
    (tmp_path / "pyproject.toml").write_text(text)
    assert load_config(tmp_path).python.packages == ("anyio", "numpy")
