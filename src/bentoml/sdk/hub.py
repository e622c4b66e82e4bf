"""The hub of Hugging Face, by its own library: which commit a revision is, and the folder that holds its files here."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

from ..exceptions import BentoMLException, MissingDependencyException, NotFound

__all__ = ["Snapshot", "commit_of", "fetch", "files_of", "find_pin", "is_commit", "pin"]


_NOT_HERE = FileNotFoundError  # what the library raises for files that are not in the cache


class Snapshot(NamedTuple):
    """Files of a model at a revision; ``include`` and ``exclude`` are patterns, ``cache`` is the library's own by default."""

    model_id: str
    revision: str
    endpoint: str | None = None
    include: tuple[str, ...] | None = None
    exclude: tuple[str, ...] | None = None
    cache: str | None = None

    def arguments(self) -> dict[str, Any]:
        """Return what the library calls them, but for the model, which comes first."""
        return {
            "revision": self.revision,
            "endpoint": self.endpoint,
            "cache_dir": self.cache,
            "allow_patterns": self.include and list(self.include),
            "ignore_patterns": self.exclude and list(self.exclude),
        }


def commit_of(wanted: Snapshot, *, offline: bool = False) -> str:
    """Return the commit that a revision is now, or was when it was last fetched where the hub cannot be reached.

    Raises:
        NotFound: there is no such model or revision, or it may not be read.
        BentoMLException: the hub cannot be reached, and the cache does not know the revision.
        MissingDependencyException: `huggingface_hub` is not installed.
    """
    hub = _library(wanted.model_id)
    if offline:
        return _cached_commit(hub, wanted, "`--offline` forbids to ask the hub")
    with _said(wanted):
        try:
            api = hub.HfApi(endpoint=wanted.endpoint)
            return str(api.model_info(wanted.model_id, revision=wanted.revision).sha)
        except _errors("HfHubHTTPError") as e:
            if not _is_down(e):
                raise
            return _cached_commit(hub, wanted, str(e))
        except _unreachable() as e:
            return _cached_commit(hub, wanted, str(e) or type(e).__name__)


def fetch(wanted: Snapshot, *, offline: bool = False) -> Path:
    """Return the folder that holds the files; what is not in the cache yet is downloaded.

    Nothing is asked of the hub if ``revision`` is a commit that the cache holds whole.

    Raises:
        NotFound: there is no such model or revision, or it may not be read.
        BentoMLException: the hub cannot be reached, and the cache has not all of the files.
        MissingDependencyException: `huggingface_hub` is not installed.
    """
    hub = _library(wanted.model_id)
    if offline or (is_commit(wanted.revision) and _knows_what_is_missing()):
        try:
            folder = Path(hub.snapshot_download(wanted.model_id, **wanted.arguments(), local_files_only=True))
        except _NOT_HERE as e:
            if offline:
                raise BentoMLException(
                    f"{_name(wanted)} is not whole in the cache, and nothing is downloaded with `--offline`: {e}"
                ) from e
        else:
            if offline or _is_whole(folder):
                return folder
    with _said(wanted):
        return Path(hub.snapshot_download(wanted.model_id, **wanted.arguments()))


def files_of(wanted: Snapshot, folder: Path) -> dict[str, Path]:
    """Return the files of a fetched snapshot by their paths in the cache: those that are wanted, and the list of all."""
    names = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    patterns = {key: wanted.arguments()[key] for key in ("allow_patterns", "ignore_patterns")}
    chosen = _library(wanted.model_id, "utils").filter_repo_objects(names, **patterns)
    top = folder.parents[2]
    paths = [*(folder / name for name in chosen), *(list_ for list_ in [_list(folder)] if list_.is_file())]
    return {path.relative_to(top).as_posix(): path for path in paths}


def is_commit(revision: str) -> bool:
    """Say whether a revision is a commit by its full hash, which never moves."""
    return len(revision) == 40 and all(digit in "0123456789abcdef" for digit in revision)


# What a served bento was built with.


class _Pins:
    known: tuple[tuple[str, Mapping[str, Any]], ...] = ()


def pin(pins: Iterable[tuple[str, Mapping[str, Any]]]) -> None:
    """Say what models mean from now on: for each, the revision that its code asks for, if known, and what the bento says
    of it (`model_id`, `revision`, `include`, `exclude`, `endpoint`)."""
    _Pins.known = tuple(pins)


