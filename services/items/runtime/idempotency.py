"""`POST` once for an `Idempotency-Key`: the answer of the first request is the answer of all."""

from collections.abc import Callable
from typing import Final, TypedDict

from aws_lambda_powertools.utilities.idempotency import BasePersistenceLayer, IdempotencyConfig, idempotent_function
from aws_lambda_powertools.utilities.idempotency.exceptions import (
    IdempotencyAlreadyInProgressError,
    IdempotencyInconsistentStateError,
    IdempotencyPersistenceLayerError,
    IdempotencyValidationError,
)
from aws_lambda_powertools.utilities.typing import LambdaContext
from botocore.exceptions import BotoCoreError, ClientError

from services.items.runtime.errors import CreationInProgressError, KeyReusedError

# Long enough for a client that was away over night to ask again.
RECORD_SECONDS: Final = 24 * 60 * 60


class CreationRequest(TypedDict):
    """What makes two requests the same: who asks, under which key, and (as a check) for what."""

    caller: str
    key: str
    fingerprint: str


class Creation(TypedDict):
    """What is remembered of a creation: little, since DynamoDB takes 400 KB for a record, escaped text and all.

    `created_at` stands here because a repeated request brings all but that and the id.
    """

    id: str
    version: int
    created_at: str


class CreatedOnce:
    """Runs a creation once for each caller and key, and gives later requests the first one's result.

    Args:
        persistence: Where the records are.
    """

    def __init__(self, persistence: BasePersistenceLayer) -> None:
        self._config = IdempotencyConfig(
            event_key_jmespath="[caller, key]",
            payload_validation_jmespath="fingerprint",
            raise_on_no_idempotency_key=True,
            expires_after_seconds=RECORD_SECONDS,
            hash_function="sha256",
        )

        def create_once(*, request: CreationRequest, create: Callable[[], Creation]) -> Creation:  # noqa: ARG001
            return create()

        self._create_once = idempotent_function(
            create_once,
            data_keyword_argument="request",
            persistence_store=persistence,
            config=self._config,
            key_prefix="items.create",
        )

    def run(self, request: CreationRequest, create: Callable[[], Creation], context: LambdaContext) -> Creation:
        """The result of `create`, of this call or of an earlier one with the same caller and key.

        Args:
            request: Who asks for what.
            create: Makes the item. It may run again after a crash, so it must find what it made before.
            context: Of this invocation: a record in progress holds no longer than the invocation can last.

        Raises:
            KeyReusedError: The key was used for another request.
            CreationInProgressError: The first request has not ended.
        """
        self._config.register_lambda_context(context)
        try:
            result: Creation = self._create_once(request=request, create=create)
        except IdempotencyValidationError:
            raise KeyReusedError from None
        except (IdempotencyAlreadyInProgressError, IdempotencyInconsistentStateError):
            raise CreationInProgressError from None
        except IdempotencyPersistenceLayerError as error:
            # Powertools says what it could not do; the error of botocore in it says why.
            causes = (cause for cause in error.args if isinstance(cause, BotoCoreError | ClientError))
            raise next(causes, error) from None
        return result
