"""Shell of a JSON API: everything between a proxy event and a route, and between its result and the answer."""

import traceback
from collections.abc import Callable, Container, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Generic, Protocol, TypeVar

from aws_lambda_powertools.event_handler import (
    APIGatewayHttpResolver,
    ApiGatewayResolver,
    APIGatewayRestResolver,
    Response,
)
from aws_lambda_powertools.event_handler.exceptions import NotFoundError
from aws_lambda_powertools.event_handler.openapi.exceptions import (
    RequestUnsupportedContentType,
    RequestValidationError,
)
from aws_lambda_powertools.logging.correlation_paths import API_GATEWAY_HTTP, API_GATEWAY_REST
from aws_lambda_powertools.metrics import MetricUnit
from botocore.exceptions import BotoCoreError, ClientError

from slipway_runtime import contract
from slipway_runtime.bodies import DATA_LIMITS, BodyLimits, check_body, parse_object, unsupported_media_type
from slipway_runtime.exact_json import dumps, printable
from slipway_runtime.http import (
    AUTHORIZATION,
    CONTENT_ENCODING,
    CONTENT_TYPE,
    HEADER_NAMES,
    IF_MATCH,
    NO_STORE,
    Cors,
    as_get,
    header,
    join_lines,
    location,
    method_of,
    problem_response,
    proxy_answer,
)
from slipway_runtime.problems import MAX_ERRORS, FieldError, Problem, known_fields, pointer
from slipway_runtime.secrets import SecretUnavailableError
from slipway_runtime.telemetry import Handler, count_fault, error_name, lambda_handler, logger, metrics

Problems = Mapping[type[Exception], Problem]
"""The answer to each of a service's own exceptions."""

Admission = Callable[[dict[str, Any]], BodyLimits | None]
"""Refuse a request before it is read, by a `Problem`, or return the limits of its body; None if there is no body."""

_EVERYWHERE: Final = {
    400: "The request is not valid; `errors` names the fields.",
    413: "The body is too large, or holds too many values.",
    415: "The body is not JSON, or it is compressed.",
    429: "Too many requests; try again later.",
    500: "The service failed.",
}
_OF_REST_APIS: Final = {
    502: "The service did not answer; try again.",
    503: "The service cannot do this right now; try again.",
    504: "The service did not answer in time; try again.",
}
_OF_HTTP_APIS: Final = {
    # How API Gateway answers if a function fails:
    # https://docs.aws.amazon.com/lambda/latest/dg/services-apigateway-errors.html
    502: "The service did not answer; try again.",
    503: "The service cannot do this right now, or did not answer in time; try again.",
}


class Probe(Protocol):
    """Checks that a dependency answers."""

    def check(self) -> None:
        """Call the dependency; any exception means that it does not answer."""
        ...


@dataclass(frozen=True, kw_only=True)
class Wiring:
    """Dependencies that every API's routes use. A service adds its own.

    Attributes:
        cors: CORS headers of all answers. Default: none.
        probe: Called by the health check. Default: nothing is checked.
        environment: Name of the environment, for the health check.
    """

    cors: Cors | None = None
    probe: Probe | None = None
    environment: str = ""


W = TypeVar("W", bound=Wiring)


