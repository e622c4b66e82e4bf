from __future__ import annotations

from pathlib import Path

import pytest

from bentoml.builder.build_file.config import DockerConfig
from bentoml.builder.docker.docker_files import DockerFiles, read_docker_files
from bentoml.exceptions import BentoMLConfigException


def test_the_files_are_read(tmp_path: Path) -> None:
    (tmp_path / "setup.sh").write_text("#!/bin/sh\necho\n")
    (tmp_path / "T.j2").write_text("{{ x }}")
    docker = DockerConfig(setup_script="./setup.sh", dockerfile_template="T.j2")
    assert read_docker_files(tmp_path, docker) == DockerFiles("#!/bin/sh\necho\n", "{{ x }}")
    assert read_docker_files(tmp_path, DockerConfig()) == DockerFiles()


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("none.sh", "cannot be read"),
        ("link.sh", "leaves its folder"),
        ("plain.sh", "such as `#!/bin/sh`"),
        ("folder", "is not a file"),
        ("large.sh", "larger than 1 MiB"),
        ("binary.sh", "not UTF-8"),
        ("windows.sh", "line ends of Windows"),
    ],
)
def test_a_script_that_is_none(tmp_path: Path, name: str, said: str) -> None:
    project = tmp_path / "project"
    (project / "folder").mkdir(parents=True)
    (tmp_path / "outside.sh").write_text("#!/bin/sh\n")
    (project / "link.sh").symlink_to("../outside.sh")
    (project / "plain.sh").write_text("echo\n")
    (project / "large.sh").write_text("#" * (1 << 21))
    (project / "binary.sh").write_bytes(b"#!\xff\xfe")
    (project / "windows.sh").write_bytes(b"#!/bin/sh\r\necho\r\n")
    with pytest.raises(BentoMLConfigException, match=f"`docker.setup_script`: .*{said}"):
        read_docker_files(project, DockerConfig(setup_script=name))
