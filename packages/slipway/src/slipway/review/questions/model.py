"""The questions about every change, and a resource type's answers to them.

For a change of any resource: does anybody lose data, gain access to data, lose the service, or lose its monitoring? A
type answers with the settings whose change does one of these, with the effect of its removal, and with the reason why a
setting is harmless. A setting with neither is reported as not checked.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum, StrEnum, auto
from typing import Final

from slipway.review.findings import Severity

CRITICAL, HIGH, MEDIUM, LOW, INFO = Severity


class Question(StrEnum):
    """A question about every change."""

    LOSES_DATA = "does anybody lose data?"
    GETS_DATA = "does anybody gain access to data?"
    LOSES_SERVICE = "does anybody lose the service?"
    LOSES_WATCH = "does anybody lose its monitoring?"


_DATA, _REACH, _SERVICE, _WATCH = Question

RAISED_BY: Final[Mapping[str, Question]] = {
    "stateful-replaced": _DATA,
    "stateful-may-be-replaced": _DATA,
    "stateful-removed": _DATA,
    "retention-shortened": _DATA,
    "backup-dropped": _DATA,
    "protection-dropped": _DATA,
    "failures-dropped": _DATA,
    "key-changed": _DATA,
    "key-disabled": _DATA,
    "value-regenerated": _SERVICE,
    "consumer-stopped": _DATA,
    "orphaned": _DATA,
    "access-added": _REACH,
    "access-widened": _REACH,
    "authorizer-loosened": _REACH,
    "boundary-loosened": _REACH,
    "cache-key-narrowed": _REACH,
    "cors-widened": _REACH,
    "destination-changed": _REACH,
    "encryption-dropped": _REACH,
    "expiry-dropped": _REACH,
    "geo-widened": _REACH,
    "key-not-required": _REACH,
    "key-policy-widened": _REACH,
    "network-opened": _REACH,
    "open-route": _REACH,
    "other-role": _REACH,
    "public-access": _REACH,
    "resource-policy-widened": _REACH,
    "sign-in-loosened": _REACH,
    "source-changed": _REACH,
    "build-changed": _REACH,
    "tls-lowered": _REACH,
    "trust-widened": _REACH,
    "waf-loosened": _REACH,
    "approval-removed": _REACH,
    "access-narrowed": _SERVICE,
    "address-replaced": _SERVICE,
    "assembly-unread": _SERVICE,
    "broken-reference": _SERVICE,
    "build-broken": _SERVICE,
    "concurrency-dropped": _SERVICE,
    "conditioned": _SERVICE,
    "flag-changed": _SERVICE,
    "index-removed": _SERVICE,
    "interface-changed": _SERVICE,
    "limit-lowered": _SERVICE,
    "may-be-replaced": _SERVICE,
    "name-taken": _SERVICE,
    "nested-unread": _SERVICE,
    "not-looked-up": _SERVICE,
    "not-rolled-back": _SERVICE,
    "output-removed": _SERVICE,
    "pipeline-loosened": _SERVICE,
    "pipeline-restarted": _SERVICE,
    "renamed": _SERVICE,
    "replaced": _SERVICE,
    "rewritten": _SERVICE,
    "route-removed": _SERVICE,
    "runtime-changed": _SERVICE,
    "self-mutation-removed": _SERVICE,
    "service-stopped": _SERVICE,
    "stack-removed": _SERVICE,
    "throttle-raised": _SERVICE,
    "transition-enabled": _SERVICE,
    "type-changed": _SERVICE,
    "version-not-renewed": _SERVICE,
    "reader-not-updated": _SERVICE,
    "undecided": _SERVICE,
    "unjudged": _SERVICE,
    "unknown-type": _SERVICE,
    "unresolved": _SERVICE,
    "update-refused": _SERVICE,
    "alarm-loosened": _WATCH,
    "alarm-removed": _WATCH,
    "alarm-silenced": _WATCH,
    "approval-changed": _WATCH,
    "canary-loosened": _WATCH,
    "condition-loosened": _WATCH,
    "hook-removed": _WATCH,
    "logging-dropped": _WATCH,
    "rollback-loosened": _WATCH,
    "stage-removed": _WATCH,
    "subscriber-removed": _WATCH,
}
"""The question that a kind of finding answers with yes."""

OF_ANY_TYPE: Final = frozenset(
    {
        "assembly-unread",
        "broken-reference",
        "conditioned",
        "may-be-replaced",
        "name-taken",
        "nested-unread",
        "not-looked-up",
        "not-rolled-back",
        "orphaned",
        "pipeline-restarted",
        "reader-not-updated",
        "renamed",
        "replaced",
        "rewritten",
        "stack-removed",
        "type-changed",
        "undecided",
        "unjudged",
        "unknown-type",
        "unresolved",
        "version-not-renewed",
    }
)
"""Kinds that result from CloudFormation's behaviour or from unknown values, for any type."""


