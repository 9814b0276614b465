"""Deliver events of CodePipeline, CodeDeploy, alarms and schedules by EventBridge's rules to functions.

The emulator accepts no events from AWS's own services, so this module evaluates a bus's rules for each event, and
invokes the functions among their targets. Metrics that a function writes are read from its log, as CloudWatch does.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

from botocore.exceptions import BotoCoreError, ClientError

from slipway.cloudwatch import MetricStore
from slipway.emulator.accounts import Accounts
from slipway.emulator.partition import ApiError
from slipway.emulator.server import Emulator

_ATTEMPTS = 3
"""Attempts per event: Lambda invokes a function, and twice again if it fails
(https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-error-handling.html).
"""
_RATE = re.compile(r"rate\((?P<number>\d+) (?P<unit>minute|hour|day)s?\)")
"""https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-scheduled-rule-pattern.html"""


class Events:
    """The events of a delivery.

    Args:
        accounts: The running accounts.
    """

    def __init__(self, accounts: Accounts) -> None:
        self._accounts = accounts
        self.metrics = MetricStore()
        """Metrics that the listening functions wrote."""
        self.told = 0
        """Number of invoked functions."""
        self.faults: list[str] = []
        """Delivery failures."""
        self.calling: str | None = None
        """ARN of the running function's role."""
        self._rules: dict[tuple[str, str, str], list[tuple[str, list[Any]]]] = {}
        self._due: dict[str, datetime] = {}
        # Events are delivered one after the other, in order, in the background.
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="events")

    def drain(self) -> None:
        """Wait until all events have been delivered."""
        self._pool.submit(lambda: None).result()

    def close(self) -> None:
        """Stop delivering events."""
        self._pool.shutdown(wait=True, cancel_futures=True)

    def pipeline(self, kind: str, detail: Mapping[str, Any], moment: datetime) -> None:
        """Put an event of the pipeline.

        Args:
            kind: `Pipeline`, `Stage` or `Action`.
            detail: Its detail.
            moment: Virtual time.
        """
        self.put(
            self._accounts.tools, "aws.codepipeline", f"CodePipeline {kind} Execution State Change", detail, moment
        )

    def put(
        self,
        account: str,
        source: str,
        detail_type: str,
        detail: Mapping[str, Any],
        moment: datetime,
        *,
        resources: Sequence[str] = (),
        region: str | None = None,
    ) -> None:
        """Put an event of AWS's own on an account's default bus.

        Args:
            account: The account.
            source: Such as `aws.codedeploy`.
            detail_type: Type of the event.
            detail: Detail of the event.
            moment: Virtual time.
            resources: ARNs of the resources concerned. Default: none.
            region: The region. Default: the account's main one.
        """
        event = self._event(account, source, detail_type, detail, moment, resources=resources)
        event["region"] = region or event["region"]
        with suppress(RuntimeError):  # The player is closed.
            self._pool.submit(self._hand_over, account, event, moment)

    def _event(
        self,
        account: str,
        source: str,
        detail_type: str,
        detail: Mapping[str, Any],
        moment: datetime,
        *,
        resources: Sequence[str],
    ) -> dict[str, Any]:
        return {
            "version": "0",
            "id": str(uuid4()),
            "detail-type": detail_type,
            "source": source,
            "account": account,
            "time": moment.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "region": self._accounts.region(account),
            "resources": list(resources),
            "detail": dict(detail),
        }

    def minute(self, account: str, moment: datetime) -> None:
        """Run an account's schedules for one virtual minute.

        Rules with a rate run when they are due. Rules with a time of day are ignored, because it would rarely be within
        the played minutes. The first run is due one interval after the minute in which a rule is first seen: "the
        countdown begins when you create the rule"
        (https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-scheduled-rule-pattern.html).

        Args:
            account: The account.
            moment: Virtual time.
        """
        with suppress(RuntimeError):  # The player is closed.
            self._pool.submit(self._run_schedules, account, moment)

    def _run_schedules(self, account: str, moment: datetime) -> None:
        for emulator in self._accounts.seen(account):
            client = emulator.session().client("events")
            for rule in client.list_rules(EventBusName="default")["Rules"]:
                if rule.get("State") == "DISABLED" or not self._is_due(rule, moment):
                    continue
                # https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-create-rule-schedule.html
                event = self._event(account, "aws.events", "Scheduled Event", {}, moment, resources=[rule["Arn"]])
                event["region"] = emulator.region
                for target in client.list_targets_by_rule(Rule=rule["Name"], EventBusName="default")["Targets"]:
                    self._try(account, target, event, moment)

    def _is_due(self, rule: Mapping[str, Any], moment: datetime) -> bool:
        found = _RATE.fullmatch(rule.get("ScheduleExpression", ""))
        if found is None:
            return False
        every = timedelta(**{f"{found['unit']}s": int(found["number"])})
        if every <= timedelta(minutes=1):
            return True
        due = self._due.setdefault(rule["Arn"], moment + every - timedelta(minutes=1))
        if moment < due:
            return False
        self._due[rule["Arn"]] = moment + every
        return True

    def _hand_over(self, account: str, event: Mapping[str, Any], moment: datetime) -> None:
        try:
            self._deliver(account, event["region"], "default", event, moment)
        except (ApiError, ClientError, BotoCoreError) as error:
            self._fault(event, error)

    def _deliver(self, account: str, region: str, bus: str, event: Mapping[str, Any], moment: datetime) -> None:
        for target in self._targets(account, region, bus, event):
            self._try(account, target, event, moment)

    def _try(self, account: str, target: Mapping[str, Any], event: Mapping[str, Any], moment: datetime) -> None:
        try:
            self._reach(account, target, event, moment)
        except (ApiError, ClientError, BotoCoreError) as error:
            self._fault(event, error)
        except Exception as error:  # noqa: BLE001  # one target is nothing to the others, and nobody waits for it
            self._fault(event, f"the player failed: {type(error).__name__}: {error}")

    def _reach(self, account: str, target: Mapping[str, Any], event: Mapping[str, Any], moment: datetime) -> None:
        arn = target["Arn"]
        if ":event-bus/" in arn:
            # Another account's bus: the target's role must allow EventBridge to put the event there.
            role = target.get("RoleArn")
            if role is None:
                self._fault(event, f"the target {arn} names no role")
            elif self._accounts.partition.allowed(account, role, "events:PutEvents", arn):
                _, _, _, region, owner, _ = arn.split(":", maxsplit=5)
                self._deliver(owner, region, arn.rpartition("/")[2], event, moment)
            else:
                self._fault(event, f"{role} may not put events on {arn}")
        elif ":lambda:" in arn:
            self._call(self._accounts.emulator(account, arn.split(":")[3]), arn, event, moment)

    def _fault(self, event: Mapping[str, Any], what: object) -> None:
        self.faults.append(f"{event['detail-type']}: {what}")

    def _targets(self, account: str, region: str, bus: str, event: Mapping[str, Any]) -> Iterator[Any]:
        client = self._accounts.emulator(account, region).session().client("events")
        if (account, region, bus) not in self._rules:
            self._rules[account, region, bus] = [
                (
                    rule["EventPattern"],
                    client.list_targets_by_rule(Rule=rule["Name"], EventBusName=bus)["Targets"],
                )
                for rule in client.list_rules(EventBusName=bus)["Rules"]
                if "EventPattern" in rule and rule.get("State") != "DISABLED"
            ]
        for pattern, targets in self._rules[account, region, bus]:
            if client.test_event_pattern(EventPattern=pattern, Event=json.dumps(event))["Result"]:
                yield from targets

    def refresh(self) -> None:
        """Clear the cached rules after a change of stacks."""
        with suppress(RuntimeError):  # The player is closed.
            self._pool.submit(self._rules.clear)

    def _call(self, emulator: Emulator, arn: str, event: Mapping[str, Any], moment: datetime) -> None:
        functions = emulator.session().client("lambda")
        self.calling = functions.get_function_configuration(FunctionName=arn)["Role"]
        content = ""
        try:
            for _ in range(_ATTEMPTS):
                answer = functions.invoke(FunctionName=arn, Payload=json.dumps(event).encode(), LogType="Tail")
                content = answer["Payload"].read().decode("utf-8", "replace")
                log = base64.b64decode(answer.get("LogResult", "")).decode("utf-8", "replace")
                for line in log.splitlines():
                    self._measure(line, moment)
                if not answer.get("FunctionError"):
                    break
            else:
                self._fault(event, f"{arn.split(':')[6]} failed: {content[:300]}")
        finally:
            self.calling = None
        self.told += 1

    def _measure(self, line: str, moment: datetime) -> None:
        """Store the metrics of a log line in the embedded format.

        https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
        """
        try:
            content = json.loads(line[line.index("{") :])
            directives = content["_aws"]["CloudWatchMetrics"]
        except (ValueError, KeyError, TypeError):
            return
        for directive in directives:
            for names in directive["Dimensions"] or [[]]:
                dimensions = {name: str(content[name]) for name in names}
                for metric in directive["Metrics"]:
                    values = content[metric["Name"]]
                    for value in values if isinstance(values, list) else [values]:
                        self.metrics.put(
                            directive["Namespace"], metric["Name"], dimensions, float(value), moment.timestamp()
                        )
