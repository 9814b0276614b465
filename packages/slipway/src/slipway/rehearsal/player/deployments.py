"""CodeDeploy for Lambda: shift an alias to a new version, watch it, and roll back on an alarm.

https://docs.aws.amazon.com/codedeploy/latest/userguide/deployment-steps-lambda.html. Where CloudFormation waits for an
alias's update policy on AWS, it waits here for a custom resource that the alias depends on.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any
from uuid import uuid4

from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from slipway.cloudwatch import Alarm, AlarmState, Metric, MetricStore, evaluate
from slipway.emulator.accounts import Accounts
from slipway.emulator.partition import ApiError, Requester
from slipway.emulator.server import Credentials, Emulator
from slipway.emulator.substitutions import DEPLOYMENT
from slipway.errors import RehearsalError
from slipway.rehearsal.player.clock import VirtualClock
from slipway.rehearsal.player.deployment_history import DeploymentHistory, PastDeployment
from slipway.rehearsal.player.records import PlayedDeployment, PlayedMinute, PlayStatus
from slipway.rehearsal.player.traffic import PlayedTraffic, RequestOutcome
from slipway.settings.shifts import Shift

HOOK_SECONDS = 3_600
"""Time that CodeDeploy waits for a hook's report:
https://docs.aws.amazon.com/codedeploy/latest/userguide/reference-appspec-file-structure-hooks.html.
"""

# Keys of an alarm in CloudWatch's API that are also properties of the resource.
_PROPERTIES = (
    *("ComparisonOperator", "DatapointsToAlarm", "Dimensions", "EvaluateLowSampleCountPercentile"),
    *("EvaluationPeriods", "ExtendedStatistic", "MetricName", "Metrics", "Namespace", "Period", "Statistic"),
    *("Threshold", "TreatMissingData", "Unit"),
)

_LOOKS = frozenset({"BatchGetDeployments", "ListDeployments"})


@dataclass
class _Hook:
    """A hook whose report is pending."""

    role: str
    group: str
    account: str
    region: str
    status: str = ""


@dataclass(frozen=True)
class ShiftRequest:
    """CloudFormation's request: the properties of the custom resource."""

    account: str
    region: str
    stack: str
    function: str
    alias: str
    version: str
    group: Mapping[str, Any]
    group_name: str
    alarms: Sequence[Mapping[str, Any]] = ()
    """Properties of the group's alarms that the emulator does not support: those on metric math."""
    before_hook: str | None = None
    after_hook: str | None = None

    @classmethod
    def of(cls, account: str, event: Mapping[str, Any]) -> ShiftRequest:
        """Return the request in an event."""
        properties = event["ResourceProperties"]
        return cls(
            account=account,
            region=event["StackId"].split(":")[3],
            stack=event["StackId"].split("/")[1],
            function=properties["FunctionName"],
            alias=properties["Alias"],
            version=properties["FunctionVersion"],
            group=properties["DeploymentGroup"],
            group_name=properties["DeploymentGroupName"],
            alarms=properties.get("Alarms", ()),
            before_hook=properties.get("BeforeAllowTrafficHook"),
            after_hook=properties.get("AfterAllowTrafficHook"),
        )


class DeploymentFailedError(RehearsalError):
    """A deployment was stopped. The message says why."""

    event = "DEPLOYMENT_FAILURE"
    """CodeDeploy's name of the event for automatic rollbacks."""


class AlarmRingsError(DeploymentFailedError):
    """An alarm stopped a deployment."""

    event = "DEPLOYMENT_STOP_ON_ALARM"


@dataclass(frozen=True)
class VersionRequests:
    """Requests of a deployment to the versions.

    Attributes:
        events: Handler of the hook → events for the function.
        a_minute: Account → requests per virtual minute.
        by_function: True if the key of `events` is the function's name, for an app without contract checks. Default: it
            is the hook's handler.
    """

    events: Callable[[str], list[dict[str, Any]]]
    a_minute: Mapping[str, int]
    by_function: bool = False

    def key(self, function: str, handler: str) -> str:
        """Return the key for `events`."""
        return function if self.by_function or not handler else handler


