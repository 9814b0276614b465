"""The bake after an environment: its alarms must stay quiet during some minutes of requests to the new versions.

The chain is the pipeline's own: an alarm of the environment changes its state, the relay sends the event to the tools
account, a function there puts the number of active alarms into a metric, and the condition's alarm watches that metric.
"""

from __future__ import annotations

import re
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from slipway.cloudwatch import Alarm, AlarmError, AlarmState, Metric, evaluate
from slipway.emulator.accounts import Accounts
from slipway.emulator.server import Emulator
from slipway.errors import RehearsalError
from slipway.rehearsal.player.deployments import CodeDeploy, Moved, alarm_of
from slipway.rehearsal.player.events import Events
from slipway.rehearsal.player.traffic import PlayedTraffic, RequestOutcome

REQUESTS_A_MINUTE = 3
"""Requests to each function per minute of the bake."""
RARE_A_MINUTE = 12
"""Requests of a new kind to each function per minute."""


class AlarmRule(StrEnum):
    """Behaviours of the rule `CloudWatchAlarm` during its wait time: CodePipeline's documentation describes both."""

    AT_ONCE = "at-once"
    """Succeeds at once if the alarm is in no unwanted state, and otherwise waits until it has left that state
    (https://docs.aws.amazon.com/codepipeline/latest/userguide/stage-conditions.html)."""
    WATCHES = "watches"
    """Fails if the alarm enters an unwanted state during the wait time
    (https://docs.aws.amazon.com/codepipeline/latest/userguide/concepts-how-it-works-conditions.html).
    """


_AWS = "AWS/"
"""Prefix of the namespaces of AWS's own metrics."""
_API = f"{_AWS}ApiGateway"
# Of a REST API: https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-metrics-and-dimensions.html
# Of an HTTP API: https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-metrics.html
_SERVER_ERRORS = frozenset({"5XXError", "5xx"})