class When(Enum):
    """The kind of change of a setting that is harmful."""

    CHANGES = auto()
    """Its value changes from one to another."""
    GOES = auto()
    COMES = auto()
    FALLS = auto()
    """Its number gets smaller."""
    RISES = auto()
    """Its number gets larger."""
    OFF = auto()
    ON = auto()


@dataclass(frozen=True)
class Setting:
    """A setting of a type, and the effect of its change.

    Args:
        path: Its path; `*` is any name or item. Everything below it belongs to it.
        when: The harmful changes.
        kind: Kind of the finding.
        says: Description of the effect.
        severity: Its severity. Default: the kind's.
    """

    path: tuple[str, ...]
    when: tuple[When, ...]
    kind: str
    says: str
    severity: Severity | None = None


@dataclass(frozen=True)
class Removal:
    """The effect of removing a resource of a type.

    Args:
        kind: Kind of the finding.
        says: Description of the effect.
        severity: Its severity. Default: the kind's.
    """

    kind: str
    says: str
    severity: Severity | None = None


@dataclass(frozen=True, kw_only=True)
class Answers:
    """The answers of a resource type.

    Args:
        removed: The effect of its removal, or why it is harmless.
        settings: The effects of changed settings.
        harmless: Harmless settings by path, each with the reason.
        no: Questions that no change of the type raises, each with the reason.
    """

    removed: Removal | str
    settings: tuple[Setting, ...] = ()
    harmless: Mapping[str, str] = field(default_factory=dict)
    no: Mapping[Question, str] = field(default_factory=dict)


def _setting(when: tuple[When, ...], path: str, kind: str, says: str, severity: Severity | None) -> tuple[Setting, ...]:
    return tuple(Setting(tuple(one.split("/")), when, kind, says, severity) for one in path.split())


def changes(path: str, kind: str, says: str, severity: Severity | None = None) -> tuple[Setting, ...]:
    """Return settings, separated by spaces, with `/` between names, any change of which does harm."""
    return _setting((When.CHANGES, When.GOES, When.COMES), path, kind, says, severity)


def other(path: str, kind: str, says: str, severity: Severity | None = None) -> tuple[Setting, ...]:
    """Return settings that do harm when changed, but not when added or removed."""
    return _setting((When.CHANGES,), path, kind, says, severity)


def differs(path: str, kind: str, says: str, severity: Severity | None = None) -> tuple[Setting, ...]:
    """Return settings that do harm when changed or removed."""
    return _setting((When.CHANGES, When.GOES), path, kind, says, severity)


def goes(path: str, kind: str, says: str, severity: Severity | None = None) -> tuple[Setting, ...]:
    """Return settings, or items of a list, that do harm when removed."""
    return _setting((When.GOES,), path, kind, says, severity)


def comes(path: str, kind: str, says: str, severity: Severity | None = None) -> tuple[Setting, ...]:
    """Return settings, or items of a list, that do harm when added or changed."""
    return _setting((When.COMES, When.CHANGES), path, kind, says, severity)


def falls(path: str, kind: str, says: str, severity: Severity | None = None) -> tuple[Setting, ...]:
    """Return numbers that do harm when they get smaller."""
    return _setting((When.FALLS,), path, kind, says, severity)


def rises(path: str, kind: str, says: str, severity: Severity | None = None) -> tuple[Setting, ...]:
    """Return numbers that do harm when they get larger."""
    return _setting((When.RISES,), path, kind, says, severity)


def off(path: str, kind: str, says: str, severity: Severity | None = None) -> tuple[Setting, ...]:
    """Return switches that do harm when switched off."""
    return _setting((When.OFF,), path, kind, says, severity)


def on(path: str, kind: str, says: str, severity: Severity | None = None) -> tuple[Setting, ...]:
    """Return switches that do harm when switched on."""
    return _setting((When.ON,), path, kind, says, severity)


EVERYWHERE: Final[Mapping[str, str]] = {
    "Description": "a description without effect",
    "Tags": "a label for billing; policies and plans that use it are compared themselves",
    "ServiceTimeout": "it only limits how long a custom resource may take at deployment",
}
"""Settings that are harmless for every type."""