class Api(Generic[W]):
    """The routes of one function and what they share; `app` is Powertools' resolver, which takes the routes.

    Args:
        known: The service's own exceptions, and the answer to each.
        fields: Names of the service's own fields, parameters and headers. Other names are not logged.
        says: Status → its description in the OpenAPI document, where it differs from the usual one.
        always: Additional statuses that every route may return.
        admit: Default: only POST and PUT have a body, within `DATA_LIMITS`.
        lists: Names of request headers that are lists.
    """

    wiring: W
    """Dependencies of the routes. A handler module binds the real ones; tests bind theirs."""

    def __init__(
        self,
        app: ApiGatewayResolver,
        correlation_id_path: str,
        *,
        says: Mapping[int, str],
        always: Iterable[int],
        known: Problems,
        fields: Iterable[str],
        admit: Admission | None = None,
        lists: tuple[str, ...] = (),
    ) -> None:
        self.app = app
        self._correlation_id_path = correlation_id_path
        self._says = says
        self._always = frozenset(always)
        self._known = known
        self._fields = frozenset({"body", "path", CONTENT_ENCODING, CONTENT_TYPE, *fields})
        self._admit = admit or _admit_bodies
        self._lists = lists
        app.exception_handler(Exception)(self._answer_error)

    @property
    def event(self) -> dict[str, Any]:
        """The proxy event of the current request."""
        return self.app.current_event.raw_event

    def bind(self, wiring: W) -> None:
        """Set the dependencies of the routes."""
        self.wiring = wiring

    def handler(self) -> Handler:
        """Return the function that Lambda invokes."""
        return lambda_handler(correlation_id_path=self._correlation_id_path)(self.respond)

    def respond(self, event: dict[str, Any], context: Any) -> dict[str, Any]:
        """Answer a proxy event: refuse invalid requests, route the others, and add the CORS headers."""
        event = as_get(event)
        if self._lists:
            join_lines(event, *self._lists)
        try:
            if limits := self._admit(event):
                check_body(event, limits)
        except Problem as problem:
            answer = proxy_answer(refused(problem, event, self._fields), event)
        else:
            answer = self.app.resolve(event, context)
        if self.wiring.cors is not None:
            added = self.wiring.cors.headers(header(event, "origin"))
            answer["multiValueHeaders"].update({name: [value] for name, value in added.items()})
        return answer

    def responses(self, success: Mapping[int, dict[str, Any]], *errors: int) -> dict[Any, Any]:
        """Return the responses of an operation for the OpenAPI document.

        Args:
            success: Status → answer.
            errors: Statuses of problems, besides those of every route.
        """
        return {**success, **contract.problems({status: self._says[status] for status in {*errors, *self._always}})}

    def location(self, reference: str) -> str:
        """Return the `Location` of a resource; see `http.location`."""
        return location(self.event, reference)

    def add_health(self) -> None:
        """Add `GET /health`, which calls the wiring's probe."""

        @self.app.get(
            "/health",
            summary="Check whether the service works",
            operation_id="getHealth",
            responses=self.responses({200: contract.success("It works.", contract.Health)}),
        )
        def get_health() -> Response[str]:
            try:
                if self.wiring.probe is not None:
                    self.wiring.probe.check()
            except Exception as error:  # noqa: BLE001 - any error means that the dependency is unavailable
                logger.error("table away", extra={"error": error_name(error)})
                raise Problem(503) from None
            context = self.app.lambda_context
            health = {
                "status": "ok",
                "environment": self.wiring.environment,
                "function_version": context.function_version,
                "remaining_time_ms": context.get_remaining_time_in_millis(),
            }
            return json_response(dumps(health), 200)

    def _answer_error(self, error: Exception) -> Response[str]:
        return refused(problem_of(error, self._known), self.event, self._fields)


class RestApi(Api[W]):
    """Routes behind a REST API of API Gateway."""

    app: APIGatewayRestResolver

    def __init__(
        self,
        *,
        known: Problems,
        fields: Iterable[str] = (),
        says: Mapping[int, str] | None = None,
        always: Iterable[int] = (),
        admit: Admission | None = None,
        lists: tuple[str, ...] = (),
    ) -> None:
        app = APIGatewayRestResolver(enable_validation=True, json_body_deserializer=parse_object, serializer=dumps)
        sentences = {**_EVERYWHERE, **_OF_REST_APIS, **(says or {})}
        statuses = (429, 500, 502, 503, 504, *always)
        super().__init__(
            app,
            API_GATEWAY_REST,
            says=sentences,
            always=statuses,
            known=known,
            fields=fields,
            admit=admit,
            lists=lists,
        )


class HttpApi(Api[W]):
    """Routes behind an HTTP API of API Gateway (events of format 2.0), which answers CORS itself."""

    app: APIGatewayHttpResolver

    def __init__(
        self,
        *,
        known: Problems,
        fields: Iterable[str] = (),
        says: Mapping[int, str] | None = None,
        always: Iterable[int] = (),
        admit: Admission | None = None,
    ) -> None:
        app = APIGatewayHttpResolver(enable_validation=True, json_body_deserializer=parse_object, serializer=dumps)
        sentences = {**_EVERYWHERE, **_OF_HTTP_APIS, **(says or {})}
        statuses = (429, 500, 502, 503, *always)
        super().__init__(
            app, API_GATEWAY_HTTP, says=sentences, always=statuses, known=known, fields=fields, admit=admit
        )