class Bake:
    """Plays bakes.

    Args:
        accounts: The running accounts.
        codedeploy: The player's CodeDeploy, which knows the moved aliases.
        events: Receiver of events.
        requests: Handler of a hook → events for its function.
        stopping: Set when everything must stop.
        reading: How the rule uses its wait time. Default: it succeeds at once if the alarm is OK.
        rare: Account and minute of its bake → additional content of further requests to its functions. Default: no
            further requests.
    """

    def __init__(
        self,
        accounts: Accounts,
        codedeploy: CodeDeploy,
        events: Events,
        requests: Callable[[str], list[dict[str, Any]]],
        stopping: threading.Event,
        *,
        reading: AlarmRule = AlarmRule.AT_ONCE,
        rare: Callable[[str, int], list[dict[str, Any]]] = lambda *_: [],
    ) -> None:
        self._accounts, self._codedeploy, self._events = accounts, codedeploy, events
        self._requests, self._stopping = requests, stopping
        self._reading, self._rare = reading, rare
        self._states: dict[tuple[str, str], AlarmState] = {}
        self._regions: dict[tuple[str, str], str] = {}
        self._own_states: dict[str, AlarmState] = {}
        self._minutes: Counter[str] = Counter()
        self._ends: dict[str, datetime] = {}
        self._lock = threading.Lock()

    def watch(self, account: str, moment: datetime, *, minutes: int, a_minute: int) -> dict[str, AlarmState]:
        """Play some minutes of requests, and return the states of an environment's alarms.

        Args:
            account: Account of the environment.
            moment: Virtual time of their start.
            minutes: Number of minutes.
            a_minute: Requests to each function per minute.

        Returns:
            Alarm → its state at the end.
        """
        alarms = self._alarms(account)
        traffic = {
            moved: PlayedTraffic(
                self._accounts.emulator(account, moved.region),
                moved.function,
                self._requests(moved.handler),
                self._stopping,
            )
            for (place, _), moved in self._codedeploy.moved.items()
            if place == account
        }
        measures = self._codedeploy.measures[account]
        rare = {moved: each for moved in traffic if (each := self._rare_traffic(account, moved))}
        for minute in range(minutes):
            start = (moment + timedelta(minutes=minute)).timestamp()
            for moved, met in (*self._sent(traffic, a_minute), *self._sent(rare, RARE_A_MINUTE)):
                measures.put(moved.function, moved.alias, met, start)
                for metric in _of_its_api(moved, alarms):
                    measures.put_answers(metric, met, start)
            for alarm in alarms:
                self._judge(account, alarm, start + 60.0)
        return {name: state for (place, name), state in self._states.items() if place == account}

    def _rare_traffic(self, account: str, moved: Moved) -> PlayedTraffic | None:
        rare = self._rare(account, self._minutes[account])
        requests = [{**own, **more} for more in rare for own in self._requests(moved.handler)[:1]]
        emulator = self._accounts.emulator(account, moved.region)
        return PlayedTraffic(emulator, moved.function, requests, self._stopping) if requests else None

    @staticmethod
    def _sent(
        traffic: Mapping[Moved, PlayedTraffic], number: int
    ) -> list[tuple[Moved, list[tuple[str, RequestOutcome]]]]:
        """Send a minute's requests to each function, to all functions in parallel."""

        def send(moved: Moved) -> list[tuple[str, RequestOutcome]]:
            return traffic[moved].send(number, old=moved.new_version, new=moved.new_version, weight=0.0)

        with ThreadPoolExecutor(max(1, len(traffic))) as pool:
            return list(zip(traffic, pool.map(send, traffic), strict=True))

    def __call__(self, configuration: Mapping[str, str], accounts: Sequence[str], moment: datetime) -> tuple[bool, str]:
        """Play the rule `CloudWatchAlarm`.

        Args:
            configuration: Configuration of the rule.
            accounts: Accounts of the environments that bake.
            moment: Virtual time of its start.

        Returns:
            True if the alarm stayed out of the states, and a description.
        """
        alarm = self._own(configuration["AlarmName"])
        unwanted = {AlarmState(name) for name in configuration.get("AlarmStates", "ALARM").split(",")}
        length = int(float(configuration.get("WaitTime", "0")))
        if self._reading is AlarmRule.WATCHES:
            return self._watches(alarm, unwanted, accounts, moment, length)
        self._events.drain()
        self._judge_own(moment.timestamp())
        for minute in range(length + 1):
            state = self._own_states.get(alarm.name, AlarmState.OK)
            if state not in unwanted:
                return True, f"{alarm.name} was {state} after {minute} of {length} minutes"
            if minute < length:
                for account in accounts:
                    self.let_pass(account, moment + timedelta(minutes=minute), 1)
        return False, f"{alarm.name} was {state} for {length} minutes"

    def _watches(
        self, alarm: Alarm, unwanted: set[AlarmState], accounts: Sequence[str], moment: datetime, length: int
    ) -> tuple[bool, str]:
        for minute in range(length):
            for account in accounts:
                self.let_pass(account, moment + timedelta(minutes=minute), 1)
            state = self._own_states.get(alarm.name, AlarmState.INSUFFICIENT_DATA)
            if state in unwanted:
                states = {name: each for (place, name), each in self._states.items() if place in accounts}
                ringing = ", ".join(sorted(name for name, each in states.items() if each is AlarmState.ALARM))
                return (
                    False,
                    f"{alarm.name} was {state} after {minute + 1} of {length} minutes: {ringing or 'no alarm'}",
                )
        watched = sum(len(self._alarms(account)) for account in accounts)
        return True, f"{watched} alarms of the environment stayed quiet for {length} minutes"

    def let_pass(self, account: str, moment: datetime, minutes: int) -> None:
        """Let some minutes of an environment pass after a deployment, and have the pipeline's own alarms see them.

        Args:
            account: Account of the environment.
            moment: Virtual time of their start.
            minutes: Number of minutes.
        """
        with self._lock:
            for _ in range(minutes):
                # Minute follows minute, although some real time passes between two of them.
                start = max(moment, self._ends.get(account, moment))
                self._minutes[account] += 1
                # Scheduled functions of the environment, such as a probe, run before its alarms are evaluated.
                self._events.minute(account, start)
                self._events.drain()
                self.watch(account, start, minutes=1, a_minute=REQUESTS_A_MINUTE)
                self._ends[account] = moment = start + timedelta(minutes=1)
                # One second into the next minute, when the events at this minute's end have arrived.
                self._events.minute(self._accounts.tools, moment)
                self._events.drain()
                self._judge_own((moment + timedelta(seconds=60)).timestamp())

    def _judge_own(self, at: float) -> None:
        """Evaluate the tools account's alarms on the functions' metrics, and set their state there."""
        client = self._accounts.emulators[self._accounts.tools].session().client("cloudwatch")
        for page in client.get_paginator("describe_alarms").paginate():
            for described in page["MetricAlarms"]:
                if described.get("Namespace", _AWS).startswith(_AWS):
                    continue
                alarm = alarm_of(described)
                before = self._own_states.get(alarm.name, AlarmState.INSUFFICIENT_DATA)
                after = evaluate(alarm, self._events.metrics, at, before).state
                if after is not before:
                    self._own_states[alarm.name] = after
                    ringing = sorted({name for (_, name), state in self._states.items() if state is AlarmState.ALARM})
                    reason = f"played; in ALARM: {', '.join(ringing) or 'none'}"
                    client.set_alarm_state(AlarmName=alarm.name, StateValue=after.value, StateReason=reason[:1023])

    def _judge(self, account: str, alarm: Alarm, at: float) -> None:
        key = (account, alarm.name)
        before = self._states.get(key, AlarmState.OK)
        if _is_counted_by_functions(alarm):
            after = evaluate(alarm, self._events.metrics, at, before).state
        else:
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
        region = self._regions[account, alarm.name]
        arn = f"arn:aws:cloudwatch:{region}:{account}:alarm:{alarm.name}"
        kind = "CloudWatch Alarm State Change"
        self._events.put(account, "aws.cloudwatch", kind, detail, moment, resources=[arn], region=region)

    def _alarms(self, account: str) -> list[Alarm]:
        """Return the environment's alarms that requests here affect: Lambda's metrics of a whole function, and 5xx."""
        found = []
        for emulator in self._accounts.seen(account):
            for alarm in _alarms_on_requests(emulator):
                self._regions[account, alarm.name] = emulator.region
                found.append(alarm)
        return found

    def _own(self, name: str) -> Alarm:
        tools = self._accounts.emulators[self._accounts.tools]
        found = tools.session().client("cloudwatch").describe_alarms(AlarmNames=[name])["MetricAlarms"]
        if not found:
            raise RehearsalError(f"the tools account has no alarm {name}")
        return alarm_of(found[0])


