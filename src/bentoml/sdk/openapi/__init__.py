"""The OpenAPI document of a service: what `/docs.json` serves and a bento holds as `apis/openapi.yaml`."""

from .document import openapi

__all__ = ["openapi"]
