"""What the commands and the facades call: items of the store in use, to and from the registry that a person means."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ..config import environment
from ..store import current
from ..store.bentos import Bento
from ..store.models import Model
from ..tag import Tag
from .artifact import ItemKind
from .places import pull_place, push_place
from .pull import Pulled, Pulling, pull
from .push import THREADS, Pushed, Pushing, push

__all__ = ["pull_bento", "pull_item", "pull_model", "push_bento", "push_item", "push_model"]

Told = Callable[[int], None]


def push_model(
    tag: str | Tag,
    *,
    force: bool = False,
    registry: str | None = None,
    repository: str | None = None,
    tags: Sequence[str] = (),
    threads: int = THREADS,
) -> Pushed:
    """Push a model to an OCI registry, which is sent only what it lacks.

    It goes to ``<registry>/<name>:<version>``, where the registry (``HOST[/PATH]``) is that of ``BENTOML_REGISTRY`` unless
    one is given, or to ``repository`` (``HOST/REPO[:TAG]``). ``tags`` are more tags that are to mean it there, such as
    ``latest``. Nothing is sent if it is there; ``force`` takes the tag away from another item.

    Raises:
        NotFound: the tag means none.
        ServiceUnavailable: the registry cannot be reached.
        BentoMLException: no registry is named, the model is damaged, or the registry refuses it.
    """
    return push_item(
        "model", tag, force=force, registry=registry, repository=repository, tags=tags, threads=threads
    )


def push_bento(
    tag: str | Tag,
    *,
    force: bool = False,
    registry: str | None = None,
    repository: str | None = None,
    tags: Sequence[str] = (),
    threads: int = THREADS,
) -> Pushed:
    """Push a bento, with the models that it needs, as `push_model` pushes a model."""
    return push_item(
        "bento", tag, force=force, registry=registry, repository=repository, tags=tags, threads=threads
    )


def pull_model(
    tag: str | Tag,
    *,
    force: bool = False,
    registry: str | None = None,
    trust: bool = False,
    threads: int = THREADS,
) -> Model:
    """Pull a model from an OCI registry into the store; nothing is fetched if it is there.

    ``tag`` is ``HOST/REPO[:TAG]``, or a tag whose home is the registry (``HOST[/PATH]``) that is given or stands in
    ``BENTOML_REGISTRY``. ``force`` replaces another model with its tag; with ``trust`` its pickled content may be loaded.

    Raises:
        NotFound: the registry has none there.
        ServiceUnavailable: the registry cannot be reached.
        BentoMLException: no registry is named, or what comes is not what it should be.
    """
    pulled = pull_item("model", tag, force=force, registry=registry, trust=trust, threads=threads)
    assert isinstance(pulled.item, Model)
    return pulled.item


def pull_bento(
    tag: str | Tag,
    *,
    force: bool = False,
    registry: str | None = None,
    with_models: bool = True,
    trust: bool = False,
    threads: int = THREADS,
) -> Bento:
    """Pull a bento, with the models that it needs, as `pull_model` pulls a model."""
    pulled = pull_item(
        "bento", tag, force=force, registry=registry, with_models=with_models, trust=trust, threads=threads
    )
    assert isinstance(pulled.item, Bento)
    return pulled.item


def push_item(
    kind: ItemKind,
    tag: str | Tag,
    *,
    force: bool = False,
    registry: str | None = None,
    repository: str | None = None,
    tags: Sequence[str] = (),
    threads: int = THREADS,
    told: Told | None = None,
    expected: Told | None = None,
) -> Pushed:
    """Push an item of the store in use; ``told`` and ``expected`` are called as `Pushing` says."""
    store = current.model_store() if kind == "model" else current.bento_store()
    item, env = store.get(tag), environment()
    place = push_place(item.tag, repository, registry, env)
    how = Pushing(
        current.home(), env, threads=threads, force=force, tags=tuple(tags), told=told, expected=expected
    )
    return push(item, place, how)


def pull_item(
    kind: ItemKind,
    tag: str | Tag,
    *,
    force: bool = False,
    registry: str | None = None,
    with_models: bool = True,
    trust: bool = False,
    threads: int = THREADS,
    told: Told | None = None,
    expected: Told | None = None,
) -> Pulled:
    """Pull an item into the store in use; ``told`` and ``expected`` are called as `Pulling` says."""
    env = environment()
    how = Pulling(
        current.home(), env, threads=threads, force=force, trust=trust, with_models=with_models, told=told,
        expected=expected,
    )  # fmt: skip
    return pull(kind, pull_place(str(tag), registry, env), how)