class CodeDeploy:
    """CodeDeploy in every account.

    Args:
        accounts: The running accounts.
        stopping: Set when everything must stop.
        before_hook: Called with an account and a function before a hook of its deployment. Default: nothing.
        history: Stores the deployments. Default: they are not stored.
    """

    def __init__(
        self,
        accounts: Accounts,
        stopping: threading.Event,
        *,
        before_hook: Callable[[str, str], None] = lambda *_: None,
        history: DeploymentHistory | None = None,
    ) -> None:
        self._accounts, self._stopping, self._before_hook = accounts, stopping, before_hook
        self._history = history
        self._hooks: dict[str, _Hook] = {}
        self._lock = threading.Lock()
        self.measures = {account: Measures() for account in accounts.ids}
        """Account → the metrics of the requests there."""
        self.moved: dict[tuple[str, str], Moved] = {}
        """The last shift by account and function, for observers after the deployment."""

    def api(self, operation: str, request: dict[str, Any], caller: Requester) -> dict[str, Any]:
        """Answer the operations of CodeDeploy's API that hooks and `slipway rollback` need.

        Raises:
            ApiError: It is refused.
        """
        if self._history is not None and operation in _LOOKS:
            self._check(caller, operation)
            return self._history.ask(operation, request, caller.account)
        if operation != "PutLifecycleEventHookExecutionStatus":
            raise ApiError("InvalidOperationException", f"the player's CodeDeploy does not support {operation}")
        execution = str(request.get("lifecycleEventHookExecutionId", ""))
        with self._lock:
            hook = self._hooks.get(execution)
        if hook is None or hook.account != caller.account:
            raise ApiError("InvalidLifecycleEventHookExecutionIdException", "no hook with that id has a pending report")
        arn = f"arn:aws:codedeploy:{hook.region}:{hook.account}:deploymentgroup:{hook.group}"
        # The emulator has no CodeDeploy that would authorise the call, so the hook's role is checked with its IAM.
        action = "codedeploy:PutLifecycleEventHookExecutionStatus"
        if not self._accounts.partition.allowed(hook.account, hook.role, action, arn):
            raise ApiError("AccessDeniedException", f"{hook.role} is not authorized to perform: {action} on {arn}")
        hook.status = str(request.get("status", ""))
        return {"lifecycleEventHookExecutionId": execution}

    def deploy(
        self, request: ShiftRequest, requests: VersionRequests, clock: VirtualClock, record: PlayedDeployment
    ) -> None:
        """Shift an alias to a new version.

        Args:
            request: CloudFormation's request.
            requests: The traffic.
            clock: Virtual time of the deployment.
            record: Record of its progress.

        Raises:
            DeploymentFailedError: It was stopped, and rolled back as the group is configured.
        """
        deployment: _Run | None = None
        try:
            deployment = _Run(
                self._accounts,
                request,
                requests=requests,
                clock=clock,
                record=record,
                measures=self.measures[request.account],
                stopping=self._stopping,
                before_hook=self._before_hook,
            )
            deployment.begin()
            deployment.before(self._report)
            deployment.shift()
            deployment.after(self._report)
            key = requests.key(request.function, deployment.handler)
            moved = Moved(request.function, request.alias, record.old_version, record.new_version, key, request.region)
            self.moved[request.account, request.function] = moved
        except DeploymentFailedError as error:
            _stopped(record, deployment, error)
            raise
        except (RehearsalError, ApiError, ClientError, BotoCoreError) as error:
            failure = DeploymentFailedError(f"{record.id}: {error}")
            _stopped(record, deployment, failure)
            raise failure from error
        finally:
            record.virtual_seconds = clock.seconds
            self._remember(request, clock, record)
        record.status = PlayStatus.SUCCEEDED

    def _check(self, caller: Requester, operation: str) -> None:
        """Check with IAM that a caller may read deployments.

        Raises:
            ApiError: The caller lacks the permission.
        """
        if caller.access_key_id == caller.account:
            return
        role = f"arn:aws:iam::{caller.account}:role/{caller.role}"
        arn = f"arn:aws:codedeploy:{self._accounts.region(caller.account)}:{caller.account}:deploymentgroup:*"
        if not caller.role or not self._accounts.partition.allowed(
            caller.account, role, f"codedeploy:{operation}", arn
        ):
            raise ApiError("AccessDeniedException", f"not authorized to perform: codedeploy:{operation} on {arn}")

    def _remember(self, request: ShiftRequest, clock: VirtualClock, record: PlayedDeployment) -> None:
        if self._history is None:
            return
        ended = clock.now.timestamp()
        self._history.add(
            PastDeployment(
                id=record.id,
                account=request.account,
                application=str(request.group.get("ApplicationName", "")),
                group=request.group_name,
                function=request.function,
                alias=request.alias,
                old_version=record.old_version,
                new_version=record.new_version,
                succeeded=record.status is not PlayStatus.FAILED,
                started=ended - clock.seconds,
                ended=ended,
            )
        )

    def know(self, account: str) -> None:
        """Find the existing aliases, from the hooks of their deployment groups.

        Args:
            account: The account.
        """
        for emulator in self._accounts.seen(account):
            self._know(account, emulator)

    def _know(self, account: str, emulator: Emulator) -> None:
        session = emulator.session()
        functions = session.client("lambda")
        formation = session.client("cloudformation")
        for page in formation.get_paginator("describe_stacks").paginate():
            for stack in page["Stacks"]:
                resources = formation.describe_stack_resources(StackName=stack["StackName"])["StackResources"]
                for resource in resources:
                    if resource["ResourceType"] != DEPLOYMENT:
                        continue
                    function, _, alias = resource["PhysicalResourceId"].partition(":")
                    version = functions.get_alias(FunctionName=function, Name=alias)["FunctionVersion"]
                    handler = _hook_handler(functions, resources, resource["LogicalResourceId"])
                    if handler:
                        self.moved[account, function] = Moved(
                            function, alias, version, version, handler, emulator.region
                        )

    def _report(self, hook: _Hook, execution: str, wait: Callable[[], None]) -> str:
        """Run a hook and return its report; empty if it made none."""
        with self._lock:
            self._hooks[execution] = hook
        try:
            wait()
        finally:
            with self._lock:
                del self._hooks[execution]
        return hook.status


