"""The command lines of engines: what each is told of a request, as words."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from .model import Request
from .options import Option, each, option_words, outputs

__all__ = ["buildah", "buildctl", "buildx", "docker"]

_OUTPUTS = ("push", "load", "output")  # where buildx puts an image
_FILES = ("local", "tar")  # outputs that are no image
_FRONTEND = {
    "target": "target",
    "platform": "platform",
    "network": "force-network-mode",
    "add_host": "add-hosts",
}  # options that the frontend of BuildKit has under a name of its own
_FRONTEND_PAIRS = {"build_arg": "build-arg", "label": "label"}  # as `KEY:NAME=VALUE`
_OF_FRONTEND = (*_FRONTEND, *_FRONTEND_PAIRS, "build_context", "pull")
# an image, an address, what `--oci-layout` names
_NOT_A_FOLDER = re.compile(r"[a-z][a-z0-9+.-]*[:@]")
_RENAMED = {"cache_from": "import_cache", "cache_to": "export_cache"}


def docker(request: Request) -> list[str]:
    """Return what ``docker build`` is told; nerdctl has taken its options over.

    What it builds it has, and pushing is a command of its own.
    """
    said = {key: value for key, value in request.options.items() if key not in ("load", "push")}
    return _built(request, {"platform": request.platform, **_id_file(request), **said})


def buildah(request: Request) -> list[str]:
    """Return what ``buildah build`` and ``podman build`` are told: Docker's format, as that of the OCI has no health check."""
    return docker(replace(request, options={"format": "docker", **request.options}))


def buildx(request: Request) -> list[str]:
    """Return what ``docker buildx build`` is told: the image goes into the engine, unless the options say where."""
    loads: dict[str, Option] = {} if any(request.options.get(key) for key in _OUTPUTS) else {"load": True}
    return _built(request, {"platform": request.platform, **_id_file(request), **loads, **request.options})


def buildctl(request: Request) -> list[str]:
    """Return what ``buildctl build`` is told, which speaks to BuildKit itself and has other words for the same."""
    options = {"platform": request.platform, **request.options}
    pushes, _ = options.pop("push", False), options.pop("load", False)
    dockerfile = Path(next(each("file", options.pop("file", None)), request.dockerfile))
    words = ["--frontend", "dockerfile.v0", "--local", f"context={request.context}"]
    words += ["--local", f"dockerfile={dockerfile.parent}", "--opt", f"filename={dockerfile.name}"]
    if not options.get("output"):
        names = ",".join(request.names)
        kind, place = ("image", "push=true") if pushes else ("docker", f"dest={request.archive}")
        options["output"] = f'type={kind},"name={names}",{place}'
    for key in [key for key in options if key in _OF_FRONTEND]:
        words += _frontend(key, options.pop(key))
    renamed = {_RENAMED.get(key, key): value for key, value in options.items()}
    return [*words, *_secrets(request), *option_words(renamed)]


def _frontend(key: str, value: Option) -> list[str]:
    """Return an option of BuildKit's frontend; several platforms, or hosts, are one value."""
    texts = list(each(key, value))
    match key:
        case "build_context":
            return [word for text in texts for word in _context(*text.partition("=")[::2])]
        case "pull":
            return ["--opt", "image-resolve-mode=pull"] if texts and texts[-1].lower() != "false" else []
        case "add_host":
            texts = [text if "=" in text else text.replace(":", "=", 1) for text in texts]
        case "build_arg" | "label":
            return [word for text in texts for word in ("--opt", f"{_FRONTEND_PAIRS[key]}:{text}")]
    allowed = ["--allow", "network.host"] if key == "network" and "host" in texts else []
    return ["--opt", f"{_FRONTEND[key]}={','.join(texts)}", *allowed] if texts else []


def _context(name: str, place: str) -> list[str]:
    """Return what names one more context; BuildKit is sent a folder under a name."""
    if _NOT_A_FOLDER.match(place):
        return ["--opt", f"context:{name}={place}"]
    return ["--local", f"{name}={place}", "--opt", f"context:{name}=local:{name}"]


def _id_file(request: Request) -> dict[str, Option]:
    """Return where the engine leaves the id of the image: BuildKit refuses to where plain files come of it instead."""
    if any(output.get("type", "local") in _FILES for output in outputs(request.options)):
        return {}
    return {"iidfile": request.id_file}


def _built(request: Request, options: Mapping[str, Option]) -> list[str]:
    names = [word for name in request.names for word in ("--tag", name)]
    file = options.get("file") or request.dockerfile
    others = {key: value for key, value in options.items() if key != "file"}
    own = option_words(others)
    return [*own, *_secrets(request), *names, *option_words({"file": file}), str(request.context)]


def _secrets(request: Request) -> list[str]:
    return [word for name in request.secrets for word in ("--secret", f"id={name},env={name}")]