def _alarms_on_requests(emulator: Emulator) -> Iterator[Alarm]:
    """Yield the alarms of an account in a region that can be evaluated here.

    They watch Lambda's metrics of a whole function, 5xx, and metrics of scheduled functions.
    """
    client = emulator.session().client("cloudwatch")
    for page in client.get_paginator("describe_alarms").paginate():
        for described in page["MetricAlarms"]:
            names = {dimension["Name"] for dimension in described.get("Dimensions", [])}
            of_function = described.get("Namespace") == "AWS/Lambda" and names == {"FunctionName"}
            counted = not described.get("Namespace", _AWS).startswith(_AWS)
            if not (of_function or counted or _counts_server_errors(described)):
                continue
            try:
                yield alarm_of(described)
            except AlarmError as error:
                raise RehearsalError(f"an alarm of the environment cannot be evaluated: {error}") from error


def _counts_server_errors(described: Mapping[str, Any]) -> bool:
    """Return True if an alarm, as CloudWatch describes it, watches an API's 5xx answers."""
    return described.get("Namespace") == _API and described.get("MetricName") in _SERVER_ERRORS


def _is_counted_by_functions(alarm: Alarm) -> bool:
    return all(not metric.namespace.startswith(_AWS) for metric in alarm.metrics)


def _of_its_api(moved: Moved, alarms: Sequence[Alarm]) -> set[Metric]:
    """Return the 5xx counts of the API of a function's service, if an alarm watches them."""
    return {
        metric
        for alarm in alarms
        for metric in alarm.metrics
        if metric.namespace == _API and _service(alarm.name) == _service(moved.function)
    }


def _service(name: str) -> str:
    """Return the stack's environment and service in a name that CloudFormation made: `prod-<service>-compute-…`."""
    return re.split("-(?:compute|observability)-", name, maxsplit=1)[0]
