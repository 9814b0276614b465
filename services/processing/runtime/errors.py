"""What can go wrong with a request, in the service's own words. `routes` says which answer each gets."""


class RecordNotFoundError(Exception):
    """The caller has no record with this id: there is none, it is another's, or it has expired."""


class KeyReusedError(Exception):
    """An `Idempotency-Key` came again with other data."""


class InvalidCursorError(Exception):
    """A cursor that no listing of this service gives."""


class ResultLostError(Exception):
    """The result of a processed job is not in the bucket any more."""


class ForeignMessageError(Exception):
    """An event that is not one of our jobs."""
