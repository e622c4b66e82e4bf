"""A new project from a template: files that build and serve at once."""

from __future__ import annotations

import re
from pathlib import Path

from ..exceptions import BentoMLException, InvalidArgument
from ..tag import Tag

__all__ = ["TEMPLATES", "default_name", "scaffold"]

_FOLDER = Path(__file__).parents[1] / "templates" / "projects"
_SUFFIX = ".template"  # so that nothing takes the files for modules of this library
_NAME = "PROJECT_NAME"
_HARMLESS = {".git"}  # of a repository that was just made
_SHOWN = 5

TEMPLATES = {
    "plain": "A service of a few lines.",
    "sklearn": "A model of scikit-learn, from its training to its API.",
    "stream": "A text that is streamed word by word.",
}


def default_name(folder: Path) -> str:
    """Return the name that a folder gives its bento: the folder's own, as the grammar of tags has it."""
    name = re.sub(r"[^a-z0-9]+", "_", folder.resolve().name.lower())
    return name[:63].strip("_") or "service"


def scaffold(folder: Path, template: str, name: str) -> list[Path]:
    """Write the files of a template into a folder that is empty or not there yet; return their paths.

    Raises:
        InvalidArgument: the name breaks the grammar of tags.
        BentoMLException: the folder is no folder, or not empty.
    """
    try:
        name = Tag(name).name
    except ValueError as e:
        raise InvalidArgument(str(e)) from e
    _check_empty(folder)
    sources = sorted(path for path in (_FOLDER / template).iterdir() if path.name.endswith(_SUFFIX))
    texts = {
        folder / path.name.removesuffix(_SUFFIX): path.read_text("utf-8").replace(_NAME, name)
        for path in sources
    }
    folder.mkdir(parents=True, exist_ok=True)
    for path, text in texts.items():
        with path.open("x", encoding="utf-8") as file:  # never over what somebody else made meanwhile
            file.write(text)
    return list(texts)


def _check_empty(folder: Path) -> None:
    if folder.is_symlink() and not folder.exists():
        raise BentoMLException(f"`{folder}` is a link to nothing; remove it, or name another folder")
    if not folder.exists():
        return
    if not folder.is_dir():
        raise BentoMLException(f"`{folder}` is a file; name a folder that is empty or not there yet")
    there = sorted(path.name for path in folder.iterdir() if path.name not in _HARMLESS)
    if there:
        shown = ", ".join(f"`{name}`" for name in there[:_SHOWN])
        more = f" and {len(there) - _SHOWN} more" if len(there) > _SHOWN else ""
        raise BentoMLException(f"`{folder}` is not empty: it holds {shown}{more}; name another folder")
