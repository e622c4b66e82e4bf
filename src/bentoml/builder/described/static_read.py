"""A service as its source says it, for the case that it cannot be imported here: nothing of the user's code is run.

What is read becomes a service of the same shape, with functions that do nothing: their parameters, types and defaults are
kept as far as they are plain, so that all that is said of a service is said by the same code.
"""

from __future__ import annotations

import ast
import typing
from collections.abc import AsyncGenerator, AsyncIterator, Generator, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ...exceptions import ImportServiceError
from ...sdk.dependency import depends
from ...sdk.image import Image
from ...sdk.method import api, task
from ...sdk.references import BentoModel, HuggingFaceModel
from ...sdk.service import Service, service

__all__ = ["ReadService", "read_service"]

_TYPES: dict[str, Any] = {
    **{t.__name__: t for t in (str, int, float, bool, bytes, list, dict, set, tuple)},
    **{name: getattr(typing, name) for name in ("Any", "Optional", "Union", "List", "Dict", "Set", "Tuple")},
    **{t.__name__: t for t in (AsyncGenerator, AsyncIterator, Generator, Iterator, Path)},
}
_MODELS = {
    "models.get": BentoModel,
    "models.BentoModel": BentoModel,
    "models.HuggingFaceModel": HuggingFaceModel,
}
_CONTEXT = ("ctx", "context")


@dataclass
class ReadService:
    """A service that was read, and what of it could not be seen."""

    service: Service[Any]
    unseen: list[str]


def read_service(import_string: str, folder: Path) -> ReadService | None:
    """Read the service `module:Class` from the source in ``folder``; None if its module is not there.

    Raises:
        SyntaxError: the source is not Python.
        ImportServiceError: there is no such service, or it cannot be told which one is meant.
    """
    name, _, attribute = import_string.partition(":")
    reader = _Reader(folder)
    module = reader.module(name)
    if module is None:
        return None
    found = reader.service(module, attribute or _only_service(reader, module))
    if found is None:
        raise ImportServiceError(
            f"`{module.name}` has no service `{attribute}` that can be read from its source"
        )
    return ReadService(found, list(dict.fromkeys(reader.unseen)))


@dataclass
class _Module:
    """The source of a module: its classes, the names that stand for something, and the constants among them."""

    name: str
    classes: dict[str, ast.ClassDef] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)  # as it is called here -> `package.module.name`
    constants: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def parse(cls, name: str, source: str, file: str) -> _Module:
        module = cls(name)
        for node in ast.walk(tree := ast.parse(source, file)):
            if isinstance(node, ast.Import):
                module.names.update({(a.asname or a.name.partition(".")[0]): (a.asname and a.name) or a.name.partition(".")[0] for a in node.names})  # fmt: skip
            elif isinstance(node, ast.ImportFrom):
                package = "." * node.level + (node.module or "")
                module.names.update({(a.asname or a.name): f"{package}.{a.name}" for a in node.names})
        for node in tree.body:
            if isinstance(node, ast.ClassDef):
                module.classes[node.name] = node
            elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
                try:
                    module.constants[node.targets[0].id] = module.value(node.value)
                except ValueError:
                    continue
            elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
                with suppress(ValueError):
                    module.value(node.value)  # adds to an image, if it is a call of one
        return module

    def value(self, node: ast.expr) -> Any:
        """Return the value of an expression that is plain; ``ValueError`` for any other."""
        if isinstance(node, ast.Name) and node.id in self.constants:
            return self.constants[node.id]
        if isinstance(node, ast.Dict) and all(node.keys):
            return {self.value(k): self.value(v) for k, v in zip(node.keys, node.values, strict=True) if k}
        if isinstance(node, ast.List | ast.Tuple):
            items = [self.value(item) for item in node.elts]
            return items if isinstance(node, ast.List) else tuple(items)
        return self._image(node) if isinstance(node, ast.Call) else ast.literal_eval(node)

    def _image(self, call: ast.Call) -> Image:
        """Return the image that `bentoml.images.Image().run("...")` makes; ``ValueError`` for any other call."""
        values: list[Any] = []
        for argument in call.args:
            if isinstance(argument, ast.Starred):
                values += self.value(argument.value)
            else:
                values.append(self.value(argument))
        named = {keyword.arg or "": self.value(keyword.value) for keyword in call.keywords}
        if self.ours(call) == "images.Image":
            return Image(*values, **named)
        if isinstance(call.func, ast.Attribute) and call.func.attr in vars(Image):
            base = self.value(call.func.value)
            if isinstance(base, Image):
                getattr(base, call.func.attr)(*values, **named)
                return base
        raise ValueError(ast.unparse(call))

    def dotted(self, node: ast.expr) -> str:
        """Return what an expression names, as `bentoml.models.get`; empty if it is no name."""
        if isinstance(node, ast.Name):
            return self.names.get(node.id, node.id)
        if isinstance(node, ast.Attribute) and (base := self.dotted(node.value)):
            return f"{base}.{node.attr}"
        return ""

    def ours(self, node: ast.expr) -> str:
        """Return which of our names a decorator or call means, as `service`, or nothing."""
        name = self.dotted(node.func if isinstance(node, ast.Call) else node)
        return name.removeprefix("bentoml.") if name.startswith("bentoml.") else ""


