"""Where a service is and how it is loaded: a folder, an import string, or the tag of a bento."""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

from ..config import Home, environment
from ..exceptions import BentoMLException, ImportServiceError, NotFound
from ..store import current, document
from ..store.bentos import Bento, BentoStore
from ..store.manifest import BentoInfo
from ..tag import Tag
from . import hub
from .configuration.arguments import give_arguments, plain
from .service import Service

__all__ = ["Target", "build_patterns", "find", "load", "load_target"]

_SITE = "site-packages"
_OURS = __name__.partition(".")[0]


@dataclass(frozen=True, slots=True)
class Target:
    """Say where a service is: ``module[:attribute]``, the folder that it is imported from, and its bento if any.

    With a ``bento_tag``, ``working_dir`` is the folder ``src`` of the bento. ``args`` are what its code reads by
    ``use_arguments``: those of the bento or build file, unless others go over them.
    """

    import_string: str
    working_dir: Path
    bento_tag: str | None = None
    args: Mapping[str, Any] = field(default_factory=dict)


def find(target: str, *, home: Home, working_dir: Path | None = None) -> Target:
    """Return where a service is, without importing it.

    ``target`` is a folder (a bento, a project with a build file, or one with ``service.py``), an import string
    (``module:Class``, ``file.py:Class``, ``package.module:Class``, ``module``), or the tag of a bento in the store.

    Raises:
        ImportServiceError: it is none of these; the message says why it is not.
    """
    base = (working_dir or Path.cwd()).absolute()
    folder = Path(os.path.normpath(base / target))
    if folder.is_dir() and (target != folder.name or _project_file(folder)):
        return _in_folder(folder)
    module, attribute, root = _split(target, base)
    source = _source(module, root)
    imported = Target(f"{module}:{attribute}" if attribute else module, root)
    if source is not None and attribute.partition(".")[0] in source.read_text(errors="replace"):
        return imported
    bentos = BentoStore(home)
    try:
        tag = bentos.resolve(_as_tag(target))
    except (BentoMLException, ValueError) as e:
        if source is not None or _is_installed(module):
            return imported
        if missing := _missing_path(target, base):
            raise ImportServiceError(
                f"Failed to load bento or import service `{target}`: there is no folder or file `{missing}`"
            ) from e
        raise ImportServiceError(
            f"Failed to load bento or import service `{target}`.\n"
            f"If you are attempting to import bento by tag: {e}\n"
            f"If you are importing by python module path: there is no module `{module}` in `{root}`"
        ) from e
    return _target_of(bentos.get(tag))


def _missing_path(target: str, base: Path) -> str | None:
    """Return the folder or file that a target means, if it is not there."""
    path = target.partition(":")[0] if os.sep in target.partition(":")[0] else ""
    wanted = base / path
    return None if wanted.exists() else os.path.normpath(wanted)


def load_target(target: Target, *, home: Home) -> Service[Any]:
    """Import a service.

    From now on the model store of this process is that of ``home``. A bento sees exactly the models it was built with,
    also where its code says ``latest``. What the user's code raises passes through.

    Raises:
        ImportServiceError: there is no such module or attribute, or it is not a service; or the bento or one of its models
            is not what was stored.
        NotFound: the bento that the target names is not there.
    """
    bento = None if target.bento_tag is None else _bento_at(target.working_dir.parent)
    current.use(_home_of(bento, home), _pins(bento.info) if bento else {})
    hub.pin((ref.requested, ref.metadata) for ref in (bento.info.hub_models if bento else ()))
    if bento:
        _check(bento)
    give_arguments(target.args)
    module, _, attribute = target.import_string.partition(":")
    imported = _import(module, target.working_dir)
    service = _attribute(imported, attribute) if attribute else _only_service(imported)
    service.working_dir = str(target.working_dir)
    service.import_string = target.import_string
    service.bento = bento
    return service


