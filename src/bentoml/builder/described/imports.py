"""What the code of a project imports, and which of its packages bring that: by reading, nothing is run."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, requires

from ..contents.files import SourceFile

__all__ = ["Import", "Imports", "package_names", "packages_of", "project_imports", "with_what_they_need"]

_NAME = re.compile(r"\s*([A-Za-z0-9][A-Za-z0-9._-]*)")
_SEPARATORS = re.compile(r"[-_.]+")
_KNOWN = {  # packages that are called otherwise than their modules, where they are not installed here
    "PIL": "pillow", "attr": "attrs", "bs4": "beautifulsoup4", "cv2": "opencv-python-headless", "dateutil": "python-dateutil",
    "dotenv": "python-dotenv", "faiss": "faiss-cpu", "fitz": "pymupdf", "git": "gitpython", "google.protobuf": "protobuf",
    "jose": "python-jose", "jwt": "pyjwt", "llama_cpp": "llama-cpp-python", "magic": "python-magic", "multipart": "python-multipart",
    "psycopg2": "psycopg2-binary", "pydantic_settings": "pydantic-settings", "sentence_transformers": "sentence-transformers",
    "serial": "pyserial", "skimage": "scikit-image", "sklearn": "scikit-learn", "yaml": "pyyaml",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Import:
    """A module that comes from elsewhere, and the place where it is first imported, as `service.py:3`."""

    module: str
    place: str


@dataclass(frozen=True, slots=True)
class Imports:
    """What code imports, sorted: ``foreign`` modules, and ``lacking`` ones, of whose package it has files but not this one.

    A name that a package defines itself is among the latter: `from package import name` does not tell it from a module.
    """

    foreign: list[Import]
    lacking: list[Import]


def project_imports(files: Sequence[SourceFile], start: str) -> Imports:
    """Return what a module and those of the project that it imports take from elsewhere, each once.

    ``start`` is the module's name; where there is no such module, all files are read. What is imported only for types,
    or tried (`try: import x / except ImportError`), need not be there. A file that cannot be parsed imports nothing.
    """
    modules = {_module(file.path): file for file in files if file.path.endswith(".py") and not file.link}
    folders = {part for path in (file.path for file in files) for part in path.split("/")[:-1][:1]}
    own = {name.partition(".")[0] for name in modules} | folders
    waiting = [start] if start in modules else list(modules)
    found: dict[str, Import] = {}
    lacking: dict[str, Import] = {}
    seen: set[str] = set()
    while waiting:
        name = waiting.pop()
        if name in seen or name not in modules:
            continue
        seen.add(name)
        for module, line in sorted(_imports(modules[name], name), key=lambda one: one[1]):
            top, place = module.partition(".")[0], f"{modules[name].path}:{line}"
            if top in own:
                waiting += _with_parents(module)
                for part in _with_parents(module):
                    if part not in modules:
                        lacking.setdefault(part, Import(part, place))
            elif top not in sys.stdlib_module_names:
                found.setdefault(top, Import(top, place))
    return Imports(_sorted(found.values()), _sorted(lacking.values()))


def _sorted(imports: Iterable[Import]) -> list[Import]:
    return sorted(imports, key=lambda one: one.module.lower())


def packages_of(module: str, installed: Mapping[str, Sequence[str]]) -> tuple[set[str], bool]:
    """Return the packages that bring a module, and whether that is known rather than guessed from its name.

    ``installed`` is what `importlib.metadata.packages_distributions` says, which takes long.
    """
    if module in installed:
        return {_normal(name) for name in installed[module]}, True
    return {_KNOWN.get(module, _normal(module))}, module in _KNOWN


def package_names(lines: Iterable[str]) -> set[str]:
    """Return the names of packages in requirement lines."""
    return {_normal(match[1]) for line in lines if (match := _NAME.match(line))}


def with_what_they_need(names: Iterable[str]) -> set[str]:
    """Return packages and all that they require, as far as they are installed here."""
    waiting, found = list(names), set[str]()
    while waiting:
        name = waiting.pop()
        if name in found:
            continue
        found.add(name)
        try:
            lines = requires(name) or []
        except PackageNotFoundError:
            continue
        waiting += package_names(line for line in lines if "extra ==" not in line)
    return found


def _normal(name: str) -> str:
    return _SEPARATORS.sub("-", name).lower()


def _module(path: str) -> str:
    return path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def _with_parents(module: str) -> list[str]:
    parts = module.split(".")
    return [".".join(parts[:n]) for n in range(1, len(parts) + 1)]


def _imports(file: SourceFile, name: str) -> Iterator[tuple[str, int]]:
    try:
        tree = ast.parse(file.origin.read_bytes())
    except (OSError, SyntaxError, ValueError, RecursionError):
        return
    package = name if file.path.endswith("/__init__.py") else name.rpartition(".")[0]
    yield from _in_nodes(tree.body, package)


def _in_nodes(nodes: Iterable[ast.AST], package: str) -> Iterator[tuple[str, int]]:
    for node in nodes:
        match node:
            case ast.Import(names=names):
                yield from ((alias.name, node.lineno) for alias in names)
            case ast.ImportFrom(module=module, names=names, level=level):
                base = ".".join(filter(None, [_above(package, level) if level else "", module or ""]))
                # a name may be a module of the package
                places = [base, *(f"{base}.{alias.name}" for alias in names)] if base else []
                yield from ((place, node.lineno) for place in places)
            case ast.If(test=test, orelse=orelse) if "TYPE_CHECKING" in ast.unparse(test):
                yield from _in_nodes(orelse, package)
            case ast.Try(handlers=handlers) if any(_forgives(handler) for handler in handlers):
                yield from _in_nodes(node.orelse + node.finalbody, package)
            case _:
                yield from _in_nodes(ast.iter_child_nodes(node), package)


def _above(package: str, level: int) -> str:
    parts = package.split(".")
    return ".".join(parts[: len(parts) - level + 1])


def _forgives(handler: ast.ExceptHandler) -> bool:
    return handler.type is None or bool(
        re.search(r"\b(ImportError|ModuleNotFoundError|Exception)\b", ast.unparse(handler.type))
    )
