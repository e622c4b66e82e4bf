"""What is wrong with a project, before it is built or served: each thing with what to do about it."""

from __future__ import annotations

import errno
import re
import socket
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from importlib.metadata import packages_distributions
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

from ..config import Home
from ..exceptions import BentoMLException, ImportServiceError
from ..store.models import ModelStore
from .build_file.config import BuildConfig, load_config, parse_config
from .contents.context import check_included, check_links, largest
from .contents.files import SourceFile
from .contents.manifest import bento_name
from .contents.model_specs import model_info
from .contents.project_files import check_holds_service, project_files
from .contents.suspects import secrets_among
from .contents.wheel import runtime_requirements
from .described.describe import Description, import_string_of
from .described.imports import Import, package_names, packages_of, project_imports, with_what_they_need
from .described.project_service import describe_project
from .described.service_image import ImageSteps, image_steps, with_image
from .docker.docker_files import read_docker_files
from .job import DEFAULTS, LOCK_FILE, Job
from .locking import lock_request
from .packages.lock import LockPlatform, LockRequest, Pins, read_lock_file
from .packages.pack import Packed, source_path
from .packages.project import ProjectRequirements, project_requirements
from .packages.sources import PathSource

__all__ = ["Checked", "Finding", "Level", "check_project"]

Level = Literal["error", "warning", "note"]
About = Literal["configuration", "service", "requirements", "files", "lock", "models", "python", "port"]

Describe = Callable[[Path, BuildConfig, Home, Mapping[str, str]], Description]