def load(
    identifier: str | os.PathLike[str] | Tag | Bento,
    working_dir: str | os.PathLike[str] | None = None,
    reload: bool = False,
    standalone_load: bool = False,
) -> Service[Any]:
    """Load a service by tag, bento, folder or import string.

    ``reload`` imports the modules of its folder again; ``standalone_load`` leaves ``sys.path`` as it was.

    Raises:
        ImportServiceError: it cannot be found.
    """
    home = Home.from_environment(environment())
    if isinstance(identifier, Bento):
        target = _target_of(identifier)
    else:
        name = os.fspath(identifier) if isinstance(identifier, os.PathLike) else str(identifier)
        target = find(name, home=home, working_dir=Path(working_dir) if working_dir else None)
    if reload:
        _forget(target.working_dir)
    before = list(sys.path)
    try:
        return load_target(target, home=home)
    finally:
        if standalone_load:
            sys.path[:] = before


# Finding.


def _in_folder(folder: Path) -> Target:
    match _project_file(folder):
        case None:
            raise ImportServiceError(
                f"folder `{folder}` is neither a bento nor a project: it has no `bento.yaml`, no build file that names "
                "a `service`, and no `service.py`"
            )
        case Path(name="bento.yaml"):
            return _target_of(_bento_at(folder))
        case Path(name="service.py"):
            return Target("service", folder)
        case file:
            return _inside(folder, _declared_service(file), file, args=_declared(file, "args"))


def _project_file(folder: Path) -> Path | None:
    """Return the file that says what a folder is."""
    if (folder / "bento.yaml").is_file():
        return folder / "bento.yaml"
    for name in ("bentofile.yaml", "pyproject.toml"):
        if (folder / name).is_file() and _declared_service(folder / name):
            return folder / name
    return folder / "service.py" if (folder / "service.py").is_file() else None


def _declared_service(file: Path) -> str:
    service = _declared(file, "service")
    return service if isinstance(service, str) else ""


def _declared(file: Path, name: str) -> Any:
    """Return the value of a key of a build file, or None; the builder reads and checks the rest."""
    is_toml = file.suffix == ".toml"
    data = _toml(file) if is_toml else document.load(file.read_text())
    for key in ("tool", "bentoml", "build", name) if is_toml else (name,):
        data = data.get(key) if isinstance(data, Mapping) else None
    return data


def build_patterns(folder: Path) -> tuple[list[str], list[str]]:
    """Return ``include`` and ``exclude`` of a project's build file; none where there is no such file, or it is broken."""
    for name in ("bentofile.yaml", "pyproject.toml"):
        with suppress(BentoMLException, OSError, UnicodeDecodeError):
            given = [_declared(folder / name, key) for key in ("include", "exclude")]
            include, exclude = ([str(p) for p in g] if isinstance(g, list) else [] for g in given)
            return include, exclude
    return [], []


def _toml(file: Path) -> Any:
    import tomllib  # a project with a pyproject.toml needs it, a served bento does not

    try:
        return tomllib.loads(file.read_text())
    except tomllib.TOMLDecodeError as e:
        raise ImportServiceError(f"`{file}` is not TOML: {e}") from e


def _inside(
    folder: Path, service: str, declared_in: Path, bento_tag: str | None = None, args: Any = None
) -> Target:
    """Return the target of a service that a file declares; it must lie in the file's own folder."""
    module, attribute, root = _split(service, folder)
    if root != folder:
        raise ImportServiceError(f"service `{service}` of `{declared_in}` lies outside `{folder}`")
    given = plain(args) if isinstance(args, Mapping) else {}
    return Target(f"{module}:{attribute}" if attribute else module, root, bento_tag, given)


def _split(target: str, base: Path) -> tuple[str, str, Path]:
    """Return module, attribute and the folder to import from; ``sub/file.py`` is the module ``sub.file``."""
    module, _, attribute = target.partition(":")
    if not module.endswith(".py"):
        return module, attribute, base
    file = Path(os.path.normpath(base / module))
    if base not in file.parents:
        base = file.parent
    return ".".join(file.relative_to(base).with_suffix("").parts), attribute, base


def _source(module: str, folder: Path) -> Path | None:
    path = folder.joinpath(*module.split("."))
    candidates = (path.parent / f"{path.name}.py", path / "__init__.py")
    return next((c for c in candidates if c.is_file()), None)


def _is_installed(module: str) -> bool:
    with suppress(ImportError, ValueError):
        return importlib.util.find_spec(module.partition(".")[0]) is not None
    return False


def _as_tag(target: str) -> str:
    if target != target.lower():
        raise NotFound(f"`{target}` is not a tag: tags are in lower case")
    return target