_Report = Callable[[_Hook, str, Callable[[], None]], str]


@dataclass(frozen=True)
class Moved:
    """A moved alias, and the kind of requests that its function answers."""

    function: str
    alias: str
    old_version: str
    new_version: str
    handler: str
    region: str
    """The account and region of the function."""


class Measures:
    """Metrics of the requests to an account's functions, in virtual time: Lambda's, and the functions' own."""

    def __init__(self) -> None:
        self._store = MetricStore()
        self._lock = threading.Lock()

    def put(self, function: str, alias: str, met: Sequence[tuple[str, RequestOutcome]], start: float) -> None:
        """Add the requests of a minute, spread over it.

        Args:
            function: Name of the function.
            alias: The alias that they were sent to.
            met: The version and the outcome of each request.
            start: Start of the minute, Unix time in seconds.
        """
        with self._lock:
            for place, (version, outcome) in enumerate(met):
                at = start + 60.0 * place / len(met)
                self._one(function, alias, version, outcome, at)
                for each in outcome.counted:
                    ones = [1.0] * len(each.values)
                    self._store.put_values(each.metric, each.values, at, counts=ones, unit=each.unit)

    def put_answers(self, metric: Metric, met: Sequence[tuple[str, RequestOutcome]], start: float) -> None:
        """Add a minute's answers with 5xx to an API's count.

        Args:
            metric: The metric of the count.
            met: The requests, as for `put`.
            start: Start of the minute, Unix time in seconds.
        """
        with self._lock:
            for place, (_, outcome) in enumerate(met):
                if outcome.server_error is not None:
                    at = start + 60.0 * place / len(met)
                    self._store.put_values(metric, [float(outcome.server_error)], at, counts=[1.0])

    def state(self, alarm: Alarm, at: float, previous: AlarmState) -> AlarmState:
        """Return an alarm's state at a time."""
        with self._lock:
            return evaluate(alarm, self._store, at, previous).state

    def _one(self, function: str, alias: str, version: str, outcome: RequestOutcome, at: float) -> None:
        resource = f"{function}:{alias}"
        # https://docs.aws.amazon.com/lambda/latest/dg/monitoring-metrics-view.html
        places = (
            {"FunctionName": function},
            {"FunctionName": function, "Resource": resource},
            {"FunctionName": function, "Resource": resource, "ExecutedVersion": version},
        )
        for dimensions in places:
            self._store.put("AWS/Lambda", "Throttles", dimensions, float(outcome.throttled), at)
            if outcome.throttled:
                continue
            self._store.put("AWS/Lambda", "Invocations", dimensions, 1.0, at)
            self._store.put("AWS/Lambda", "Errors", dimensions, float(outcome.failed), at)
            if not outcome.cold:
                self._store.put("AWS/Lambda", "Duration", dimensions, outcome.milliseconds, at)


