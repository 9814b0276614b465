"""Feature flags of the service: each is off unless AppConfig turns it on.

    if flags.is_on("long_names", tier=caller.tier):
        ...

The flags are in the service's table of `config/<environment>.toml` and come here through AppConfig, read with
Powertools (https://docs.aws.amazon.com/powertools/python/latest/utilities/feature_flags/). What was read is kept for
`FLAGS_MAX_AGE_SECONDS`. If AppConfig doesn't answer, the last values read still apply; if nothing was read yet, every
flag is off. AppConfig is queried again after ten seconds.

Powertools' module and its client are imported when the first flag is read, so a service without flags doesn't pay
for them. Where the environment names no application, such as in a service without flags, nothing is imported at all.
"""

import os
import time
from collections.abc import Mapping
from functools import cache
from typing import Any, Final

from slipway_runtime import aws
from slipway_runtime.flag_names import APPLICATION, ENVIRONMENT_NAME, MAX_AGE, PROFILE_NAME
from slipway_runtime.telemetry import error_name, logger

RETRY_SECONDS: Final = 10.0
"""Seconds to wait before AppConfig is queried again after it didn't answer."""


def is_on(name: str, /, **context: Any) -> bool:
    """Return True if a flag is on for a request.

    Args:
        name: The flag. One that isn't configured is off.
        context: Values that the flag's rules compare, such as `tier="beta"`.
    """
    if APPLICATION not in os.environ:
        return False
    return bool(_features().evaluate(name=name, context=context, default=False))


@cache
def _features() -> Any:
    # Here, so that a service without flags imports none of it.
    from aws_lambda_powertools.utilities.feature_flags import (  # noqa: PLC0415
        AppConfigStore,
        ConfigurationStoreError,
        FeatureFlags,
        StoreProvider,
    )

    class LastKnownStore(StoreProvider):
        """Returns AppConfig's last answer while it doesn't answer."""

        def __init__(self) -> None:
            self._store: AppConfigStore | None = None
            self._known: dict[str, Any] | None = None
            self._closed_until = 0.0

        @property
        def get_raw_configuration(self) -> dict[str, Any]:
            return self.get_configuration()

        def get_configuration(self) -> dict[str, Any]:
            if time.monotonic() >= self._closed_until:
                try:
                    self._store = self._store or _new_store(AppConfigStore)
                    self._known = self._store.get_configuration()
                except Exception as error:  # noqa: BLE001 - no error may fail the request
                    # A token is valid for one call, within a day: the next try begins a new session.
                    self._store = None
                    self._closed_until = time.monotonic() + RETRY_SECONDS
                    logger.warning("flags not read", extra={"error": _cause(error), "known": self._known is not None})
            if self._known is None:
                raise ConfigurationStoreError("AppConfig has not answered yet")
            return self._known

    return FeatureFlags(store=LastKnownStore())


def _new_store(store: Any, environment: Mapping[str, str] = os.environ) -> Any:
    return store(
        environment=ENVIRONMENT_NAME,
        application=environment[APPLICATION],
        name=PROFILE_NAME,
        max_age=int(environment[MAX_AGE]),
        # A request waits for the answer: one attempt, one second.
        boto3_client=aws.client("appconfigdata", attempts=1, read_seconds=1.0),
    )


def _cause(error: BaseException) -> str:
    """Return AWS's error as text: Powertools wraps it, in one case without naming the cause."""
    while (deeper := error.__cause__ or error.__context__) is not None:
        error = deeper
    return error_name(error)