_LARGE, _MANY = 10 << 20, 100 << 20  # bytes, as a build warns of them
_MISSING = re.compile(r"ModuleNotFoundError: No module named '([^']+)'")
_VERSION = re.compile(r"[=<>~!@]")


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong, or worth knowing, and what to do about it."""

    level: Level
    about: About
    message: str
    fix: str = ""


@dataclass(frozen=True, slots=True)
class Checked:
    """What was found, the worst first, and the files that a bento would hold."""

    findings: tuple[Finding, ...]
    files: tuple[SourceFile, ...] = ()

    @property
    def size(self) -> int:
        """The bytes of the files."""
        return sum(file.size for file in self.files)

    @property
    def largest(self) -> list[SourceFile]:
        """The ten largest files."""
        return [file for file in largest(self.files) if file.size]


def check_project(
    folder: Path,
    bentofile: Path | None = None,
    *,
    home: Home,
    env: Mapping[str, str],
    describe: Describe = describe_project,
) -> Checked:
    """Look at a project as a build and a server would; its code runs in a child process only, and nothing is written."""
    project = folder.resolve()
    if bentofile is not None and not bentofile.exists():
        bentofile = project / bentofile
    try:
        config = load_config(project, bentofile)
        read_docker_files(project, config.docker)
    except BentoMLException as e:
        wrong = [Finding("error", "configuration", message) for message in _mistakes(str(e))]
        rest = Finding("note", "configuration", "the rest is looked at once the configuration is right")
        return Checked((*wrong, rest))
    lock = (bentofile.resolve().parent if bentofile else project) / LOCK_FILE
    checker = _Checker(project, config, home, env, lock, describe)
    found: list[Finding] = []
    for part in (
        checker.service,
        checker.files,
        checker.requirements,
        checker.models,
        checker.python,
        checker.port,
    ):
        found += part()
    order = {"error": 0, "warning": 1, "note": 2}
    return Checked(tuple(sorted(found, key=lambda finding: order[finding.level])), tuple(checker.selected))


@dataclass(slots=True)
class _Checker:
    """Look at one thing after the other; what one learns, those after it know."""

    project: Path
    config: BuildConfig
    home: Home
    env: Mapping[str, str]
    lock: Path
    describe: Describe
    description: Description | None = None
    steps: ImageSteps = field(default_factory=ImageSteps)
    selected: list[SourceFile] = field(default_factory=list)

    @property
    def module(self) -> str:
        """The module of the service, as a bento imports it; empty if it cannot be one."""
        is_src_layout = self.config.python.is_src_layout
        try:
            return import_string_of(self.config.service, is_src_layout=is_src_layout).partition(":")[0]
        except ImportServiceError:  # as `service` says
            return ""

    def service(self) -> Iterator[Finding]:
        try:
            self.description = found = self.describe(self.project, self.config, self.home, self.env)
            bento_name(self.config.name or found.name)
            self.config = with_image(self.config, found.image, self.project)
            self.steps = image_steps(found.image, self.project)
            parse_config({"labels": found.labels, "envs": found.envs}, source="the service")
        except ImportServiceError as e:
            missing = _MISSING.findall(str(e))
            yield Finding("error", "service", str(e), _how_to_import(missing[-1]) if missing else "")
        except BentoMLException as e:
            yield Finding("error", "service", str(e))

    def files(self) -> Iterator[Finding]:
        exclude = "add it to `exclude` or to a `.bentoignore`"
        try:
            self.selected = project_files(self.project, self.config, self.home)
            check_holds_service(self.selected, self.module, self.project)
            check_included(self.project, self.selected, self.steps.build_include)
        except BentoMLException as e:
            yield Finding("error", "files", str(e))
        for path in secrets_among(self.selected):
            yield Finding(
                "warning", "files", f"`{path}` looks like a secret and would be in the bento", exclude
            )
        for file in self.selected:
            if file.size > _LARGE:
                said = f"`{file.path}` of {file.size / 1e6:.1f} MB would be in the bento"
                yield Finding("warning", "files", said, f"keep a model in the model store; else {exclude}")
        if (total := sum(file.size for file in self.selected)) > _MANY:
            said = f"the bento would hold {total / 1e6:.1f} MB in {len(self.selected)} files"
            yield Finding("warning", "files", said, "exclude what the service does not need")

    def requirements(self) -> Iterator[Finding]:
        try:
            requirements = project_requirements(self.project, self.config.python, self.env)
        except BentoMLException as e:
            yield from (Finding("error", "requirements", message) for message in _mistakes(str(e)))
            return
        pins: Pins | None = None
        if requirements.is_locked:
            try:
                pins = read_lock_file(self.lock).entries.get(self._request(requirements).key)
                yield from self._stale(requirements, pins)
            except BentoMLException as e:
                yield Finding("error", "lock", str(e))
        yield from self._missing(requirements, pins)
        yield from _unpinned(requirements)
        yield from self._local(requirements, pins.requirements if pins else "")

    def _local(self, requirements: ProjectRequirements, pins: str) -> Iterator[Finding]:
        """Yield what is not there of the code and wheels of the project that it requires."""
        wheels = (PathSource(wheel, wheel) for wheel in requirements.python.wheels)
        for source in (*wheels, *requirements.sources):
            if isinstance(source, PathSource):
                yield from _refused("requirements", partial(source_path, self.project, source))
        yield from _refused(
            "requirements", partial(check_links, self.project, requirements, self.selected, pins)
        )

    def _request(self, requirements: ProjectRequirements) -> LockRequest:
        """Return what a build would ask to be locked, but for what it packs."""
        docker = self.config.docker
        platform = LockPlatform.parse(
            DEFAULTS.platform, distro=docker.distro, cuda_version=docker.cuda_version
        )
        job = Job(self.project, self.home, self.env)
        return lock_request(job, docker.python_version, requirements, Packed((), {}), platform)

    def _stale(self, requirements: ProjectRequirements, pins: Pins | None) -> Iterator[Finding]:
        if not self.lock.is_file():
            yield Finding(
                "note", "lock", f"there is no `{LOCK_FILE}` yet", "`bentoml build` makes it; commit it"
            )
            return
        request = self._request(requirements)
        if pins is None:
            said = f"`{LOCK_FILE}` has no entry for `{request.key}`"
        elif requirements.sources or requirements.python.wheels or pins.inputs == request.inputs:
            return  # what is packed is known only to a build
        else:
            said = f"`{LOCK_FILE}` was made from other requirements"
        yield Finding("warning", "lock", said, "`bentoml build` renews it; commit it")

    def _missing(self, requirements: ProjectRequirements, pins: Pins | None) -> Iterator[Finding]:
        conda = self.config.conda
        named = (*requirements.written({}), *conda.dependencies, *conda.pip)
        declared = package_names((*named, *runtime_requirements(requirements.extras))) | {"bentoml"}
        brought = with_what_they_need(declared - {"bentoml"})
        if pins is not None:
            brought |= package_names(pins.requirements.splitlines())
        imports = project_imports(self.selected, self.module)
        installed = packages_distributions() if imports.foreign else {}
        here = package_names(name for names in installed.values() for name in names)
        are_known = self._tells_all(requirements) and declared <= here | {"bentoml"}
        yield from (_left_out(one) for one in imports.lacking if self._is_own(one.module))
        for one in imports.foreign:
            packages, is_known = packages_of(one.module, installed)
            if self._is_own(one.module):
                yield _left_out(one)
            elif not packages & declared:
                is_certain = are_known or (is_known and self._tells_all(requirements))
                yield from self._undeclared(one, packages, brought, "error" if is_certain else "warning")
            elif self.description is not None and find_spec(one.module) is None:
                said = f"{one.place} imports `{one.module}`, which is not installed here, as `bentoml serve` needs it"
                yield Finding("warning", "service", said, f"`pip install {min(packages & declared)}`")

    def _is_own(self, module: str) -> bool:
        """Say whether the project has a module of this name, which its bento may lack."""
        places = (self.project, self.project / "src") if self.config.python.is_src_layout else (self.project,)
        path = module.replace(".", "/")
        return any(
            (place / f"{path}.py").is_file() or (place / path / "__init__.py").is_file() for place in places
        )

    def _tells_all(self, requirements: ProjectRequirements) -> bool:
        """Say whether nothing is installed but what the names of the requirements tell."""
        docker, python = self.config.docker, requirements.python
        code = requirements.sources or requirements.unpacked or python.wheels
        made = docker.base_image or docker.setup_script or docker.dockerfile_template or self.config.conda
        return not (code or made or self.steps.commands or self.steps.post_commands)

    def _undeclared(
        self, one: Import, packages: set[str], brought: set[str], level: Level
    ) -> Iterator[Finding]:
        package = min(packages)
        fix = f"add `{package}` to {self._place}"
        if not packages & brought:
            said = f"{one.place} imports `{one.module}`, which no requirement brings"
            yield Finding(level, "requirements", said, fix)
        else:
            said = f"{one.place} imports `{one.module}`, which is there only because another package needs it"
            yield Finding("note", "requirements", said, fix)

    @property
    def _place(self) -> str:
        python = self.config.python
        named = "`project.dependencies`" if python.is_pyproject else "`python.packages`"
        return f"`{python.requirements_txt}`" if python.requirements_txt else named

    def models(self) -> Iterator[Finding]:
        store = ModelStore(self.home)
        services = self.description.services if self.description else ()
        for tag in sorted({tag for service in services for tag, _ in service["models"]}):
            yield from _refused("models", partial(store.get, tag))
        for spec in self.config.models:
            yield from _refused("models", partial(model_info, spec, store))

    def python(self) -> Iterator[Finding]:
        here, there = f"{sys.version_info.major}.{sys.version_info.minor}", self.config.docker.python_version
        if here != there:
            said = f"the image has Python {there}, and this is Python {here}"
            yield Finding("warning", "python", said, "work with the same, or change `docker.python_version`")

    def port(self) -> Iterator[Finding]:
        port = self._port()
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError as e:
                if e.errno == errno.EADDRINUSE:
                    said = f"port {port} is taken by another program"
                    yield Finding("warning", "port", said, "stop it, or `bentoml serve --port NUMBER`")

    def _port(self) -> int:
        """Return the port on which `bentoml serve` would listen."""
        given = self.env.get("BENTOML_PORT", "")
        if given.isdecimal() and int(given) < 65536:
            return int(given)
        about = self.description
        services = about.services if about else ()
        entry: dict[str, Any] = next((s["config"] for s in services if about and s["name"] == about.name), {})
        return int((entry.get("http") or {}).get("port") or 3000)


def _refused(about: About, look: Callable[[], object]) -> Iterator[Finding]:
    try:
        look()
    except BentoMLException as e:
        yield Finding("error", about, str(e))


def _left_out(one: Import) -> Finding:
    said = f"{one.place} imports `{one.module}` of the project, which would not be part of the bento"
    return Finding("warning", "files", said, "change `include`, `exclude` or `.bentoignore`")


def _unpinned(requirements: ProjectRequirements) -> Iterator[Finding]:
    loose = [line for line in requirements.lines if not _VERSION.search(line.partition(";")[0])]
    if loose:
        names = ", ".join(f"`{line}`" for line in loose)
        said = f"{names}: any version will do, so that `bentoml build --update` may take one that the code does not know"
        yield Finding("note", "requirements", said, "say which, as in `numpy>=2,<3`")
    if not requirements.python.lock_packages and any("==" not in line for line in requirements.lines):
        said = (
            "`python.lock_packages` is off and not every requirement names a version: two builds may differ"
        )
        yield Finding("warning", "requirements", said, "turn it on, or write `==` versions")


def _how_to_import(module: str) -> str:
    packages, _ = packages_of(module.partition(".")[0], {})
    return f"`pip install {min(packages)}` here, and name it in the requirements"


def _mistakes(message: str) -> list[str]:
    """Return the mistakes that a message lists, one each."""
    head, *lines = message.splitlines()
    return [line.strip() for line in lines] if lines and head.endswith(":") else [message]