class _Run:
    """One deployment."""

    def __init__(
        self,
        accounts: Accounts,
        request: ShiftRequest,
        *,
        requests: VersionRequests,
        clock: VirtualClock,
        record: PlayedDeployment,
        measures: Measures,
        stopping: threading.Event,
        before_hook: Callable[[str, str], None],
    ) -> None:
        self._before_hook = before_hook
        self._request, self._requests, self._clock, self._record = request, requests, clock, record
        self._stopping, self._measures = stopping, measures
        self._emulator = accounts.emulator(request.account, request.region)
        role_arn = request.group["ServiceRoleArn"]
        role = accounts.partition.assume(role_arn, record.id)
        self._allowed = partial(accounts.partition.allowed, request.account, role_arn)
        config = Config(read_timeout=130, retries={"total_max_attempts": 1})
        self._lambda = self._emulator.session(role).client("lambda", config=config)
        self._alarms = self._watched(role)
        self._states = dict.fromkeys((alarm.name for alarm in self._alarms), AlarmState.INSUFFICIENT_DATA)
        self.handler = ""
        """Handler of the hook, which determines the function's checks."""

    def begin(self) -> None:
        """Check the alarms: CodeDeploy starts no deployment while one of them is active."""
        now = self._clock.now.timestamp()
        states = {alarm.name: self._measures.state(alarm, now, AlarmState.INSUFFICIENT_DATA) for alarm in self._alarms}
        if ringing := self._ringing(states):
            raise AlarmRingsError(f"{self._record.id}: {', '.join(ringing)} is already in alarm")

    def before(self, report: _Report) -> None:
        """Run the hook before traffic."""
        if self._request.before_hook:
            self._hook("BeforeAllowTraffic", self._request.before_hook, report)

    def after(self, report: _Report) -> None:
        """Run the hook after traffic."""
        if self._request.after_hook:
            self._hook("AfterAllowTraffic", self._request.after_hook, report)

    def shift(self) -> None:
        """Move the traffic, minute by minute, and watch."""
        try:
            weights = Shift.named(self._record.configuration).weights
        except ValueError as error:
            raise RehearsalError(f"the player does not support the deployment configuration: {error}") from error
        if weights:
            requests = self._requests.events(self._requests.key(self._request.function, self.handler))
            traffic = PlayedTraffic(self._emulator, self._request.function, requests, self._stopping)
            for number, weight in enumerate(weights):
                self._route(weight)
                self._minute(number, weight, traffic)
        self._route(1.0)
        # The old version gets no more calls: AWS ends its environments too.
        self._emulator.recycle(self._request.function, self._record.old_version)

    def back(self, failure: DeploymentFailedError) -> None:
        """Give the old version all traffic again, if the group is configured to.

        Args:
            failure: The failure that stopped the deployment.
        """
        rollback = self._request.group.get("AutoRollbackConfiguration", {})
        event = "DEPLOYMENT_STOP_ON_REQUEST" if self._stopping.is_set() else failure.event
        if str(rollback.get("Enabled")).lower() != "true" or event not in rollback.get("Events", ()):
            return
        try:
            self._route(0.0)
        except (DeploymentFailedError, ClientError, BotoCoreError) as error:
            # Report what stopped it.
            self._record.reason += f"; and it could not be rolled back: {error}"

    def _minute(self, number: int, weight: float, traffic: PlayedTraffic) -> None:
        old, new = self._record.old_version, self._record.new_version
        start = self._clock.now.timestamp()
        met = traffic.send(self._requests.a_minute[self._emulator.account], old=old, new=new, weight=weight)
        self._measures.put(self._request.function, self._request.alias, met, start)
        # The time for sending the requests is part of the minute.
        self._clock.wait(max(0.0, 60.0 - (self._clock.now.timestamp() - start)))
        for alarm in self._alarms:
            self._states[alarm.name] = self._measures.state(alarm, start + 60.0, self._states[alarm.name])
        theirs = [outcome for version, outcome in met if version == new]
        others = [outcome for version, outcome in met if version != new]
        self._record.met_new += len(theirs)
        self._record.failed_new += sum(outcome.bad for outcome in theirs)
        self._record.minutes.append(
            PlayedMinute(
                minute=number + 1,
                weight=weight,
                requests_old=len(others),
                requests_new=len(theirs),
                errors_old=sum(outcome.bad for outcome in others),
                errors_new=sum(outcome.bad for outcome in theirs),
                slowest_ms=max((outcome.milliseconds for outcome in theirs if not outcome.cold), default=0.0),
                alarms={self._short(name): state.value for name, state in self._states.items()},
            )
        )
        if ringing := self._ringing(self._states):
            raise AlarmRingsError(
                f"{self._record.id}: {', '.join(ringing)} became active in minute {number + 1} at {weight:.0%} of the "
                f"traffic; {self._record.failed_new} of {self._record.met_new} requests to version {new} failed"
            )

    def _ringing(self, states: Mapping[str, AlarmState]) -> list[str]:
        return [self._short(name) for name, state in states.items() if state is AlarmState.ALARM]

    def _watched(self, role: Credentials) -> list[Alarm]:
        """Return the group's alarms, read under the group's role."""
        configuration = self._request.group.get("AlarmConfiguration", {})
        of_math = {alarm["AlarmName"]: alarm for alarm in self._request.alarms}
        names = [alarm["Name"] for alarm in configuration.get("Alarms", []) if alarm["Name"] not in of_math]
        if not (names or of_math) or str(configuration.get("Enabled", "true")).lower() == "false":
            return []
        client = self._emulator.session(role).client("cloudwatch")
        try:
            found = client.describe_alarms(AlarmNames=names)["MetricAlarms"] if names else []
        except ClientError as error:
            raise DeploymentFailedError(
                f"{self._record.id}: the group's role may not see its alarms: {error}"
            ) from error
        if missing := set(names) - {alarm["AlarmName"] for alarm in found}:
            raise DeploymentFailedError(f"{self._record.id}: alarm {', '.join(sorted(missing))} does not exist")
        return [*(alarm_of(alarm) for alarm in found), *(Alarm.from_template(alarm) for alarm in of_math.values())]

    def _route(self, weight: float) -> None:
        """Route a share of the alias's traffic to the new version, all of it, or none."""
        main = self._record.new_version if weight >= 1 else self._record.old_version
        weights = {self._record.new_version: weight} if 0 < weight < 1 else {}
        region, account, name = self._emulator.region, self._request.account, self._request.function
        # The emulator authorises a change of an alias as a list of aliases, so its IAM is queried here, and the root
        # makes the change.
        if not self._allowed("lambda:UpdateAlias", f"arn:aws:lambda:{region}:{account}:function:{name}"):
            raise DeploymentFailedError(f"{self._record.id}: the group's role may not move the alias of {name}")
        self._emulator.session().client("lambda").update_alias(
            FunctionName=name,
            Name=self._request.alias,
            FunctionVersion=main,
            RoutingConfig={"AdditionalVersionWeights": weights},
        )

    def _hook(self, event: str, function: str, report: _Report) -> None:
        execution = str(uuid4())
        name = function.split(":")[6] if function.startswith("arn:") else function
        configured = self._emulator.session().client("lambda").get_function_configuration(FunctionName=name)
        self.handler = self.handler or configured["Handler"]
        group = f"{self._request.group['ApplicationName']}/{self._request.group_name}"
        hook = _Hook(configured["Role"], group, self._request.account, self._request.region)
        self._before_hook(self._request.account, self._request.function)
        payload = {"DeploymentId": self._record.id, "LifecycleEventHookExecutionId": execution}
        said = ""

        def call() -> None:
            nonlocal said
            try:
                answer = self._lambda.invoke(FunctionName=function, Payload=json.dumps(payload).encode())
            except ClientError as error:
                raise DeploymentFailedError(
                    f"{self._record.id}: the group's role may not call {event}: {error}"
                ) from error
            said = answer["Payload"].read().decode("utf-8", "replace")

        status = report(hook, execution, call)
        self._emulator.recycle(name.partition(":")[0])
        if not status:
            # No report will come: CodeDeploy would wait, and then fail.
            self._clock.wait(HOOK_SECONDS)
            self._record.hooks[event] = "TimedOut"
            raise DeploymentFailedError(f"{self._record.id}: {event} did not report within an hour: {said[:300]}")
        self._record.hooks[event] = status
        if status != "Succeeded":
            raise DeploymentFailedError(f"{self._record.id}: {event} reported {status}: {_failures(said)}")

    def _short(self, name: str) -> str:
        """Return an alarm's name without the parts of its stack, its deployment and CloudFormation."""
        own = name.removeprefix(f"{self._request.stack}-")
        return re.sub(r"^\w+?Deployment(?=[A-Z])|[0-9A-F]{8}(-\w+)?$", "", own)