_BODIES: Final = frozenset({"POST", "PUT"})


def _admit_bodies(event: dict[str, Any]) -> BodyLimits | None:
    return DATA_LIMITS if method_of(event) in _BODIES else None


def token_subject(event: Mapping[str, Any]) -> str:
    """Return the subject of the access token that the gateway has checked.

    The gateway also accepts id tokens, which are meant for the client; the services accept access tokens only.

    Raises:
        Problem: There is no access token.
    """
    authorizer = (event.get("requestContext") or {}).get("authorizer") or {}
    claims = (authorizer.get("jwt") or {}).get("claims") or {}
    if claims.get("token_use") != "access" or not claims.get("sub"):
        errors = [FieldError(AUTHORIZATION, "is not `Bearer` with an access token of this service's users")]
        raise Problem(401, "Sign in first.", errors=errors, headers={"WWW-Authenticate": "Bearer"})
    return str(claims["sub"])


def json_response(body: str, status: int, **headers: str) -> Response[str]:
    """Return an answer that must not be cached."""
    return Response(
        status_code=status,
        content_type="application/json",
        body=body,
        headers={"Cache-Control": NO_STORE, **headers},
    )


def refused(problem: Problem, event: Mapping[str, Any], fields: Container[str]) -> Response[str]:
    """Return the answer to a request that failed with a problem; a 5xx counts as a fault of the answering version.

    Args:
        problem: The problem that the client gets.
        event: The proxy event.
        fields: Names of the service's own fields, parameters and headers. Other names are not logged.
    """
    logger.info("refused", extra={"status": problem.status, "fields": known_fields(problem, fields)})
    if problem.status >= 500:
        count_fault()
    return problem_response(problem, event)


def problem_of(error: Exception, known: Problems) -> Problem:
    """Return the problem for an exception. It quotes nothing of the exception's text.

    Args:
        error: The exception.
        known: The service's own exceptions.
    """
    if isinstance(error, Problem):
        return error
    if isinstance(error, RequestValidationError):
        return _invalid(error)
    if isinstance(error, RequestUnsupportedContentType):
        return unsupported_media_type()
    if isinstance(error, NotFoundError):
        return Problem(404, "The route does not exist.", errors=[FieldError("path", "is not in the API")])
    for kind, problem in known.items():
        if isinstance(error, kind):
            return problem
    if isinstance(error, BotoCoreError | ClientError | SecretUnavailableError):
        logger.error("dependency failed", extra={"error": error_name(error), "where": _where(error)})
        return Problem(503, headers={"Retry-After": "1"})
    metrics.add_metric("UnexpectedErrors", MetricUnit.Count, 1)
    logger.error("unexpected error", extra={"error": error_name(error), "where": _where(error)})
    return Problem(500)


def _where(error: BaseException) -> list[str]:
    return [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in traceback.extract_tb(error.__traceback__)]


def _invalid(error: RequestValidationError) -> Problem:
    errors = [field_error for fault in error.errors() for field_error in _field_errors(fault)]
    if [(fault["type"], *fault["loc"]) for fault in error.errors()] == [("missing", "header", IF_MATCH.lower())]:
        return Problem(428, "Say which version to overwrite.", errors=errors)
    if len(errors) > MAX_ERRORS:
        more = FieldError("body", f"has {len(errors)} faults; the first {MAX_ERRORS} are listed")
        errors = [*errors[:MAX_ERRORS], more]
    return Problem(400, "The request is not valid.", errors=errors)


def _field_errors(fault: Mapping[str, Any]) -> list[FieldError]:
    context = fault.get("ctx") or {}
    if fault["type"] == contract.FAULTS:
        return [FieldError(path, message) for path, message in context[contract.FAULTS]]
    # The first part is the location: body, query, path or header.
    place, *path = fault["loc"]
    message = printable(str(fault["msg"]), 200)
    if place == "body":
        return [FieldError(pointer(*path) or "body", message)]
    name = ".".join(map(str, path)) or str(place)
    return [FieldError(printable(HEADER_NAMES.get(name, name) if place == "header" else name), message)]
