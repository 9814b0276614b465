"""Alarms, each on one metric, so that its meaning is clear at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from aws_cdk import Duration
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_cloudwatch_actions as actions
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from slipway.blocks.backup import ServiceBackup
from slipway.blocks.function import ServiceFunction
from slipway.blocks.http import HttpEntry
from slipway.blocks.messaging import AlarmTopic, DeadLetterQueue
from slipway.blocks.objectives import ObjectiveAlarms
from slipway.blocks.probe import ServiceProbe
from slipway.blocks.rest import RestEntry
from slipway.blocks.table import ServiceTable
from slipway.settings.model import AlarmSettings, Objectives

MINUTE = Duration.minutes(1)

SET_OFF_BY_CALLERS = "SetOffByCallers"
"""Part of the name of every alarm that callers can trigger by what they send: 4xx, and throttles.

Such an alarm notifies people. It says nothing about a release, so no bake counts it (slipway.delivery.relay); otherwise
anybody could roll back a release with a few bad requests.
"""

REFUSALS_PERIOD = Duration.minutes(5)
"""Period of the share of refused requests."""

DURATION_SHARE = 0.8
"""Share of a function's time-out that its p90 may take before its alarm becomes active."""

ITERATOR_AGE_MS = 60_000
"""Maximum lag of a stream's reader, milliseconds: a minute, compared to the stream's 24 hours."""


STOP_BY = ("dead-letters", "api-5xx", "function-errors", "function-duration", "stream-iterator-age", "queue-age")
"""Runbooks of the alarms that end an experiment, the gravest first: lost work, then refused work, then late work."""


