"""Derive the review policy from the configuration."""

from __future__ import annotations

from slipway import settings as config
from slipway.review.errors import ReviewError
from slipway.review.run import Given
from slipway.settings.model import ReviewPolicy, S3Source
from slipway.settings.protection import PROTECTED_TYPES


def given() -> Given:
    """Return the review policy in `config/`.

    Raises:
        ReviewError: The configuration is invalid.
    """
    try:
        settings = config.load().pipeline
    except config.ConfigurationError as error:
        raise ReviewError(str(error).splitlines()[0]) from None
    protected = frozenset(PROTECTED_TYPES)
    if not isinstance(settings.source, S3Source):
        return Given(protected=protected)
    may_pass = settings.gates.review == ReviewPolicy.OFF
    do = (
        "config/pipeline.toml says gates.review = 'off'"
        if may_pass
        else "use a source with history, or set gates.review = 'off' in config/pipeline.toml"
    )
    text = f"the source is S3, which has no history to compare with: {do}"
    return Given(protected=protected, without_history=text, may_pass=may_pass)
