"""Execute a `POST` once per `Idempotency-Key`: all requests get the answer of the first one."""

from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final, TypedDict

from aws_lambda_powertools.utilities.typing import LambdaContext
from botocore.exceptions import BotoCoreError, ClientError

from services.items.runtime.errors import CreationInProgressError, KeyReusedError

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.idempotency import BasePersistenceLayer, IdempotencyConfig

# Long enough for a client that was offline overnight to repeat its request.
RECORD_SECONDS: Final = 24 * 60 * 60


class CreationRequest(TypedDict):
    """Identity of a request: the caller, the key, and (as a check) the content."""

    caller: str
    key: str
    fingerprint: str


class Creation(TypedDict):
    """Stored result of a creation: small, since DynamoDB limits a record to 400 KB, including escapes.

    It contains `created_at` because a repeated request provides everything except that and the id.
    """

    id: str
    version: int
    created_at: str


class CreatedOnce:
    """Runs a creation once for each caller and key, and returns the first result to later requests.

    Powertools' idempotency imports all of boto3, so it is imported with the first key.

    Args:
        persistence: Creates the store of idempotency records.
    """

    def __init__(self, persistence: "Callable[[], BasePersistenceLayer]") -> None:
        self._persistence = persistence

    @cached_property
    def _config(self) -> "IdempotencyConfig":
        from aws_lambda_powertools.utilities.idempotency import IdempotencyConfig  # noqa: PLC0415

        return IdempotencyConfig(
            event_key_jmespath="[caller, key]",
            payload_validation_jmespath="fingerprint",
            raise_on_no_idempotency_key=True,
            expires_after_seconds=RECORD_SECONDS,
            hash_function="sha256",
        )

    @cached_property
    def _create_once(self) -> Callable[..., Any]:
        from aws_lambda_powertools.utilities.idempotency import idempotent_function  # noqa: PLC0415

        def create_once(*, request: CreationRequest, create: Callable[[], Creation]) -> Creation:  # noqa: ARG001
            return create()

        once: Callable[..., Any] = idempotent_function(
            create_once,
            data_keyword_argument="request",
            persistence_store=self._persistence(),
            config=self._config,
            key_prefix="items.create",
        )
        return once

    def run(self, request: CreationRequest, create: Callable[[], Creation], context: LambdaContext) -> Creation:
        """Return the result of `create`, from this call or an earlier one with the same caller and key.

        Args:
            request: Identity of the request.
            create: Creates the item. It may run again after a crash, so it must find an item that it created before.
            context: Lambda's context: a record in progress is valid no longer than the invocation can last.

        Raises:
            KeyReusedError: The key was used for another request.
            CreationInProgressError: The first request has not ended.
        """
        from aws_lambda_powertools.utilities.idempotency.exceptions import (  # noqa: PLC0415
            IdempotencyAlreadyInProgressError,
            IdempotencyInconsistentStateError,
            IdempotencyPersistenceLayerError,
            IdempotencyValidationError,
        )

        self._config.register_lambda_context(context)
        try:
            result: Creation = self._create_once(request=request, create=create)
        except IdempotencyValidationError:
            raise KeyReusedError from None
        except (IdempotencyAlreadyInProgressError, IdempotencyInconsistentStateError):
            raise CreationInProgressError from None
        except IdempotencyPersistenceLayerError as error:
            # The cause of Powertools' error is botocore's, which gives the reason.
            causes = (cause for cause in error.args if isinstance(cause, BotoCoreError | ClientError))
            raise next(causes, error) from None
        return result
