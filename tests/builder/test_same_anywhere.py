"""One project, built by the command in other folders, by other users and under other settings: one tag, one archive.

Only an ordinary user who runs this has no second user to build as; who is root has, and must.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

import bentoml
from bentoml.builder.contents.wheel import runtime_requirements
from bentoml.builder.packages.lock import Lock, LockPlatform, LockRequest, Pins

pytestmark = pytest.mark.slow

SERVICE = '''
from __future__ import annotations

import enum

import bentoml
import pydantic

from helpers.größe import UNITS


class Kind(enum.Enum):
    SETOSA = "setosa"
    VIRGINICA = "virginica"


class Flower(pydantic.BaseModel):
    kind: Kind
    petals: set[int] = {3, 1, 2}


@bentoml.service(labels={unit: "used" for unit in sorted(UNITS)}, resources={"cpu": "1"})
class Flowers:
    """Tell flowers from one another; größer is better."""

    iris = bentoml.models.BentoModel("iris:latest")

    @bentoml.api
    def tell(self, flower: Flower, units: dict[str, float] | None = None) -> Flower:
        """Tell which one it is."""
        return flower
'''
SAVE = "with bentoml.models.create('iris', labels={'b': '1', 'a': '2'}) as m: open(m.path + '/w', 'w').write('weights')"
REQUIRED = ["numpy"]
LIBRARY = str(Path(bentoml.__file__).parents[1])  # the one that is tested, wherever it lies


@dataclass(frozen=True)
class Machine:
    """Where and how somebody builds; the folders are below a temporary one, a ``user`` is a number."""

    project: str = "project"
    home: str = "home"
    env: Mapping[str, str] = field(default_factory=dict)
    umask: int = 0o022
    user: int | None = None
    time: int = 1_700_000_000  # of the files

    def build(self, folder: Path) -> tuple[str, bytes]:
        """Build the project, and return its tag and its archive."""
        folder.mkdir(parents=True, exist_ok=True)
        write(folder / self.project, self.time)
        if self.user is not None:
            for path in [folder, *folder.rglob("*")]:
                os.chown(path, self.user, self.user, follow_symlinks=False)
        self._run(folder, "-c", f"import bentoml\n{SAVE}")
        tag = self._run(folder, "-m", "bentoml", "build", "--offline", "-o", "tag").removeprefix("__tag__:")
        self._run(folder, "-m", "bentoml", "export", tag, str(folder / "flowers.bento"))
        return tag, (folder / "flowers.bento").read_bytes()

    def _run(self, folder: Path, *arguments: str) -> str:
        # To read is what root may everywhere: the interpreter may lie in a folder of root's own.
        as_user = ["setpriv", f"--reuid={self.user}", f"--regid={self.user}", "--clear-groups",
                   "--inh-caps=+dac_override", "--ambient-caps=+dac_override"]  # fmt: skip
        given = {"BENTOML_HOME": str(folder / self.home), "HOME": str(folder), **self.env}
        done = subprocess.run(
            [*(as_user if self.user is not None else []), sys.executable, *arguments],
            cwd=folder / self.project, env={"PATH": os.environ["PATH"], "PYTHONPATH": LIBRARY, **given}, umask=self.umask,
            capture_output=True, encoding="utf-8", errors="replace", check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()


def write(project: Path, time: int) -> None:
    (project / "helpers").mkdir(parents=True)
    (project / "service.py").write_text(SERVICE, encoding="utf-8")
    (project / "helpers" / "größe.py").write_text("UNITS = {'cm', 'mm', 'inch', 'm'}\n", encoding="utf-8")
    (project / "README.md").write_text("# Blüten\n", encoding="utf-8")
    (project / "run.sh").write_text("#!/bin/sh\n")
    (project / "run.sh").chmod(0o755)
    (project / "link").symlink_to("helpers/größe.py")
    (project / "bentofile.yaml").write_text(
        f"service: service:Flowers\npython: {{packages: {REQUIRED}}}\ndocker: {{python_version: '3.12'}}\n"
        "envs: [{name: B, value: '1'}, {name: A, value: 'ü'}]\nlabels: {z: '1', y: 'ß'}\n",
        encoding="utf-8",
    )
    request = LockRequest(
        tuple(sorted({*REQUIRED, *runtime_requirements()})), "3.12", LockPlatform.parse("linux")
    )
    pins = Pins(request.inputs, f"numpy==2.4.6 \\\n    --hash=sha256:{'0' * 64}\n")
    (project / "bentofile.lock").write_text(str(Lock({request.key: pins})))
    for path in project.rglob("*"):
        os.utime(path, (time, time), follow_symlinks=False)


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, bytes]:
    return Machine().build(tmp_path_factory.mktemp("here"))


FAR = {
    "TZ": "Pacific/Auckland",
    "LC_ALL": "C",
    "PYTHONHASHSEED": "7",
    "PYTHONOPTIMIZE": "2",
    "LANGUAGE": "de",
}
OTHER_USER = 12345 if os.geteuid() == 0 else None


@pytest.mark.parametrize(
    "machine",
    [
        pytest.param(Machine(project="an other/ünter wegs/project"), id="folder"),
        pytest.param(Machine(home="project/.store"), id="store in the project"),
        pytest.param(Machine(umask=0o077), id="umask"),
        pytest.param(Machine(env={"TZ": "Asia/Kathmandu"}), id="time zone"),
        pytest.param(Machine(env={"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0"}), id="locale C"),
        pytest.param(Machine(env={"LC_ALL": "C.utf8"}), id="locale C.utf8"),
        pytest.param(Machine(env={"PYTHONHASHSEED": "0"}), id="hash seed"),
        pytest.param(Machine(env={"PYTHONOPTIMIZE": "2"}), id="no docstrings"),
        pytest.param(Machine(time=1), id="times of files"),
        pytest.param(Machine(user=OTHER_USER), id="user"),
        pytest.param(
            Machine("sub/project", "store", FAR, 0o002, OTHER_USER, 2_000_000_000), id="all of it together"
        ),
    ],
)
def test_the_same_tag_and_archive(machine: Machine, expected: tuple[str, bytes]) -> None:
    with tempfile.TemporaryDirectory(prefix="bentoml-") as folder:  # pytest's own are closed to other users
        Path(folder).chmod(0o755)
        tag, archive = machine.build(Path(folder, "there"))
    assert tag == expected[0]
    assert archive == expected[1]


def test_another_content_is_another_tag(expected: tuple[str, bytes], tmp_path: Path) -> None:
    """What the others compare does move."""
    copy = Machine()
    tag, _ = copy.build(tmp_path)
    assert tag == expected[0]
    shutil.rmtree(tmp_path / "project" / "helpers" / "__pycache__", ignore_errors=True)
    (tmp_path / "project" / "run.sh").chmod(0o644)
    again = copy._run(tmp_path, "-m", "bentoml", "build", "--offline", "-o", "tag").removeprefix("__tag__:")
    assert again != tag