def _target_of(bento: Bento) -> Target:
    folder = Path(bento.path)
    info = bento.info
    return _inside(
        folder / "src", info.service or "service", folder / "bento.yaml", str(bento.tag), info.args
    )


# Loading.


def _bento_at(folder: Path) -> Bento:
    try:
        text = (folder / "bento.yaml").read_text()
    except FileNotFoundError as e:
        raise NotFound(f"there is no bento in `{folder}`: it has no `bento.yaml`") from e
    return Bento(folder, BentoInfo.from_yaml(text))


def _check(bento: Bento) -> None:
    """Make sure that a bento and those of its models that are here are what it was built with.

    Raises:
        ImportServiceError: one is damaged, or another model has the tag now.
    """
    store = current.model_store()
    try:
        bento.check()
        for ref in bento.info.all_models:
            with suppress(NotFound):  # who asks for it will say so
                ref.check(store.get(ref.tag).digest, bento.tag)
    except BentoMLException as e:
        raise ImportServiceError(str(e)) from e


def _home_of(bento: Bento | None, home: Home) -> Home:
    """Return where the models lie: in the bento itself, if it brings them."""
    if bento is not None and (Path(bento.path) / "models").is_dir():
        return Home(Path(bento.path))
    return home


def _pins(info: BentoInfo) -> dict[str, Tag]:
    """Return what each way to name a model means to a bento: the version that it was built with."""
    pins: dict[str, Tag] = {}
    for ref in info.all_models:
        pins.setdefault(ref.tag.name, ref.tag)
        pins.setdefault(f"{ref.tag.name}:latest", ref.tag)
        if ref.alias:
            pins[ref.alias] = ref.tag
    return pins


def _import(name: str, folder: Path) -> ModuleType:
    """Import a module from a folder, and not one of the same name that another folder gave before."""
    for other in [f for f in _imported if f != folder]:
        _forget(other)
        with suppress(ValueError):
            sys.path.remove(str(other))
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))
    importlib.invalidate_caches()
    before = set(sys.modules)
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as e:
        if e.name is None or not f"{name}.".startswith(f"{e.name}."):
            raise
        raise ImportServiceError(f"there is no module `{name}` in `{folder}`") from e
    finally:
        _imported.setdefault(folder, set()).update(set(sys.modules) - before)


_imported: dict[Path, set[str]] = {}  # the modules that came with a service, by its folder


def _forget(folder: Path) -> None:
    for name in _imported.pop(folder, set()):
        file = getattr(sys.modules.get(name), "__file__", None)
        theirs = name.partition(".")[0] != _OURS and _SITE not in Path(file or "").parts
        if file and theirs and folder in Path(file).parents:
            del sys.modules[name]


def _attribute(module: ModuleType, path: str) -> Service[Any]:
    """Follow ``Class.dependency``; each part is an attribute, a dependency's attribute or its service's name."""
    value: Any = module
    for part in path.split("."):
        if isinstance(value, Service):
            dependency = value.dependencies.get(part)
            value = dependency.on if dependency else value.all_services().get(part)
        else:
            value = getattr(value, part, None)
        if value is None:
            raise ImportServiceError(f"`{module.__name__}` has no `{path}`; {_what_there_is(module)}")
    if not isinstance(value, Service):
        raise ImportServiceError(
            f"`{module.__name__}:{path}` is not a service but `{type(value).__name__}`; {_what_there_is(module)}"
        )
    return value


def _only_service(module: ModuleType) -> Service[Any]:
    """Return the service of a module that no other one of it depends on."""
    services = {v.name: (attribute, v) for attribute, v in vars(module).items() if isinstance(v, Service)}
    used = {name for _, service in services.values() for name in list(service.all_services())[1:]}
    match [found for name, found in services.items() if name not in used]:
        case [(_, service)]:
            return service
        case []:
            raise ImportServiceError(
                f"`{module.__name__}` has no service; decorate a class with @bentoml.service"
            )
        case several:
            names = ", ".join(f"`{module.__name__}:{attribute}`" for attribute, _ in several)
            raise ImportServiceError(
                f"Multiple service instances found in `{module.__name__}`: say which of {names}"
            )


def _what_there_is(module: ModuleType) -> str:
    names = [f"`{name}`" for name, value in vars(module).items() if isinstance(value, Service)]
    return f"its services are {', '.join(names)}" if names else "it has no services"