def find_pin(
    model_id: str, revision: str, include: Sequence[str] | None, exclude: Sequence[str] | None
) -> Mapping[str, Any] | None:
    """Return what the served bento says of a model, or None outside of bentos."""
    wanted = (model_id.lower(), list(include or ()), list(exclude or ()))
    found = {
        str(data["revision"]): data
        for requested, data in _Pins.known
        if requested in ("", revision)
        and wanted
        == (
            str(data["model_id"]).lower(),
            list(data.get("include") or ()),
            list(data.get("exclude") or ()),
        )
    }
    return next(iter(found.values())) if len(found) == 1 else None


# The library.


def _library(model_id: str, part: str = "") -> Any:
    try:
        return import_module(f"huggingface_hub.{part}".rstrip("."))
    except ImportError as e:
        raise MissingDependencyException(
            f"model `{model_id}` is on Hugging Face; install `huggingface_hub` to use it"
        ) from e


def _name(wanted: Snapshot) -> str:
    return f"model `{wanted.model_id}` of Hugging Face at revision `{wanted.revision}`"


def _list(folder: Path) -> Path:
    """Return where the library keeps the list of a commit's files, by which it tells what is missing."""
    return folder.parents[1] / "trees" / f"{folder.name}.json"


def _is_whole(folder: Path) -> bool:
    """Say whether the library has made sure that nothing is missing, which needs its list of what there is."""
    return _list(folder).is_file()


def _knows_what_is_missing() -> bool:
    return bool(_errors("IncompleteSnapshotError"))  # older versions take what is there for all there is


def _cached_commit(hub: Any, wanted: Snapshot, reason: str) -> str:
    """Return the commit that the cache knows; its folder there is called like it."""
    arguments = {**wanted.arguments(), "allow_patterns": [], "local_files_only": True}
    try:
        return Path(hub.snapshot_download(wanted.model_id, **arguments)).name
    except _NOT_HERE as e:
        raise BentoMLException(
            f"the commit of {_name(wanted)} is not known here, and the hub cannot be asked: {reason}"
        ) from e


def _errors(*names: str) -> tuple[type[Exception], ...]:
    """Return the errors of the library that have these names, as far as its version has them."""
    try:
        errors = import_module("huggingface_hub.errors")
    except ImportError:
        return ()
    return tuple(getattr(errors, name) for name in names if hasattr(errors, name))


def _unreachable() -> tuple[type[Exception], ...]:
    """Return the errors of a hub that does not answer, of whichever HTTP library the installed version uses."""
    known = [base for error in _errors("HfHubHTTPError") for base in error.__mro__]
    http = next((base.__module__.partition(".")[0] for base in known if base.__name__ == "HTTPError"), "")
    if not http:
        return (ConnectionError,)
    library = import_module(http)
    if hasattr(library, "TransportError"):
        return (library.TransportError, *_errors("OfflineModeIsEnabled"))
    timeouts = (library.exceptions.ConnectionError, library.exceptions.Timeout)
    return (*timeouts, *_errors("OfflineModeIsEnabled"))


def _is_down(error: Any) -> bool:
    status = getattr(getattr(error, "response", None), "status_code", 0) or 0
    return bool(status >= 500)


@contextmanager
def _said(wanted: Snapshot) -> Iterator[None]:
    """Say in our words what the hub refuses."""
    name = _name(wanted)
    try:
        yield
    except _errors("GatedRepoError") as e:
        raise NotFound(
            f"{name} is gated: accept its conditions on the hub, and set `HF_TOKEN` to your token"
        ) from e
    except _errors("RepositoryNotFoundError") as e:
        raise NotFound(
            f"{name} is not on the hub, or not for everybody: check the name, or set `HF_TOKEN` to your token"
        ) from e
    except _errors("RevisionNotFoundError") as e:
        raise NotFound(f"{name} is not on the hub: it has no such revision") from e
    except _errors("HFValidationError") as e:
        raise NotFound(f"`{wanted.model_id}` is not the name of a model on Hugging Face: {e}") from e
    except (*_errors("HfHubHTTPError", "LocalEntryNotFoundError"), *_unreachable()) as e:
        raise BentoMLException(f"{name} cannot be fetched: {e}") from e
