"""The one error of this package."""


class SupplyError(Exception):
    """A step cannot look at what it should; the message is one line for people, with what to do."""
