"""The bake after an environment: its alarms must stay quiet for some minutes of requests to what was moved.

The chain is the pipeline's own: an alarm of the environment changes, its relay hands the event to the tools account,
the function of the figures counts it into a metric, and the alarm of the condition watches that.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Any

from rehearsal.accounts import Accounts
from rehearsal.cloudwatch import Alarm, AlarmError, Metric, State, evaluate
from rehearsal.errors import RehearsalError
from rehearsal.player.deployments import CodeDeploy, Moved, alarm_of
from rehearsal.player.events import Events
from rehearsal.player.traffic import Outcome, Traffic

REQUESTS_A_MINUTE = 3
"""Requests to each function in a minute of the bake."""

_API = "AWS/ApiGateway"
# Of a REST API: https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-metrics-and-dimensions.html
# Of an HTTP API: https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-metrics.html
_SERVER_ERRORS = frozenset({"5XXError", "5xx"})


class Bake:
    """Plays bakes.

    Args:
        accounts: they run.
        codedeploy: knows what was moved.
        events: who is told.
        requests: handler of a hook → what its function is invoked with.
        stopping: set when everything has to end.
    """

    def __init__(
        self,
        accounts: Accounts,
        codedeploy: CodeDeploy,
        events: Events,
        requests: Callable[[str], list[dict[str, Any]]],
        stopping: threading.Event,
    ) -> None:
        self._accounts, self._codedeploy, self._events = accounts, codedeploy, events
        self._requests, self._stopping = requests, stopping
        self._states: dict[tuple[str, str], State] = {}

    def watch(self, account: str, moment: datetime, *, minutes: int, a_minute: int) -> dict[str, State]:
        """Let some minutes of requests pass, and tell what the alarms of an environment make of them.

        Args:
            account: the environment's.
            moment: virtual time at which they begin.
            minutes: how many.
            a_minute: requests to each function in each.

        Returns:
            Alarm → its state at the end.
        """
        alarms = self._alarms(account)
        traffic = {
            moved: Traffic(
                self._accounts.emulators[account], moved.function, self._requests(moved.handler), self._stopping
            )
            for (place, _), moved in self._codedeploy.moved.items()
            if place == account
        }
        measures = self._codedeploy.measures[account]
        for minute in range(minutes):
            start = (moment + timedelta(minutes=minute)).timestamp()
            for moved, met in self._sent(traffic, a_minute):
                measures.put(moved.function, moved.alias, met, start)
                for metric in _of_its_api(moved, alarms):
                    measures.put_answers(metric, met, start)
            for alarm in alarms:
                self._judge(account, alarm, start + 60.0)
        return {name: state for (place, name), state in self._states.items() if place == account}

    @staticmethod
    def _sent(traffic: Mapping[Moved, Traffic], number: int) -> list[tuple[Moved, list[tuple[str, Outcome]]]]:
        """Send a minute's requests to each function, to all of them side by side."""

        def send(moved: Moved) -> list[tuple[str, Outcome]]:
            return traffic[moved].send(number, old=moved.new_version, new=moved.new_version, weight=0.0)

        with ThreadPoolExecutor(max(1, len(traffic))) as pool:
            return list(zip(traffic, pool.map(send, traffic), strict=True))

    def __call__(self, configuration: Mapping[str, str], account: str, moment: datetime) -> tuple[bool, str]:
        """Play the rule `CloudWatchAlarm`.

        Args:
            configuration: of the rule.
            account: of the environment that bakes.
            moment: virtual time at which it begins.

        Returns:
            Whether the alarm stayed out of the states, and what was seen.
        """
        alarm = self._own(configuration["AlarmName"])
        unwanted = {State(name) for name in configuration.get("AlarmStates", "ALARM").split(",")}
        state = State.INSUFFICIENT_DATA
        length = int(float(configuration.get("WaitTime", "0")))
        for minute in range(length):
            states = self.watch(account, moment + timedelta(minutes=minute), minutes=1, a_minute=REQUESTS_A_MINUTE)
            # One second into the next minute, in which the events of this one's end arrive.
            self._events.drain()
            at = (moment + timedelta(minutes=minute + 1, seconds=60)).timestamp()
            state = evaluate(alarm, self._events.metrics, at, state).state
            if state in unwanted:
                ringing = ", ".join(sorted(name for name, each in states.items() if each is State.ALARM))
                return (
                    False,
                    f"{alarm.name} was {state} after {minute + 1} of {length} minutes: {ringing or 'no alarm'}",
                )
        watched = len(self._alarms(account))
        return True, f"{watched} alarms of the environment stayed quiet for {length} minutes"

    def _judge(self, account: str, alarm: Alarm, at: float) -> None:
        key = (account, alarm.name)
        before = self._states.get(key, State.OK)
        after = self._codedeploy.measures[account].state(alarm, at, before)
        self._states[key] = after
        if after is before:
            return
        moment = datetime.fromtimestamp(at).astimezone()
        detail = {
            "alarmName": alarm.name,
            "state": {"value": after.value, "timestamp": moment.isoformat(timespec="milliseconds"), "reason": "played"},
            "previousState": {"value": before.value},
        }
        arn = f"arn:aws:cloudwatch:{self._accounts.region(account)}:{account}:alarm:{alarm.name}"
        self._events.put(account, "aws.cloudwatch", "CloudWatch Alarm State Change", detail, moment, resources=[arn])

    def _alarms(self, account: str) -> list[Alarm]:
        """The environment's alarms on what the requests here make: Lambda's metrics of a whole function, and 5xx."""
        client = self._accounts.emulators[account].session().client("cloudwatch")
        found = []
        for page in client.get_paginator("describe_alarms").paginate():
            for described in page["MetricAlarms"]:
                names = {dimension["Name"] for dimension in described.get("Dimensions", [])}
                of_function = described.get("Namespace") == "AWS/Lambda" and names == {"FunctionName"}
                if not of_function and not _counts_server_errors(described):
                    continue
                try:
                    found.append(alarm_of(described))
                except AlarmError as error:
                    raise RehearsalError(f"an alarm of the environment cannot be evaluated: {error}") from error
        return found

    def _own(self, name: str) -> Alarm:
        tools = self._accounts.emulators[self._accounts.tools]
        found = tools.session().client("cloudwatch").describe_alarms(AlarmNames=[name])["MetricAlarms"]
        if not found:
            raise RehearsalError(f"the tools account has no alarm {name}")
        return alarm_of(found[0])


def _counts_server_errors(described: Mapping[str, Any]) -> bool:
    """Whether an alarm, as CloudWatch describes it, is on an API's answers with 5xx."""
    return described.get("Namespace") == _API and described.get("MetricName") in _SERVER_ERRORS


def _of_its_api(moved: Moved, alarms: Sequence[Alarm]) -> set[Metric]:
    """The counts of 5xx of the API of a function's service, as far as an alarm is on them."""
    return {
        metric
        for alarm in alarms
        for metric in alarm.metrics
        if metric.namespace == _API and _service(alarm.name) == _service(moved.function)
    }


def _service(name: str) -> str:
    """Environment and service of what CloudFormation named after its stack: `prod-items-compute-…`."""
    return re.split("-(?:compute|observability)-", name, maxsplit=1)[0]
