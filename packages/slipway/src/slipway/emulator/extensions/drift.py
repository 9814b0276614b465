"""Make drift detection compare aliases and alarms too, which operators change manually in an incident.

Both types support it: https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/resource-import-supported-resources.html.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ministack.services import cloudwatch, lambda_svc
from ministack.services.cloudformation import drift

from slipway.emulator.extensions.patches import UnknownEmulatorError

_ALIAS = ("Description", "FunctionVersion")
_ALARM = ("ActionsEnabled", "ComparisonOperator", "DatapointsToAlarm", "EvaluationPeriods", "Threshold")


def read_alias(physical_id: str, _properties: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the properties of an alias; None if it was deleted.

    Args:
        physical_id: Its ARN.
    """
    function, _, name = physical_id.rpartition(":")
    found = lambda_svc._functions.get(function.rpartition(":")[2]) or {}
    alias = found.get("aliases", {}).get(name)
    return None if alias is None else {key: alias[key] for key in _ALIAS if alias.get(key)}


def read_alarm(physical_id: str, _properties: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the properties of an alarm; None if it was deleted.

    Args:
        physical_id: Its name.
    """
    alarm = cloudwatch._alarms.get(physical_id)
    return None if alarm is None else {key: _plain(alarm[key]) for key in _ALARM if alarm.get(key) is not None}


def _plain(value: Any) -> Any:
    """Return a number as templates write it: the emulator keeps 5 as 5.0."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def install() -> None:
    """Make the emulator read both.

    Raises:
        UnknownEmulatorError: The emulator's version differs; it may read them itself.
    """
    readers = drift._DRIFT_READERS
    for kind, reader, properties in (
        ("AWS::Lambda::Alias", read_alias, _ALIAS),
        ("AWS::CloudWatch::Alarm", read_alarm, _ALARM),
    ):
        if kind in readers:
            raise UnknownEmulatorError(
                f"drift detection reads {kind} itself: remove it from slipway.emulator.extensions"
            )
        readers[kind] = (reader, frozenset(properties))
