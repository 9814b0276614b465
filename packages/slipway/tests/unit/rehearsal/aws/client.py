"""Clients that call an in-memory service, and validate requests and responses against botocore's model."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

from botocore import xform_name
from botocore.errorfactory import ClientExceptionsFactory
from botocore.exceptions import ParamValidationError
from botocore.loaders import create_loader
from botocore.model import ServiceModel
from botocore.paginate import Paginator, PaginatorModel
from botocore.response import StreamingBody
from botocore.validate import ParamValidator

_LOADER = create_loader()

Ask = Callable[[str, str, dict[str, Any]], Any]
"""Calls an operation, given both spellings of its name and its parameters, and returns the response."""


class RefusedError(Exception):
    """A refusal, as a service returns it."""

    def __init__(self, code: str, message: str = "") -> None:
        self.code, self.message = code, message or code
        super().__init__(message)


@cache
def model(service: str) -> ServiceModel:
    """Return botocore's model of a service."""
    return ServiceModel(_LOADER.load_service_model(service, "service-2"), service)


@cache
def _operations(service: str) -> Mapping[str, str]:
    return {xform_name(name): name for name in model(service).operation_names}


@cache
def _exceptions(service: str) -> Any:
    return ClientExceptionsFactory().create_client_exceptions(model(service))


def _valid(parameters: Any, shape: Any) -> None:
    report = ParamValidator().validate(parameters, shape)
    if report.has_errors():
        raise ParamValidationError(report=report.generate_report())


def body(content: bytes) -> StreamingBody:
    """Return a body as botocore does."""
    return StreamingBody(io.BytesIO(content), len(content))


class Client:
    """Replaces a boto3 client.

    Args:
        service: Name of the service in boto3.
        ask: Calls an operation of the service.
    """

    def __init__(self, service: str, ask: Ask) -> None:
        self._service, self._ask = service, ask

    @property
    def exceptions(self) -> Any:
        """The service's own exceptions."""
        return _exceptions(self._service)

    def __getattr__(self, name: str) -> Callable[..., Any]:
        if name not in _operations(self._service):
            raise AttributeError(f"{self._service} has no {name}")
        return lambda **parameters: self._call(name, parameters)

    def get_paginator(self, name: str) -> Paginator[Any]:
        """Return a paginator over all pages of an operation."""
        operation = _operations(self._service)[name]
        pages = PaginatorModel(_LOADER.load_service_model(self._service, "paginators-1")).get_paginator(operation)
        return Paginator(getattr(self, name), pages, model(self._service).operation_model(operation))

    def _call(self, name: str, parameters: dict[str, Any]) -> Any:
        operation = _operations(self._service)[name]
        shapes = model(self._service).operation_model(operation)
        if shapes.input_shape is not None:
            _valid(parameters, shapes.input_shape)
        try:
            answer = self._ask(operation, name, parameters) or {}
        except RefusedError as error:
            response = {"Error": {"Code": error.code, "Message": error.message}, "ResponseMetadata": {}}
            raise self.exceptions.from_code(error.code)(response, operation) from None
        if shapes.output_shape is not None:
            _valid(answer, shapes.output_shape)
        return answer
