"""The service's exceptions. `routes` maps those of requests to answers."""


class RecordNotFoundError(Exception):
    """The caller has no record with this id."""


class JobNotFoundError(Exception):
    """The caller has no job with this id."""


class PayloadTooLargeError(Exception):
    """A payload that Lambda could not carry back."""


class PayloadLostError(Exception):
    """The payload in the bucket differs from what was sent, or is missing."""


class NotOursError(Exception):
    """A message that this service did not send. The text says what is wrong with it, but quotes nothing of it."""
