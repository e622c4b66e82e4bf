"""Every error that this library raises on purpose.

::

    BentoMLException                     500  the root: catch this to catch them all
    ├── InvalidArgument                  400  a value given by the caller is not acceptable
    │   └── BadInput                     400  the input of an API is not acceptable
    ├── NotFound                         404  a model, bento, API or task does not exist
    ├── UnprocessableEntity              422
    ├── ServiceUnavailable               503  the server is not ready, overloaded or unreachable
    │   └── RequestTimeout                    it did not answer in time (a `TimeoutError` as well)
    ├── InternalServerError              500
    ├── RemoteException                  500  an error that a remote service reported
    ├── BentoMLConfigException           500  a configuration (build file, service settings) is wrong
    ├── MissingDependencyException       500  an optional package is needed: the message says which
    ├── ImportServiceError               500  the service cannot be found or imported
    ├── CLIException                     500
    ├── APIDeprecated                    500
    └── CloudRESTApiClientError          500
    StateException                            an object is used in a state that does not allow it
    ├── UnservableException
    └── ServerStateException

``error_code`` is the HTTP status with which a service answers when its API raises the error; a subclass may set its
own, and clients map the status back to the class (the first class that claims a status keeps it).
"""

from __future__ import annotations

from http import HTTPStatus
from typing import ClassVar

__all__ = [
    "APIDeprecated",
    "BadInput",
    "BentoMLConfigException",
    "BentoMLException",
    "CLIException",
    "CloudRESTApiClientError",
    "ImportServiceError",
    "InternalServerError",
    "InvalidArgument",
    "MissingDependencyException",
    "NotFound",
    "RemoteException",
    "RequestTimeout",
    "ServerStateException",
    "ServiceUnavailable",
    "StateException",
    "UnprocessableEntity",
    "UnservableException",
]


class BentoMLException(Exception):
    """Be the root of this library's errors; ``message`` is what a person reads, ``error_code`` the HTTP status.

    ``body`` is the whole body of the answer that a client raised the error for.
    """

    error_code: HTTPStatus = HTTPStatus.INTERNAL_SERVER_ERROR
    body: bytes | None = None
    error_mapping: ClassVar[dict[HTTPStatus, type[BentoMLException]]] = {}

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        if "error_code" in cls.__dict__:
            BentoMLException.error_mapping.setdefault(HTTPStatus(cls.error_code), cls)

    def __init__(self, message: str = "", *, error_code: int | HTTPStatus | None = None) -> None:
        super().__init__(message)
        self.message = message
        if error_code is not None:
            self.error_code = HTTPStatus(error_code)

    def __str__(self) -> str:
        return self.message


BentoMLException.error_mapping[HTTPStatus.INTERNAL_SERVER_ERROR] = BentoMLException


class InvalidArgument(BentoMLException):
    """A value given by the caller is not acceptable."""

    error_code = HTTPStatus.BAD_REQUEST


class BadInput(InvalidArgument):
    """The input of an API is not acceptable."""


class NotFound(BentoMLException):
    """A model, bento, API or task does not exist."""

    error_code = HTTPStatus.NOT_FOUND


class UnprocessableEntity(BentoMLException):
    """The request is well formed but cannot be processed."""

    error_code = HTTPStatus.UNPROCESSABLE_ENTITY


class ServiceUnavailable(BentoMLException):
    """The server is not ready, overloaded or unreachable."""

    error_code = HTTPStatus.SERVICE_UNAVAILABLE


class RequestTimeout(ServiceUnavailable, TimeoutError):
    """The server did not answer in time."""


class InternalServerError(BentoMLException):
    """Something failed inside the server."""


class APIDeprecated(BentoMLException):
    """An interface is no longer served."""


class RemoteException(BentoMLException):
    """An error that a remote service reported; ``payload`` is what it sent with it."""

    def __init__(self, message: str = "", payload: object = None) -> None:
        super().__init__(message)
        self.payload = payload


class BentoMLConfigException(BentoMLException):
    """A configuration is wrong; the message names each mistake with its file and key."""


class MissingDependencyException(BentoMLException):
    """An optional package is needed; the message says which one to install."""


class CLIException(BentoMLException):
    """A command cannot do what was asked."""


class CloudRESTApiClientError(BentoMLException):
    """A cloud interface answered with an error."""


class ImportServiceError(BentoMLException):
    """The service cannot be found or imported."""


class StateException(Exception):
    """An object is used in a state that does not allow it."""

    error_code = HTTPStatus.BAD_REQUEST


class UnservableException(StateException):
    """The object cannot be served."""


class ServerStateException(StateException):
    """The server is in a state that does not allow the operation."""
