"""Package trained models as versioned bentos, serve them, and turn them into OCI images.

The public names are listed here once and loaded on first use, so that ``import bentoml`` stays cheap.
"""

from __future__ import annotations

from importlib import import_module as _import_module
from typing import TYPE_CHECKING as _TYPE_CHECKING

__version__ = "0.1.0"

if _TYPE_CHECKING:
    from pydantic import Field as Field

    from . import bentos as bentos
    from . import container as container
    from . import exceptions as exceptions
    from . import gradio as gradio
    from . import images as images
    from . import io as io
    from . import metrics as metrics
    from . import models as models
    from . import monitoring as monitoring
    from . import testing as testing
    from . import validators as validators
    from .bentos import build as build
    from .bentos import delete as delete
    from .bentos import export_bento as export_bento
    from .bentos import get as get
    from .bentos import import_bento as import_bento
    from .bentos import list as list
    from .bentos import pull as pull
    from .bentos import push as push
    from .client.aio import AsyncHTTPClient as AsyncHTTPClient
    from .client.sync import SyncHTTPClient as SyncHTTPClient
    from .runtime.process.background import serve as serve
    from .sdk.configuration.arguments import importing as importing
    from .sdk.configuration.arguments import use_arguments as use_arguments
    from .sdk.context import Context as Context
    from .sdk.context import Cookie as Cookie
    from .sdk.context import server_context as server_context
    from .sdk.dependency import Dependency as Dependency
    from .sdk.dependency import depends as depends
    from .sdk.hooks import on_deployment as on_deployment
    from .sdk.hooks import on_shutdown as on_shutdown
    from .sdk.hooks import on_startup as on_startup
    from .sdk.loader import load as load
    from .sdk.method import api as api
    from .sdk.method import task as task
    from .sdk.monitoring.monitor import monitor as monitor
    from .sdk.mounting import asgi_app as asgi_app
    from .sdk.mounting import mount_asgi_app as mount_asgi_app
    from .sdk.service import Service as Service
    from .sdk.service import get_current_service as get_current_service
    from .sdk.service import service as service
    from .sdk.values.descriptor import IODescriptor as IODescriptor
    from .store.bentos import Bento as Bento
    from .store.models import Model as Model
    from .tag import Tag as Tag

# Name -> the module that defines it; `None` marks a submodule that is itself the public name.
_PUBLIC: dict[str, str | None] = {
    "AsyncHTTPClient": ".client.aio",
    "Bento": ".store.bentos",
    "Context": ".sdk.context",
    "Cookie": ".sdk.context",
    "Dependency": ".sdk.dependency",
    "Field": "pydantic",
    "IODescriptor": ".sdk.values.descriptor",
    "Model": ".store.models",
    "Service": ".sdk.service",
    "SyncHTTPClient": ".client.sync",
    "Tag": ".tag",
    "api": ".sdk.method",
    "asgi_app": ".sdk.mounting",
    "bentos": None,
    "build": ".bentos",
    "container": None,
    "delete": ".bentos",
    "depends": ".sdk.dependency",
    "exceptions": None,
    "export_bento": ".bentos",
    "get": ".bentos",
    "get_current_service": ".sdk.service",
    "gradio": None,
    "images": None,
    "import_bento": ".bentos",
    "importing": ".sdk.configuration.arguments",
    "io": None,
    "list": ".bentos",
    "load": ".sdk.loader",
    "metrics": None,
    "models": None,
    "monitor": ".sdk.monitoring.monitor",
    "monitoring": None,
    "mount_asgi_app": ".sdk.mounting",
    "on_deployment": ".sdk.hooks",
    "on_shutdown": ".sdk.hooks",
    "on_startup": ".sdk.hooks",
    "pull": ".bentos",
    "push": ".bentos",
    "serve": ".runtime.process.background",
    "server_context": ".sdk.context",
    "service": ".sdk.service",
    "task": ".sdk.method",
    "testing": None,
    "use_arguments": ".sdk.configuration.arguments",
    "validators": None,
}

_CLOUD = "it belongs to a cloud, which there is not here; `bentoml serve` and `bentoml containerize` run a service anywhere"
_OLD = "services of before 1.2 are not served; write a class with `@bentoml.service`, and `bentoml.depends` for a runner"
_SAVE = (
    "save a model with `bentoml.models.create` and the framework's own function, and load it in `__init__`"
)

# What BentoML has by these names, and what to use here.
_ELSEWHERE: dict[str, str] = {
    **dict.fromkeys(
        ("ApiToken", "ApiTokenAPI", "BentoCloudClient", "api_token", "cloud", "deployment"), _CLOUD
    ),
    **dict.fromkeys(("HTTPServer", "GrpcServer", "Resource", "Runnable", "Runner", "Strategy"), _OLD),
    **dict.fromkeys(("legacy", "runner_service", "server", "set_serialization_strategy", "triton"), _OLD),
    "batch": "ask a served service from Spark with `bentoml.SyncHTTPClient`",
    "containerize": "use `bentoml.container.build`",
    "load_config": "settings are read from the file that `BENTOML_CONFIG` names",
    "ray": "serve with `bentoml.serve`, or mount the application of `Service.to_asgi()`",
    "save_config": "settings are read from the file that `BENTOML_CONFIG` names",
    **dict.fromkeys(
        ("catboost", "detectron", "diffusers", "diffusers_simple", "easyocr", "fastai", "flax", "keras"),
        _SAVE,
    ),
    **dict.fromkeys(
        ("lightgbm", "mlflow", "onnx", "picklable_model", "pytorch", "pytorch_lightning", "sklearn"), _SAVE
    ),
    **dict.fromkeys(("tensorflow", "torchscript", "transformers", "unsloth", "xgboost"), _SAVE),
}

__all__ = [
    "AsyncHTTPClient",
    "Bento",
    "Context",
    "Cookie",
    "Dependency",
    "Field",
    "IODescriptor",
    "Model",
    "Service",
    "SyncHTTPClient",
    "Tag",
    "__version__",
    "api",
    "asgi_app",
    "bentos",
    "build",
    "container",
    "delete",
    "depends",
    "exceptions",
    "export_bento",
    "get",
    "get_current_service",
    "gradio",
    "images",
    "import_bento",
    "importing",
    "io",
    "list",
    "load",
    "metrics",
    "models",
    "monitor",
    "monitoring",
    "mount_asgi_app",
    "on_deployment",
    "on_shutdown",
    "on_startup",
    "pull",
    "push",
    "serve",
    "server_context",
    "service",
    "task",
    "testing",
    "use_arguments",
    "validators",
]


def __getattr__(name: str) -> object:
    if name not in _PUBLIC:
        hint = _ELSEWHERE.get(name)
        raise AttributeError(f"module 'bentoml' has no attribute {name!r}" + (f": {hint}" if hint else ""))
    module = _PUBLIC[name]
    value: object
    if module is None:
        value = _import_module(f".{name}", __name__)
    else:
        value = getattr(_import_module(module, __name__ if module.startswith(".") else None), name)
    globals()[name] = value
    return value


def __dir__() -> object:
    return sorted({*globals(), *_PUBLIC})
