"""A secret cached for minutes, so that a rotation takes effect without a call to Secrets Manager per request."""

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from slipway_runtime.telemetry import logger

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.parameters import SecretsProvider
    from mypy_boto3_secretsmanager import SecretsManagerClient

MAX_AGE_SECONDS: Final = 300
# A failed verification makes us look for a newer value, but anyone can send any number of failures.
REFRESH_SECONDS: Final = 60
# While Secrets Manager is unavailable, only one request in this many seconds waits for its time-outs.
BACK_OFF_SECONDS: Final = 15


class SecretUnavailableError(Exception):
    """Secrets Manager returned no value, and none is cached."""


class CachedSecret:
    """One string in a secret's JSON object, in one or more of the secret's stages.

    A cached value remains in use while Secrets Manager is unavailable.

    Args:
        client: Makes the client of Secrets Manager at the first use, so requests without a secret don't wait for it.
        arn: ARN of the secret.
        field: Key in the secret's JSON object.
        stages: Staging labels whose values count, the one that signs first.
    """

    def __init__(
        self,
        client: "Callable[[], SecretsManagerClient]",
        arn: str,
        field: str,
        *,
        stages: tuple[str, ...] = ("AWSCURRENT",),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._client = client
        self._arn = arn
        self._field = field
        self._stages = stages
        self._clock = clock
        self._providers: dict[str, SecretsProvider] = {}
        self._known: dict[str, str] = {}
        self._retry_at: dict[str, float] = {}
        self._refreshed = float("-inf")

    def current(self) -> str:
        """Return the value of the first stage.

        Raises:
            SecretUnavailableError: It cannot be read, and no value is cached.
        """
        value = self._value(self._stages[0])
        if value is None:
            raise SecretUnavailableError
        return value

    def matches(self, check: Callable[[str], bool]) -> bool:
        """Return True if a value passes the check; first look for newer values, at most once a minute.

        Raises:
            SecretUnavailableError: It cannot be read, and no value is cached.
        """
        if check(self.current()):
            return True
        now = self._clock()
        if now - self._refreshed >= REFRESH_SECONDS:
            self._refreshed = now
            for stage in self._stages:
                self._value(stage, force=True)
        return any(check(value) for value in self._known.values())

    def _value(self, stage: str, *, force: bool = False) -> str | None:
        if self._clock() < self._retry_at.get(stage, 0.0):
            return self._known.get(stage)
        from aws_lambda_powertools.utilities.parameters.exceptions import (  # noqa: PLC0415 - see `_provider`
            GetParameterError,
            TransformParameterError,
        )

        try:
            document = self._provider(stage).get(
                self._arn, max_age=MAX_AGE_SECONDS, transform="json", force_fetch=force, VersionStage=stage
            )
        except (GetParameterError, TransformParameterError) as error:
            # A secret that was never rotated has no previous value. The text of an error may quote the secret.
            logger.warning("secret not read", extra={"stage": stage, "error": type(error).__name__})
            self._retry_at[stage] = self._clock() + BACK_OFF_SECONDS
            return self._known.get(stage)
        value = document.get(self._field) if isinstance(document, dict) else None
        if isinstance(value, str) and value:
            self._known[stage] = value
        return self._known.get(stage)

    def _provider(self, stage: str) -> "SecretsProvider":
        # Imported when a request first needs a secret, because it is slow.
        from aws_lambda_powertools.utilities.parameters import SecretsProvider  # noqa: PLC0415

        # One provider per stage: the provider's cache does not distinguish the stages of one secret.
        if stage not in self._providers:
            self._providers[stage] = SecretsProvider(boto3_client=self._client())
        return self._providers[stage]