class _Reader:
    """Read services and those that they depend on, each once."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.unseen: list[str] = []
        self.modules: dict[str, _Module | None] = {}
        self.services: dict[tuple[str, str], Service[Any]] = {}

    def module(self, name: str) -> _Module | None:
        if name not in self.modules:
            path = self.folder.joinpath(*name.split("."))
            files = (path.with_name(f"{path.name}.py"), path / "__init__.py")
            file = next((file for file in files if file.is_file()), None)
            self.modules[name] = _Module.parse(name, file.read_text("utf-8"), str(file)) if file else None
        return self.modules[name]

    def service(self, module: _Module, name: str) -> Service[Any] | None:
        """Return the service of a class, in this module or the one that it comes from."""
        node = module.classes.get(name)
        if node is None:
            origin, _, original = module.names.get(name, "").rpartition(".")
            other = self.module(origin.lstrip(".")) if origin else None
            return self.service(other, original) if other else None
        decorator = next((d for d in node.decorator_list if module.ours(d) == "service"), None)
        if decorator is None:
            return None
        key = (module.name, name)
        if key not in self.services:
            self.services[key] = self._made(module, node, decorator)
        return self.services[key]

    def _made(self, module: _Module, node: ast.ClassDef, decorator: ast.expr) -> Service[Any]:
        others = [d for d in node.decorator_list if d is not decorator]
        self.unseen += [f"the decorator `{ast.unparse(other)}` of `{node.name}`" for other in others]
        options = self._keywords(module, decorator, f"`{node.name}`")
        members = self._members(module, node)
        if text := ast.get_docstring(node):
            members["__doc__"] = text
        return service(**options)(type(node.name, (), members))

    def _keywords(self, module: _Module, call: ast.expr, of: str) -> dict[str, Any]:
        """Return the plain keyword arguments of a call."""
        found = {}
        for keyword in call.keywords if isinstance(call, ast.Call) else ():
            try:
                found[keyword.arg or ""] = module.value(keyword.value)
            except ValueError:
                self.unseen.append(f"`{keyword.arg or '**'}={ast.unparse(keyword.value)}` of {of}")
        return found

    def _members(self, module: _Module, node: ast.ClassDef) -> dict[str, Any]:
        members: dict[str, Any] = {}
        for base in node.bases:
            if isinstance(base, ast.Name) and base.id in module.classes:
                members |= self._members(module, module.classes[base.id])
            else:
                self.unseen.append(f"what `{node.name}` has from `{ast.unparse(base)}`")
        for part in node.body:
            if isinstance(part, ast.FunctionDef | ast.AsyncFunctionDef):
                members |= self._api(module, node.name, part)
            elif isinstance(part, ast.Assign | ast.AnnAssign) and isinstance(part.value, ast.Call):
                target = part.targets[0] if isinstance(part, ast.Assign) else part.target
                if isinstance(target, ast.Name):
                    members |= self._attribute(module, f"{node.name}.{target.id}", part.value)
        return members

    def _attribute(self, module: _Module, place: str, call: ast.Call) -> dict[str, Any]:
        """Return what an attribute is, if it is a model or a dependency."""
        kind, name = module.ours(call), place.partition(".")[2]
        try:
            if kind in _MODELS:
                values = [module.value(argument) for argument in call.args]
                keywords = {k.arg or "": module.value(k.value) for k in call.keywords}
                return {name: _MODELS[kind](*values, **keywords)}
            if kind == "depends":
                return {name: self._dependency(module, call)}
        except ValueError:
            self.unseen.append(f"`{place} = {ast.unparse(call)}`")
        return {}

    def _dependency(self, module: _Module, call: ast.Call) -> Any:
        named = {k.arg or "": k.value for k in call.keywords}
        on = call.args[0] if call.args else named.pop("on", None)
        found = self.service(module, on.id) if isinstance(on, ast.Name) else None
        if on is not None and found is None:
            raise ValueError(ast.unparse(on))
        return depends(found, **{key: module.value(node) for key, node in named.items()})

    def _api(
        self, module: _Module, owner: str, node: ast.FunctionDef | ast.AsyncFunctionDef
    ) -> dict[str, Any]:
        decorator = next((d for d in node.decorator_list if module.ours(d) in ("api", "task")), None)
        if decorator is None:
            return {}
        place = f"`{owner}.{node.name}`"
        options = self._keywords(module, decorator, place)
        kind = api if module.ours(decorator) == "api" else task
        return {node.name: kind(**options)(_stub(node, self._arguments(module, node, place), self._type(module, node.returns, f"the answer of {place}")))}  # fmt: skip

    def _arguments(
        self, module: _Module, node: ast.FunctionDef | ast.AsyncFunctionDef, place: str
    ) -> Mapping[str, tuple[Any, Any]]:
        """Return type and default of each parameter; the context is left to itself."""
        given, found = node.args, {}
        if given.vararg or given.kwarg:
            self.unseen.append(f"the further parameters of {place}")
        positional = [*given.posonlyargs, *given.args]
        missing = [None] * (len(positional) - len(given.defaults))
        defaults = [*missing, *given.defaults, *given.kw_defaults]
        for argument, default in zip([*positional, *given.kwonlyargs], defaults, strict=True):
            if argument.arg in _CONTEXT or argument in positional[:1]:
                continue
            name = f"parameter `{argument.arg}` of {place}"
            kind = self._type(module, argument.annotation, name)
            try:
                found[argument.arg] = (kind, ... if default is None else module.value(default))
            except ValueError:
                self.unseen.append(f"the default of {name}")
                found[argument.arg] = (Any, None)
        return found

    def _type(self, module: _Module, node: ast.expr | None, place: str) -> Any:
        if node is None:
            return Any
        try:
            return _plain_type(module, node)
        except (ValueError, TypeError, SyntaxError):
            self.unseen.append(f"the type `{ast.unparse(node)}` of {place}")
            return Any


def _plain_type(module: _Module, node: ast.expr) -> Any:
    """Return a type that consists of those of the language; ``ValueError`` for any other."""
    match node:
        case ast.Constant(value=None):
            return None
        case ast.Constant(value=str(text)):
            return _plain_type(module, ast.parse(text, mode="eval").body)
        case ast.BinOp(left=left, op=ast.BitOr(), right=right):
            return _plain_type(module, left) | _plain_type(module, right)
        case ast.Subscript(value=value, slice=ast.Tuple(elts=items)):
            return _plain_type(module, value)[tuple(_plain_type(module, item) for item in items)]
        case ast.Subscript(value=value, slice=item):
            return _plain_type(module, value)[_plain_type(module, item)]
    package, _, name = module.dotted(node).rpartition(".")
    if package not in ("", "typing", "collections.abc", "pathlib") or name not in _TYPES:
        raise ValueError(name)
    return _TYPES[name]


def _stub(
    node: ast.FunctionDef | ast.AsyncFunctionDef, parameters: Mapping[str, tuple[Any, Any]], returns: Any
) -> Any:
    """Return a function of the same name, kind and parameters that does nothing."""
    values = {f"_default_{name}": default for name, (_, default) in parameters.items() if default is not ...}
    listed = [f"{name}=_default_{name}" if f"_default_{name}" in values else name for name in parameters]
    roots = len([a for a in node.args.posonlyargs if a.arg in parameters])
    ends = ["/"] if roots else []
    named = ["*", *listed[roots:]] if listed[roots:] else []
    words = ", ".join(["self", *listed[:roots], *ends, *named])
    prefix = "async " if isinstance(node, ast.AsyncFunctionDef) else ""
    body = "yield" if any(isinstance(part, ast.Yield) for part in ast.walk(node)) else "pass"
    exec(
        f"{prefix}def {node.name}({words}): {body}", values
    )  # names alone: Python's own grammar has checked them
    function = values[node.name]
    function.__doc__ = ast.get_docstring(node)
    function.__annotations__ = {
        **{name: kind for name, (kind, _) in parameters.items() if kind is not Any},
        **({} if node.returns is None else {"return": returns}),
    }
    return function


def _only_service(reader: _Reader, module: _Module) -> str:
    """Return the class of the one service that no other one of the module depends on."""
    found = {name: made for name in module.classes if (made := reader.service(module, name))}
    used = {one.name for made in found.values() for one in list(made.all_services().values())[1:]}
    match [name for name, made in found.items() if made.name not in used]:
        case [name]:
            return name
        case []:
            raise ImportServiceError(
                f"`{module.name}` has no service; decorate a class with @bentoml.service"
            )
        case several:
            names = ", ".join(f"`{module.name}:{name}`" for name in several)
            raise ImportServiceError(
                f"Multiple service instances found in `{module.name}`: say which of {names}"
            )