class ServiceAlarms(Construct):
    """The alarms of a service; each notifies the topic when it becomes active and when it is over.

    The names of those that callers can trigger contain `SET_OFF_BY_CALLERS`.

    Args:
        scope: The observability stack.
        construct_id: Id in it.
        topic: The topic that the alarms notify.
        settings: Address of the runbooks that alarm descriptions link to, and the share of refused requests.
    """

    def __init__(self, scope: Construct, construct_id: str, *, topic: AlarmTopic, settings: AlarmSettings) -> None:
        super().__init__(scope, construct_id)
        self._settings = settings
        self._by_callers = Construct(self, SET_OFF_BY_CALLERS)
        self._topic = topic
        self._action = actions.SnsAction(topic)
        self._alarms: list[cloudwatch.Alarm] = []
        self._by_runbook: dict[str, list[cloudwatch.Alarm]] = {}

    @property
    def all(self) -> Sequence[cloudwatch.Alarm]:
        """Return every alarm created so far, in order."""
        return tuple(self._alarms)

    def stop_conditions(self, most: int) -> Sequence[cloudwatch.Alarm]:
        """Return the alarms that end an experiment, the gravest first: none that callers can trigger.

        Args:
            most: Maximum number of alarms.
        """
        found = [
            alarm
            for runbook in STOP_BY
            for alarm in self._by_runbook.get(runbook, ())
            if self._by_callers not in alarm.node.scopes
        ]
        return tuple(found[:most])

    def on_function(self, name: str, function: ServiceFunction, *, errors: int) -> None:
        """Watch a function's errors, throttles and p90 duration.

        Args:
            name: The function's name in ids and descriptions.
            function: The function, all its versions together.
            errors: Errors per minute tolerated; the alarm needs two such minutes in a row.
        """
        of = function.function
        self._add(
            f"{name}Errors",
            "function-errors",
            of.metric_errors(period=MINUTE, statistic="Sum"),
            more_than=errors,
            periods=2,
            says=f"{name} fails more than {errors} times per minute",
        )
        self._add(
            f"{name}Throttles",
            "function-throttles",
            of.metric_throttles(period=MINUTE, statistic="Sum"),
            at_least=1,
            says=f"{name} is throttled: its reserved concurrency or the account's is used up",
            by_callers=function.invoked_by_callers,
        )
        limit = function.settings.timeout_seconds * 1000 * DURATION_SHARE
        self._add(
            f"{name}Duration",
            "function-duration",
            of.metric_duration(period=MINUTE, statistic="p90"),
            at_least=limit,
            says=f"One in ten calls of {name} takes at least {DURATION_SHARE:.0%} of its time-out",
        )

    def on_stream(self, name: str, function: ServiceFunction) -> None:
        """Watch the age of the oldest record that a stream's reader has not read."""
        self._add(
            f"{name}IteratorAge",
            "stream-iterator-age",
            function.function.metric("IteratorAge", period=MINUTE, statistic="Maximum"),
            at_least=ITERATOR_AGE_MS,
            periods=2,
            says=f"{name} is more than {ITERATOR_AGE_MS // 1000} s behind its stream",
        )

    def on_api(self, entry: RestEntry | HttpEntry, *, server_errors: int) -> None:
        """Watch an API's 5xx answers, and the share of its requests that it answers with 4xx.

        Args:
            entry: The API.
            server_errors: 5xx per minute tolerated.
        """
        stage = entry.stage
        self._add(
            "Api5xx",
            "api-5xx",
            stage.metric_server_error(period=MINUTE, statistic="Sum"),
            more_than=server_errors,
            says=f"The API answers more than {server_errors} requests per minute with 5xx",
        )
        percent, floor = self._settings.client_error_percent, self._settings.client_error_floor
        minutes = REFUSALS_PERIOD.to_minutes()
        self._add(
            "Api4xx",
            "api-4xx",
            cloudwatch.MathExpression(
                # A share of few requests means nothing.
                expression=f"IF(requests >= {floor}, 100 * refused / requests, 0)",
                using_metrics={
                    "requests": stage.metric_count(period=REFUSALS_PERIOD, statistic="Sum"),
                    "refused": stage.metric_client_error(period=REFUSALS_PERIOD, statistic="Sum"),
                },
                period=REFUSALS_PERIOD,
                label="4xx of all, %",
            ),
            at_least=percent,
            says=f"The API answers {percent} % of at least {floor} requests in {minutes:g} minutes with 4xx",
            by_callers=True,
        )

    def on_table(self, name: str, table: ServiceTable, *, indexes: Sequence[str] = ()) -> None:
        """Watch throttled reads and writes of a table and each index: a throttled index stops the table's writes."""
        places: list[tuple[str, dict[str, str]]] = [(name, {})] + [
            (f"{name}Index{_title(index)}", {"GlobalSecondaryIndexName": index}) for index in indexes
        ]
        for place, dimensions in places:
            for metric in ("ReadThrottleEvents", "WriteThrottleEvents"):
                self._add(
                    f"{place}{metric.removesuffix('Events')}s",
                    "table-throttles",
                    _of_table(table, metric, dimensions),
                    at_least=1,
                    says=f"DynamoDB throttles {metric.removesuffix('ThrottleEvents').lower()}s of {place}",
                    by_callers=True,
                )

    def on_user_errors(self, *, errors: int) -> None:
        """Watch requests that DynamoDB rejects as invalid.

        The metric has no dimension for the table: it counts per account and region, and so does the alarm.

        Args:
            errors: Errors per minute at which the alarm becomes active.
        """
        self._add(
            "TableUserErrors",
            "table-user-errors",
            cloudwatch.Metric(namespace="AWS/DynamoDB", metric_name="UserErrors", statistic="Sum", period=MINUTE),
            at_least=errors,
            says=f"DynamoDB rejects {errors} requests per minute as invalid, in the whole account",
            by_callers=True,
        )

    def on_queue(self, name: str, queue: sqs.IQueue, *, age: Duration) -> None:
        """Watch the age of the oldest message in a queue.

        Args:
            name: The queue's name in ids and descriptions.
            queue: The queue.
            age: Age at which the alarm becomes active.
        """
        self._add(
            f"{name}Age",
            "queue-age",
            queue.metric_approximate_age_of_oldest_message(period=MINUTE, statistic="Maximum"),
            at_least=age.to_seconds(),
            says=f"A message of {name} waits for {age.to_seconds():g} s",
        )

    def on_probe(self, probe: ServiceProbe | None) -> None:
        """Watch for faults found by the probe, and for runs that could not reach the service.

        Callers can cause the second by using up the API's rate or the function's concurrency, so it only notifies
        people. Missing data triggers neither: a run that fails as a function leaves its event in the dead letters.

        Args:
            probe: The service's probe; None if it has none.
        """
        if probe is None:
            return
        self._add(
            "ProbeFailed",
            "probe-failed",
            probe.metric("ProbeSuccess", statistic="Minimum"),
            less_than=1,
            says="The service answers incorrectly at its public address",
        )
        self._add(
            "ProbeUnanswered",
            "probe-failed",
            probe.metric("ProbeUnanswered", statistic="Minimum"),
            at_least=1,
            periods=2,
            says="The service is throttled or unreachable: the gateway answers in its place",
            by_callers=True,
        )

    def on_objectives(self, objectives: Objectives | None, entry: RestEntry | HttpEntry) -> None:
        """Watch how fast the error budgets burn.

        Args:
            objectives: The service's objectives; None if it has none.
            entry: The API that the objectives apply to.
        """
        if objectives is not None:
            ObjectiveAlarms(
                self,
                "Objectives",
                objectives=objectives,
                api=entry,
                topic=self._topic,
                runbook=runbook_link(self._settings.runbooks, "budget-burns"),
            )

    def on_backup(self, backup: ServiceBackup) -> None:
        """Watch for a failed backup within the last hour: the next one is a day away."""
        self._add(
            "BackupFailed",
            "backup-failed",
            backup.failures.metric_approximate_number_of_messages_visible(period=MINUTE, statistic="Maximum"),
            at_least=1,
            says="A backup failed, and the newest recovery point is at least a day old",
        )

    def on_dead_letters(self, queue: DeadLetterQueue, name: str = "DeadLetters") -> None:
        """Watch a dead-letter queue for messages."""
        self._add(
            name,
            "dead-letters",
            queue.metric_approximate_number_of_messages_visible(period=MINUTE, statistic="Maximum"),
            at_least=1,
            says="Work failed for good and waits in the dead-letter queue",
        )

    def _add(
        self,
        construct_id: str,
        runbook: str,
        metric: cloudwatch.IMetric,
        *,
        says: str,
        at_least: float | None = None,
        more_than: float | None = None,
        less_than: float | None = None,
        periods: int = 1,
        by_callers: bool = False,
    ) -> None:
        operator = cloudwatch.ComparisonOperator
        compared = {
            operator.GREATER_THAN_OR_EQUAL_TO_THRESHOLD: at_least,
            operator.GREATER_THAN_THRESHOLD: more_than,
            operator.LESS_THAN_THRESHOLD: less_than,
        }
        given = [(comparison, figure) for comparison, figure in compared.items() if figure is not None]
        if len(given) != 1:
            raise ValueError(f"{construct_id}: pass one of at_least, more_than and less_than")
        comparison, threshold = given[0]
        alarm = cloudwatch.Alarm(
            self._by_callers if by_callers else self,
            construct_id,
            alarm_description=f"{says}. {runbook_link(self._settings.runbooks, runbook)}",
            metric=metric,
            threshold=threshold,
            comparison_operator=comparison,
            evaluation_periods=periods,
            datapoints_to_alarm=periods,
            treat_missing_data=cloudwatch.TreatMissingData.NOT_BREACHING,
        )
        alarm.add_alarm_action(self._action)
        alarm.add_ok_action(self._action)
        self._alarms.append(alarm)
        self._by_runbook.setdefault(runbook, []).append(alarm)


def runbook_link(runbooks: str, name: str) -> str:
    """Return the end of an alarm's description: the link to its runbook.

    Args:
        runbooks: Address of the folder of runbooks.
        name: The page in `docs/runbooks/`, without its ending.
    """
    return f"Runbook: {runbooks}/{name}.md"


def _of_table(table: ServiceTable, metric: str, dimensions: Mapping[str, str]) -> cloudwatch.Metric:
    return cloudwatch.Metric(
        namespace="AWS/DynamoDB",
        metric_name=metric,
        dimensions_map={"TableName": table.table_name, **dimensions},
        statistic="Sum",
        period=MINUTE,
    )


def _title(name: str) -> str:
    return "".join(part.capitalize() for part in name.split("-"))
