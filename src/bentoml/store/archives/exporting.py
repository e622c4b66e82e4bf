"""Exporting: an item, and with a bento its models, as a file or folder, or to a place that a URL names.

It is written beside its place and renamed, so that what is under the name is always whole.
"""

from __future__ import annotations

import logging
import os
import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from ...config import Home
from ...exceptions import BentoMLException
from ...paths import fsync_folder, nameless
from ..bentos import Bento
from ..items import reading
from ..models import Model
from ..receive import staged
from ..staging import remove
from .contents import contents
from .formats import NATIVE, Format, by_name, by_suffix
from .packing import pack
from .places import LocalPlace, Place, RemotePlace, WebPlace
from .tar import TarEntry
from .watch import Unwatched, Watch

__all__ = ["export"]

logger = logging.getLogger(__name__)


def export(
    item: Model | Bento,
    place: Place,
    output_format: str | None = None,
    *,
    models: Sequence[Model] = (),
    watch: Watch | None = None,
) -> str:
    """Write an item to a place, and return which it was; ``models`` are those that travel with a bento.

    A place that is a folder, or ends with `/`, gets a file that is called as the item. Without ``output_format``, the end of
    the name says which format it is; where it says none, the native one is meant, and its ending added.

    Raises:
        ValueError: there is no such format.
        NotFound: the item or a model is deleted meanwhile.
        BentoMLException: the item or a model is damaged, or the place cannot be written.
    """
    if isinstance(place, WebPlace):
        raise BentoMLException(
            f"`{place.name}` cannot be written to; give a path, or a URL of ftp, s3, gs, ..."
        )
    target, format = _target(item, place, output_format)
    if format == "folder" and not isinstance(target, LocalPlace):
        raise BentoMLException(
            "a folder can only be written to this machine; choose a format that is one file"
        )
    with reading(item, *models):
        for part in (item, *models):
            part.check()
        return _written(contents(item, models), target, format, watch or Unwatched(), item)


def _written(
    entries: Sequence[TarEntry],
    target: LocalPlace | RemotePlace,
    format: Format,
    watch: Watch,
    item: Model | Bento,
) -> str:
    """Write it to its place, which is returned; what goes elsewhere is made in the store of the item before."""
    if isinstance(target, LocalPlace):
        with _in_place(target.path, format) as draft:
            pack(entries, format, draft, watch)
        return str(target.path)
    with staged(Home(Path(item.path).parents[2])) as folder:
        pack(entries, format, folder / "archive", watch)
        return target.put(folder / "archive")


def _target(
    item: Model | Bento, place: LocalPlace | RemotePlace, output_format: str | None
) -> tuple[LocalPlace | RemotePlace, Format]:
    """Return where it goes, and as what."""
    kind = type(item.info)
    format = None if output_format is None else by_name(output_format, kind)
    native = NATIVE[kind.KIND]
    if place.is_folder():
        ending = "" if format == "folder" else f".{output_format or native}"
        return place.child(f"{item.tag.name}-{item.tag.version}{ending}"), format or "xz"
    if format is None:
        format = by_suffix(place.name, kind)
    return (place, format) if format else (place.with_ending(f".{native}"), "xz")


@contextmanager
def _in_place(target: Path, format: Format) -> Iterator[Path]:
    """Give a place beside the target; at the end of the block, what is there takes the target's place."""
    _check_replaceable(target, format)
    draft = target.with_name(f".{target.name[:100]}.{secrets.token_hex(6)}")
    try:
        replaces = target.is_file()
        if format == "folder":
            yield draft
            os.rename(draft, target)
        else:
            with nameless(draft, target) as place:
                yield place
        if replaces:
            logger.info("`%s` was there already, and is replaced", target)
        fsync_folder(target.parent)
    except OSError as e:
        raise BentoMLException(f"`{target}` cannot be written: {e.strerror or e}") from e
    finally:
        if os.path.isdir(draft):
            remove(draft)
        elif os.path.lexists(draft):
            draft.unlink()


def _check_replaceable(target: Path, format: Format) -> None:
    """Make sure that nothing is lost but an older file, which is what a second export replaces."""
    if not os.path.isdir(target.parent):
        raise BentoMLException(
            f"the folder `{target.parent}` does not exist; make it, or write to another one"
        )
    is_folder, is_file = (
        os.path.isdir(target),
        os.path.isfile(target),
    )  # these do not raise, whatever the name is
    if is_folder and (format != "folder" or os.listdir(target)):
        raise BentoMLException(
            f"`{target}` is a folder that is there already; choose another name, or remove it"
        )
    if os.path.lexists(target) and not (is_file or is_folder):
        raise BentoMLException(f"`{target}` is no file, and is left alone; choose another name")
    if is_file and format == "folder":
        raise BentoMLException(f"`{target}` is a file; choose another name, or remove it")
