"""Errors of requests, in the service's own words. `routes` maps each to an answer."""


class RecordNotFoundError(Exception):
    """The caller has no record with this id: it never existed, belongs to somebody else, or has expired."""


class KeyReusedError(Exception):
    """An `Idempotency-Key` came again with other data."""


class InvalidCursorError(Exception):
    """A cursor that no listing of this service gives."""


class ResultLostError(Exception):
    """The result of a processed job is not in the bucket any more."""


class ForeignMessageError(Exception):
    """An event that is not one of our jobs."""
