"""The service's exceptions. `routes` maps those of requests to answers."""


class RecordNotFoundError(Exception):
    """The caller has no record with this id: it never existed, belongs to somebody else, or has expired."""


class KeyReusedError(Exception):
    """An `Idempotency-Key` was reused for different data."""


class InvalidCursorError(Exception):
    """A cursor that this service did not issue."""


class ResultLostError(Exception):
    """The result of a processed job is no longer in the bucket."""


class ForeignMessageError(Exception):
    """An event that is not one of our jobs."""