def _stopped(record: PlayedDeployment, deployment: _Run | None, failure: DeploymentFailedError) -> None:
    record.status, record.reason = PlayStatus.FAILED, str(failure)
    if deployment is not None:
        deployment.back(failure)


def alarm_of(described: Any) -> Alarm:
    """Return the alarm that CloudWatch's API describes."""
    properties = {key: described[key] for key in _PROPERTIES if described.get(key) not in (None, [], "")}
    if "ExtendedStatistic" in properties:
        # The emulator returns both an average and a percentile; AWS returns one of the two.
        properties.pop("Statistic", None)
    return Alarm.from_template(properties, name=described["AlarmName"])


def _hook_handler(functions: Any, resources: Sequence[Any], logical_id: str) -> str | None:
    """Return the handler of a deployment's hook, which belongs to the same `SafeDeployment` construct."""
    # `ApiFunctionLive<hash>Deployment` → `ApiDeploymentHookFunction<hash>`
    name = re.sub(r"(Function)?Live[0-9A-F]{8}Deployment$", "", logical_id)
    for resource in resources:
        if resource["ResourceType"] == "AWS::Lambda::Function" and re.fullmatch(
            rf"{name}DeploymentHookFunction[0-9A-F]{{8}}", resource["LogicalResourceId"]
        ):
            handler: str = functions.get_function_configuration(FunctionName=resource["PhysicalResourceId"])["Handler"]
            return handler
    return None


def _failures(said: str) -> str:
    try:
        verdict = json.loads(said)
        return "; ".join(verdict["failures"])[:300] or said[:300]
    except (ValueError, KeyError, TypeError):
        return said[:300]


def record_of(request: ShiftRequest, old_version: str) -> PlayedDeployment:
    """Return the record of a starting deployment."""
    return PlayedDeployment(
        id=f"d-{uuid4().hex[:9].upper()}",
        function=request.function,
        alias=request.alias,
        old_version=old_version,
        new_version=request.version,
        configuration=str(request.group.get("DeploymentConfigName", "CodeDeployDefault.LambdaAllAtOnce")),
    )
