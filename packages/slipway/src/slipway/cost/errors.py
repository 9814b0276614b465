"""The one error of this package."""


class CostError(Exception):
    """The cost cannot be estimated; the message is one line for people, with what to do."""
