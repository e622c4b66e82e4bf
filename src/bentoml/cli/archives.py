"""`bentoml export` and `import`, the same of models, and `bentoml models trust`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Annotated, TypeAlias, TypeVar

import typer

from ..store import current
from ..store.archives.api import export_item, trust_model
from ..store.archives.importing import import_item
from ..store.archives.places import open_place
from ..store.bentos import Bento
from ..store.models import Model
from ..store.receive import Received
from ._progress import progress
from ._steps import talk
from ._tags import parse_tag

__all__ = ["export_app", "export_models_app", "import_app", "import_models_app", "trust_app"]

export_app = typer.Typer(rich_markup_mode=None, add_completion=False)
export_models_app = typer.Typer(rich_markup_mode=None, add_completion=False)
import_app = typer.Typer(rich_markup_mode=None, add_completion=False)
import_models_app = typer.Typer(rich_markup_mode=None, add_completion=False)
trust_app = typer.Typer(rich_markup_mode=None, add_completion=False)

ResultT = TypeVar("ResultT")
_Items: TypeAlias = Sequence[Received[Model] | Received[Bento]]

_OutPath = Annotated[
    str,
    typer.Argument(
        metavar="OUT_PATH", help="A file, a folder or a URL. [the current folder]", show_default=False
    ),
]
_Output = Annotated[
    str | None,
    typer.Option(
        "-o", "--output-format", help="tar, gz, xz, bz2, zst, zip or folder. [by the name of the file]"
    ),
]
_Input = Annotated[str | None, typer.Option("-i", "--input-format", help="Refuse what is of another format.")]
_Trust = Annotated[
    bool, typer.Option("--trust", help="Let pickled content of models be loaded: it can run any code.")
]  # fmt: skip
_Name = Annotated[
    str | None, typer.Option("--name", metavar="TAG", help="What weights that are no model yet are to be called.")
]  # fmt: skip


@export_app.command()
def export_one_bento(
    tag: Annotated[str, typer.Argument(metavar="BENTO_TAG", help="A tag, or a name for the latest.")],
    out_path: _OutPath = "",
    output_format: _Output = None,
) -> None:
    """Write a bento and its models to one file."""
    _export(current.bento_store().get(parse_tag(tag)), out_path, output_format)


@export_models_app.command()
def export_one_model(
    tag: Annotated[str, typer.Argument(metavar="TAG", help="A tag, or a name for the latest.")],
    out_path: _OutPath = "",
    output_format: _Output = None,
) -> None:
    """Write a model to one file."""
    _export(current.model_store().get(parse_tag(tag)), out_path, output_format)


@import_app.command()
def import_one_bento(
    path: Annotated[str, typer.Argument(metavar="BENTO_PATH", help="An archive, a folder or a URL.")],
    input_format: _Input = None,
    trust: _Trust = False,
) -> None:
    """Take in a bento and its models."""
    place = _usage(lambda: open_place(path))
    with progress(f"importing {place.name}") as shown:
        received = _usage(
            lambda: import_item(Bento, place, input_format, home=current.home(), trust=trust, watch=shown)
        )
    _tell(received)


@import_models_app.command()
def import_one_model(
    path: Annotated[
        str,
        typer.Argument(metavar="MODEL_PATH", help="An archive, a folder or a URL, of a model or of weights."),
    ],
    input_format: _Input = None,
    name: _Name = None,
    trust: _Trust = False,
) -> None:
    """Take in a model, or weights as a model."""
    tag = None if name is None else parse_tag(name)
    place = _usage(lambda: open_place(path))
    with progress(f"importing {place.name}") as shown:
        received = _usage(
            lambda: import_item(
                Model, place, input_format, home=current.home(), trust=trust, name=tag, watch=shown
            )
        )
    _tell(received)


@trust_app.command()
def trust_one_model(
    tag: Annotated[str, typer.Argument(metavar="TAG", help="A tag, or a name for the latest.")],
) -> None:
    """Let the pickled content of a model be loaded, which can run any code."""
    wanted = current.model_store().resolve(parse_tag(tag))
    receipt = trust_model(wanted)
    if receipt is None:
        print(f'Model(tag="{wanted}") needs no trust: it was made here, or holds no pickled content.')
    else:
        print(f'Model(tag="{wanted}") is trusted: {", ".join(receipt.files)}.')


def _export(item: Model | Bento, path: str, output_format: str | None) -> None:
    with progress(f"exporting {item.tag}") as shown:
        place = _usage(lambda: export_item(item, path, output_format, watch=shown))
    print(f"{item} exported to {place}.")


def _tell(received: _Items) -> None:
    for one in received:
        print(f"{one.item} imported{'.' if one.is_new else ': it was there already.'}", flush=True)
        if one.untrusted:
            talk(
                f"{one.item} holds pickled content, which can run any code when it is loaded: {', '.join(one.untrusted)}\n"
                f"if you trust where it came from: bentoml models trust {one.item.tag}"
            )


def _usage(action: Callable[[], ResultT]) -> ResultT:
    """Do it; a format or protocol that nobody knows is a usage error."""
    try:
        return action()
    except ValueError as e:
        raise typer.BadParameter(str(e)) from e
