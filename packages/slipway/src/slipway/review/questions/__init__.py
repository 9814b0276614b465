"""Answers of every resource type to the four questions of a change."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from slipway.review.effects import CUSTOM
from slipway.review.questions import apis, compute, delivery, storage, watching
from slipway.review.questions.model import EVERYWHERE, OF_ANY_TYPE, RAISED_BY, Answers, Question, Removal, Setting, When

__all__ = [
    "ANSWERS",
    "EVERYWHERE",
    "OF_ANY_TYPE",
    "RAISED_BY",
    "Answers",
    "Question",
    "Removal",
    "Setting",
    "When",
    "answers_of",
]

ANSWERS: Final[Mapping[str, Answers]] = {
    **apis.ANSWERS,
    **compute.ANSWERS,
    **delivery.ANSWERS,
    **storage.ANSWERS,
    **watching.ANSWERS,
}
"""Answers by type. Other types get the general answers, and `unjudged`."""

_HANDLER: Final = "only its handler knows: each change is `may-be-replaced`, and each removal `unjudged`"

_ANSWERS_OF_CUSTOM: Final = Answers(
    removed=Removal("unjudged", "its handler is asked to delete what it created, which is unknown here"),
    no=dict.fromkeys(Question, _HANDLER),
)


def answers_of(resource_type: str) -> Answers | None:
    """Return a type's answers, or None.

    Args:
        resource_type: `AWS::S3::Bucket`, …; custom resources have one answer.
    """
    return _ANSWERS_OF_CUSTOM if resource_type.startswith(CUSTOM) else ANSWERS.get(resource_type)
