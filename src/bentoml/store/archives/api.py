"""What `bentoml.models` and `bentoml.bentos` offer of archives, and `export` of an item."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import cast

from ...config import Home
from ...tag import Tag
from .. import current
from ..bentos import Bento
from ..models import Model, ModelStore
from ..trust import Receipt, Trust
from .exporting import export
from .importing import import_item
from .places import open_place
from .watch import Watch

__all__ = ["export_bento", "export_item", "export_model", "import_bento", "import_model", "trust_model"]


def export_model(
    tag: str | Tag,
    path: str | os.PathLike[str],
    output_format: str | None = None,
    *,
    protocol: str | None = None,
    user: str | None = None,
    passwd: str | None = None,
    params: Mapping[str, str] | None = None,
    subpath: str | None = None,
) -> str:
    """Write a model to a file, a folder or the place of a URL, and return which; equal models give equal bytes.

    A folder, or a path that ends with `/`, gets the file `<name>-<version>.bentomodel`. The end of the name says the format
    (`.bentomodel`, `.tar`, `.gz`, `.xz`, `.bz2`, `.zst`, `.zip`) unless ``output_format`` does, which may also be `folder`;
    where it says none, `.bentomodel` is added. A place that fsspec knows is given as a URL, or as ``protocol`` and the others.

    Raises:
        NotFound: there is no such model.
        ValueError: there is no such format or protocol.
        BentoMLException: the model is damaged, or the place cannot be written.
    """
    place = open_place(path, protocol=protocol, user=user, passwd=passwd, params=params, subpath=subpath)
    return export(current.model_store().get(tag), place, output_format)


def import_model(
    path: str | os.PathLike[str],
    input_format: str | None = None,
    *,
    protocol: str | None = None,
    user: str | None = None,
    passwd: str | None = None,
    params: Mapping[str, str] | None = None,
    subpath: str | None = None,
    name: str | Tag | None = None,
    trust: bool = False,
) -> Model:
    """Take in the model that an archive or folder holds, be it of this library or of BentoML 1.x; the same again is no error.

    A file, folder or http(s) address of weights becomes a model as it is, under ``name`` or what the path suggests.

    Pickled content in it (as `custom_objects` is) can be loaded once it is trusted: with ``trust``, or by `bentoml.models.trust`.

    Raises:
        NotFound: there is nothing at the place.
        ValueError: there is no such format or protocol.
        BentoMLException: it is damaged or may not be unpacked, or another model has its tag; nothing is stored then.
    """
    place = open_place(path, protocol=protocol, user=user, passwd=passwd, params=params, subpath=subpath)
    (received,) = import_item(Model, place, input_format, home=current.home(), trust=trust, name=name)
    return cast(Model, received.item)


def trust_model(tag: str | Tag) -> Receipt | None:
    """Let the pickled content of a model that was imported or pulled be loaded, which can run any code.

    Returns which files hold it, and where they came from; None of a model that needs no trust.
    """
    return Trust(current.home()).trust(current.model_store().get(tag).digest)


def export_bento(
    tag: str | Tag,
    path: str | os.PathLike[str],
    output_format: str | None = None,
    *,
    protocol: str | None = None,
    user: str | None = None,
    passwd: str | None = None,
    params: Mapping[str, str] | None = None,
    subpath: str | None = None,
) -> str:
    """Write a bento and the models that it needs, as `bentoml.models.export_model` does; the native format is `.bento`."""
    place = open_place(path, protocol=protocol, user=user, passwd=passwd, params=params, subpath=subpath)
    bento = current.bento_store().get(tag)
    return export(bento, place, output_format, models=current.model_store().needed_by(bento.info))


def import_bento(
    path: str | os.PathLike[str],
    input_format: str | None = None,
    *,
    protocol: str | None = None,
    user: str | None = None,
    passwd: str | None = None,
    params: Mapping[str, str] | None = None,
    subpath: str | None = None,
    trust: bool = False,
) -> Bento:
    """Take in a bento and the models that travel with it, as `bentoml.models.import_model` does."""
    place = open_place(path, protocol=protocol, user=user, passwd=passwd, params=params, subpath=subpath)
    *_, received = import_item(Bento, place, input_format, home=current.home(), trust=trust)
    return cast(Bento, received.item)


def export_item(
    item: object,
    path: str | os.PathLike[str],
    output_format: str | None,
    *,
    watch: Watch | None = None,
    **words: str | Mapping[str, str] | None,
) -> str:
    """Write a model or bento that is at hand, with its models from the same store."""
    place = open_place(path, **words)  # type: ignore[arg-type]  # those of `open_place`, as `Item.export` has them
    match item:
        case Bento():
            models = ModelStore(Home(Path(item.path).parents[2])).needed_by(item.info)
            return export(item, place, output_format, models=models, watch=watch)
        case Model():
            return export(item, place, output_format, watch=watch)
    raise TypeError(f"`{item!r}` is neither a model nor a bento")
