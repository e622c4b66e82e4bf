"""The house rules: no import cycles, imports only downward, one reader of the environment, no pickle, reserved names."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

SRC = Path(__file__).parent.parent / "src"
PACKAGE = SRC / "bentoml"

# From the ground up. A module may import from its own layer's folder and from lower layers, never from a higher one, and
# never from a brother on the same level.
LEVELS: tuple[tuple[str, ...], ...] = (
    ("exceptions", "nearest", "tag", "paths", "process"),
    ("config",),
    ("store",),
    ("registry",),
    ("sdk",),
    ("client",),
    ("frameworks", "builder", "runtime", "templates"),
    ("legacy",),
    ("deploy",),
    (
        "bentos",
        "models",
        "container",
        "images",
        "io",
        "validators",
        "metrics",
        "gradio",
        "monitoring",
        "testing",
    ),
    ("cli",),
    ("__main__",),
)
# `exceptions` and its neighbours on the ground may use one another; the test for cycles still holds for them.
GROUND = LEVELS[0]
RESERVED = {
    "service",
    "api",
    "task",
    "depends",
    "build",
    "serve",
    "get",
    "list",
    "load",
    "delete",
    "push",
    "pull",
}
# Own imports inside functions, each with its reason.
LATE_IMPORTS = {
    ("store.document", "store.yaml_document"): "what only declares a service reads and writes no YAML",
    ("store.items", "store.archives.api"): "only who exports loads the compressors, which know items",
    (
        "runtime.proxied.command",
        "runtime.proxied.program",
    ): "only services that are another program need an HTTP client",
    (
        "builder.locking",
        "builder.oci.bases.pins",
    ): "only a build whose lock lacks its base asks a registry for it",
    ("builder.daemon.api", "builder.daemon.sdk"): "an engine at its socket needs no SDK",
    (
        "builder.backends.engine",
        "builder.backends.loopback",
    ): "an engine that is loaded needs no registry, which is an HTTP server",
    (
        "builder.backends.engine",
        "registry.transport",
    ): "only of an engine over TCP it is asked whether it is near",
    # The image of a bento of which a line has changed: what is made of it is known, but for the last layer.
    ("builder.backends.select", "builder.backends.archive"): "an image goes to one place",
    ("builder.backends.select", "builder.backends.engine"): "as above",
    ("builder.backends.select", "builder.backends.layout"): "as above",
    ("builder.backends.select", "builder.backends.registry"): "as above",
    ("builder.backends.select", "registry.memory"): "as above",
    ("builder.image.containerize", "builder.backends.registry"): "as above",
    ("builder.image.containerize", "builder.daemon.api"): "as above",
    ("builder.image.containerize", "builder.image.components"): "only who wants an SBOM knows components",
    (
        "builder.image.choice",
        "builder.engines.known",
    ): "only a bento that needs its Dockerfile needs one of them",
    ("cli.containerize", "builder.engines.known"): "as above",
    ("cli.containerize", "builder.image.api"): "as above",
    ("builder.image.platform_image", "builder.steps.bento"): "few bentos run something in their image",
    ("builder.image.platform_image", "builder.image.hub"): "few bentos have models of the hub",
    ("builder.image.platform_image", "builder.oci.parts.bytecode"): "few images have bytecode",
    ("builder.image.platform_image", "builder.steps.base_compiler"): "as above",
    (
        "builder.image.platform_image",
        "builder.image.sources",
    ): "packages that are known are fetched from nowhere",
    ("builder.oci.parts.python", "builder.oci.parts.installation"): "and not installed once more",
    ("builder.steps.packages", "builder.steps.compiled"): "few packages have to be compiled",
    ("builder.oci.bases.pull", "registry.client"): "a base that is in the cache is asked of nobody",
    ("builder.oci.bases.pull", "registry.transport"): "as above",
    ("builder.image.components", "builder.image.hub"): "few bentos have models of the hub",
    ("builder.oci.bases.select", "builder.oci.archive"): "a base comes from one place, mostly a registry",
    ("builder.oci.bases.select", "builder.oci.bases.engine"): "as above",
    ("builder.oci.bases.select", "builder.oci.bases.root_tree"): "as above",
    ("builder.oci.bases.select", "builder.oci.debian.debs"): "as above",
    ("builder.oci.bases.select", "builder.oci.layout"): "as above",
    ("cli.remote", "builder.build_file.config"): "only `models pull --bentofile` reads a build file",
    ("__main__", "cli.main"): "`--version` answers without loading the command table",
    ("runtime.app", "runtime.tasks.running"): "a service without tasks does not load SQLite",
    ("runtime.app", "runtime.tasks.desk"): "only services that depend on tasks need an HTTP client",
    (
        "runtime.telemetry.tracing",
        "runtime.telemetry.spans",
    ): "OpenTelemetry is loaded only where an exporter is configured",
}
PICKLES = {"pickle", "cloudpickle", "dill", "marshal", "shelve", "joblib"}


@dataclass(frozen=True)
class Import:
    """One import of our own: who imports what, and whether it happens when the module is loaded."""

    importer: str
    imported: str
    line: int
    late: bool
    typing_only: bool


def module_name(path: Path) -> str:
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_name(path): path for path in sorted(PACKAGE.rglob("*.py"))}


def own_imports(name: str, path: Path) -> Iterator[Import]:
    tree = ast.parse(path.read_text())
    for parent in ast.walk(tree):
        for child in ast.iter_child_nodes(parent):
            child._parent = parent  # type: ignore[attr-defined]  # ast nodes do not know their parents
    for node in ast.walk(tree):
        if not isinstance(node, ast.Import | ast.ImportFrom):
            continue
        ancestors = list(_ancestors(node))
        late = any(isinstance(a, ast.FunctionDef | ast.AsyncFunctionDef) for a in ancestors)
        typing_only = any(isinstance(a, ast.If) and "TYPE_CHECKING" in ast.unparse(a.test) for a in ancestors)
        for target in _targets(node, name, path):
            yield Import(name, target, node.lineno, late, typing_only)


def _ancestors(node: ast.AST) -> Iterator[ast.AST]:
    while (parent := getattr(node, "_parent", None)) is not None:
        yield parent
        node = parent


def _targets(node: ast.Import | ast.ImportFrom, name: str, path: Path) -> Iterator[str]:
    if isinstance(node, ast.Import):
        for alias in node.names:
            if alias.name.split(".")[0] == "bentoml":
                yield alias.name.removeprefix("bentoml").removeprefix(".")
        return
    if node.level == 0:
        if (node.module or "").split(".")[0] != "bentoml":
            return
        base = (node.module or "").removeprefix("bentoml").removeprefix(".")
    else:
        package = name.split(".") if path.name == "__init__.py" else name.split(".")[:-1]
        package = [p for p in package if p]
        up = package[: len(package) - (node.level - 1)]
        base = ".".join([*up, *(node.module.split(".") if node.module else [])])
    for alias in node.names:
        full = f"{base}.{alias.name}".strip(".")
        yield full if full in MODULES else base


IMPORTS = [i for name, path in MODULES.items() if name for i in own_imports(name, path)]


def top(module: str) -> str:
    return module.split(".")[0]


def level(module: str) -> int:
    for number, names in enumerate(LEVELS):
        if top(module) in names:
            return number
    raise AssertionError(f"`{module}` is on no level: name it in LEVELS of tests/test_architecture.py")


def test_each_module_is_on_a_level() -> None:
    for name in MODULES:
        if name:
            level(name)


def test_imports_go_down_only() -> None:
    wrong = [
        f"{i.importer}:{i.line} imports {i.imported}"
        for i in IMPORTS
        if i.imported  # `from .. import __version__` is the package itself
        and top(i.importer) != top(i.imported)
        and level(i.imported) >= level(i.importer)
        and not (top(i.importer) in GROUND and top(i.imported) in GROUND)
    ]
    assert wrong == []


def test_the_table_of_parts_names_each_module() -> None:
    """A folder has a row, and each of its modules is in it; those of the package itself are anywhere in the table."""
    text = (SRC.parent / "docs" / "ARCHITECTURE.md").read_text()
    part = text.partition("## The parts\n")[2].partition("\n## ")[0]
    rows = [line for line in part.splitlines() if line.startswith("| ") and "`" in line]
    by_folder = {line.split("`")[1]: line for line in rows}
    missing = []
    for path in PACKAGE.rglob("*.py"):
        folder = f"{path.parent.relative_to(PACKAGE).as_posix()}/"
        row = "".join(rows) if folder == "./" else by_folder.get(folder, "")
        named = {word for quoted in re.findall("`([^`]+)`", row) for word in re.split(r"[ .]", quoted)}
        if not path.stem.startswith("__") and path.stem not in named:
            missing.append(f"{folder}{path.name}")
    assert sorted(missing) == [], "name them in docs/ARCHITECTURE.md, `The parts`"


def test_no_import_cycles() -> None:
    graph: dict[str, set[str]] = {name: set() for name in MODULES}
    for i in IMPORTS:
        if not i.typing_only and not i.late and i.imported:
            graph[i.importer].add(i.imported)
    done: set[str] = set()

    def visit(name: str, trail: tuple[str, ...]) -> None:
        assert name not in trail, " -> ".join([*trail[trail.index(name) :], name])
        if name not in done:
            for imported in graph[name]:
                visit(imported, (*trail, name))
            done.add(name)

    for name in graph:
        visit(name, ())


def test_own_imports_inside_functions_are_on_the_list() -> None:
    late = {(i.importer, i.imported) for i in IMPORTS if i.late}
    assert late == set(LATE_IMPORTS)


@pytest.mark.parametrize("name", sorted(MODULES))
def test_only_config_reads_the_environment(name: str) -> None:
    if name == "config":
        return
    tree = ast.parse(MODULES[name].read_text())
    reads = [
        node.lineno
        for node in ast.walk(tree)
        if (
            isinstance(node, ast.Attribute)
            and ast.unparse(node) in ("os.environ", "os.getenv", "os.environb")
        )
        or (
            isinstance(node, ast.ImportFrom)
            and node.module == "os"
            and any(a.name in ("environ", "getenv") for a in node.names)
        )
    ]
    assert reads == []


@pytest.mark.parametrize("name", sorted(MODULES))
def test_pickle_only_in_the_opt_in_loader(name: str) -> None:
    if name == "store.custom_objects":
        return
    imported = {
        (alias.name if isinstance(node, ast.Import) else node.module or "").split(".")[0]
        for node in ast.walk(ast.parse(MODULES[name].read_text()))
        if isinstance(node, ast.Import | ast.ImportFrom)
        for alias in node.names
    }
    if name == "builder.oci.parts.bytecode_child":  # writes bytecode, in a process of its own, and reads none
        assert "marshal.load" not in MODULES[name].read_text()
        imported -= {"marshal"}
    assert imported & PICKLES == set()


def test_no_submodule_bears_the_name_of_a_public_function() -> None:
    assert {top(name) for name in MODULES} & RESERVED == set()


@pytest.mark.parametrize("name", sorted(MODULES))
def test_each_module_says_what_it_owns(name: str) -> None:
    assert ast.get_docstring(ast.parse(MODULES[name].read_text()))


@pytest.mark.parametrize("name", sorted(MODULES))
def test_no_shell_strings(name: str) -> None:
    """Programs are started from argument lists: `shell=True`, `os.system` and `os.popen` do not occur."""
    for node in ast.walk(ast.parse(MODULES[name].read_text())):
        if isinstance(node, ast.Call):
            assert ast.unparse(node.func) not in ("os.system", "os.popen")
            assert not any(k.arg == "shell" for k in node.keywords)
