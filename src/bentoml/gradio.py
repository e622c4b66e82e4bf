"""Gradio's pages beside the APIs of a service: `bentoml.gradio.mount_gradio_app`."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from .exceptions import InvalidArgument, MissingDependencyException
from .sdk.mounting import asgi_app

if TYPE_CHECKING:
    from gradio import Blocks

__all__ = ["mount_gradio_app"]

C = TypeVar("C")


def mount_gradio_app(blocks: Blocks, path: str, name: str = "gradio_ui") -> Callable[[C], C]:
    """Mount a Gradio application on a service: a decorator above or below ``@bentoml.service``.

    Its functions call the service by ``bentoml.get_current_service()``, or a method of it that they are given.

    Raises:
        InvalidArgument: the path does not begin with ``/``.
        MissingDependencyException: the extra `gradio` is not installed.
    """
    if not path.startswith("/"):
        raise InvalidArgument(f"the path of a Gradio application begins with `/`, unlike `{path}`")
    try:
        from fastapi import FastAPI
        from gradio import mount_gradio_app as mount
    except ImportError as e:
        raise MissingDependencyException(
            "Gradio applications need `gradio`; install it with `pip install 'bentoml[gradio]'`"
        ) from e
    app: Any = FastAPI(openapi_url=None, docs_url=None, redoc_url=None)
    return asgi_app(mount(app, blocks, path=path), path="/", name=name)
