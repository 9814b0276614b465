"""Moving traffic to a new version, and back."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from aws_cdk import Duration, Stack
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_codedeploy as codedeploy
from aws_cdk import aws_iam as iam
from constructs import Construct

from slipway.blocks.acknowledgements import accept
from slipway.blocks.alarms import runbook_link
from slipway.blocks.function import ServiceFunction
from slipway.blocks.messaging import DeadLetterQueue
from slipway.settings import Environment, FunctionSettings
from slipway.settings.model import ApiFunctionSettings
from slipway.settings.shifts import PREFIX, Shift, ShiftKind

HOOK = FunctionSettings(memory_mb=256, timeout_seconds=900)
"""Size of a pre-traffic hook: it makes a handful of calls, waits for each as long as the function may take, and repeats
what is throttled. Lambda's longest time-out, well within the hour that CodeDeploy waits for its report."""

_PERIOD = Duration.minutes(1)

FAULT_MINUTES = 5
"""How far back the alarm on faults looks: as long as the shortest canary, and longer than logs take to be counted."""


class SafeDeployment(Construct):
    """CodeDeploy on a function's alias `live`: contract check, canary, alarms, automatic rollback.

    The alarms watch the new version alone, so that an old version that is already failing cannot block its own fix.
    They read what Lambda itself emits, which a version that crashes at import trips; and the faults that the version
    counts, for a 5xx answer and a message that is named as failed are none of Lambda's errors. A function that can fail
    in no other way than by raising, such as the worker of `processing`, has no faults to count. The alarms stand in the
    function's own stack, so that no cycle of stacks arises.

    Latency counts for a function that a caller waits for. What reads a queue or a stream, or works on an event, takes
    as long as there is work in its batch: its backlog has an alarm by age in the observability stack. Throttles count
    for the readers alone: by sending more than the reserved concurrency takes, anybody could roll back the others.

    Args:
        scope: the compute stack.
        construct_id: id in it.
        function: the function whose `live` moves.
        hook_handler: handler of the contract check that runs before traffic.
        dead_letters: where a hook invocation goes that failed for good: CodeDeploy invokes it asynchronously.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        function: ServiceFunction,
        hook_handler: str,
        dead_letters: DeadLetterQueue,
    ) -> None:
        super().__init__(scope, construct_id)
        environment = function.environment
        if not isinstance(environment, Environment):
            raise TypeError(f"{self.node.path}: {environment.name} is no environment that changes are delivered to")
        self.hook = ServiceFunction(
            self,
            "Hook",
            service=function.service,
            environment=environment,
            settings=HOOK,
            assets=function.assets,
            key=function.key,
            handler=hook_handler,
            description=f"Contract check of {function.node.id} before a new version takes traffic",
            variables={"TARGET_ALIAS_ARN": function.staging.function_arn},
            dead_letters=dead_letters,
            asynchronous=True,
        )
        self.hook.allow(actions=["lambda:InvokeFunction"], resources=[function.staging.function_arn])

        role = iam.Role(
            self,
            "Role",
            assumed_by=iam.ServicePrincipal("codedeploy.amazonaws.com"),
            description=f"Moves live of {function.node.id} to a new version",
        )
        policy = self._permissions(role, function)
        self.alarms = self._alarms(function, environment)
        self.group = codedeploy.LambdaDeploymentGroup(
            self,
            "Group",
            alias=function.live,
            application=codedeploy.LambdaApplication(self, "Application"),
            # Immutable, because CDK adds AWS's managed policy, which reaches every function of the account.
            role=role.without_policy_updates(),
            deployment_config=_deployment_config(self, environment.deployment.shift),
            alarms=list(self.alarms),
            # By the function's name alone, as AWS documents it:
            # https://docs.aws.amazon.com/codedeploy/latest/userguide/reference-appspec-file-structure-hooks.html
            pre_hook=self.hook.function,
            auto_rollback=codedeploy.AutoRollbackConfig(
                deployment_in_alarm=True, failed_deployment=True, stopped_deployment=True
            ),
        )
        self.hook.allow(
            actions=["codedeploy:PutLifecycleEventHookExecutionStatus"],
            resources=[self.group.deployment_group_arn],
        )
        # A deployment starts when the alias is updated: everything that it uses has to stand by then.
        function.live.node.add_dependency(policy, self.hook)

    def _permissions(self, role: iam.Role, function: ServiceFunction) -> iam.ManagedPolicy:
        policy = iam.ManagedPolicy(self, "Policy", roles=[role], description=f"CodeDeploy on {function.node.id}")
        alias_arn = f"{function.function.function_arn}:live"
        policy.add_statements(
            iam.PolicyStatement(
                actions=["lambda:GetAlias", "lambda:UpdateAlias", "lambda:GetProvisionedConcurrencyConfig"],
                resources=[function.function.function_arn, alias_arn],
            ),
            iam.PolicyStatement(
                actions=["lambda:InvokeFunction"],
                resources=[self.hook.function.function_arn, self.hook.live.function_arn],
            ),
            iam.PolicyStatement(actions=["cloudwatch:DescribeAlarms"], resources=["*"]),
        )
        accept(
            policy,
            "AwsSolutions-IAM5",
            "Slipway-ExactPermissions",
            finding="Resource::*",
            reason="CodeDeploy asks for the alarms' states in a list call, which AWS's own managed policy for this "
            "role also allows over all alarms; the action only reads.",
        )
        return policy

    def _alarms(self, function: ServiceFunction, environment: Environment) -> Sequence[cloudwatch.Alarm]:
        alarm = partial(self._alarm, environment.alarms.runbooks)
        alarms = [
            alarm(
                "Errors", _of_lambda(function, "Errors", "Sum"), 1, "The new version failed: CodeDeploy rolls it back"
            ),
            alarm(
                "Faults",
                _faults(function, environment),
                1,
                "The new version answered with 5xx or failed a message: CodeDeploy rolls it back",
                minutes=FAULT_MINUTES,
            ),
        ]
        if isinstance(function.settings, ApiFunctionSettings):
            alarms.append(
                alarm(
                    "Latency",
                    _of_lambda(function, "Duration", "p99"),
                    function.settings.latency_threshold_ms,
                    "The new version is slow: CodeDeploy rolls it back",
                )
            )
        if not function.invoked_by_callers:
            alarms.append(
                alarm(
                    "Throttles",
                    _of_lambda(function, "Throttles", "Sum"),
                    1,
                    "The new version is throttled: CodeDeploy rolls it back",
                )
            )
        return alarms

    def _alarm(
        self,
        runbooks: str,
        construct_id: str,
        metric: cloudwatch.IMetric,
        threshold: float,
        description: str,
        *,
        minutes: int = 1,
    ) -> cloudwatch.Alarm:
        made = cloudwatch.Alarm(
            self,
            construct_id,
            alarm_description=f"{description}. {runbook_link(runbooks, 'new-version')}",
            metric=metric,
            threshold=threshold,
            evaluation_periods=minutes,
            datapoints_to_alarm=1,
            comparison_operator=cloudwatch.ComparisonOperator.GREATER_THAN_OR_EQUAL_TO_THRESHOLD,
            # These metrics exist only while the alias has two versions.
            treat_missing_data=cloudwatch.TreatMissingData.NOT_BREACHING,
        )
        accept(
            made,
            "NIST.800.53.R5-CloudWatchAlarmAction",
            "HIPAA.Security-CloudWatchAlarmAction",
            reason="CodeDeploy reads this alarm while it moves traffic, and rolls back; people are told of the "
            "failed deployment, and of faults in what serves by the alarms of observability.",
        )
        return made


def _of_lambda(function: ServiceFunction, metric: str, statistic: str) -> cloudwatch.Metric:
    """Return one of Lambda's metrics of the new version while the alias shares its traffic."""
    name = function.function.function_name
    version = function.function.current_version.version
    return cloudwatch.Metric(
        namespace="AWS/Lambda",
        metric_name=metric,
        dimensions_map={"FunctionName": name, "Resource": f"{name}:live", "ExecutedVersion": version},
        statistic=statistic,
        period=_PERIOD,
    )


def _faults(function: ServiceFunction, environment: Environment) -> cloudwatch.MathExpression:
    """Return what the new version itself calls failures, while the alias shares its traffic."""
    # What the version itself calls a failure (slipway_runtime.telemetry). It is counted as long as the version
    # lives. In the alarm it counts while Lambda tells the alias's two versions apart, so that a version that fails
    # long after its deployment is not in alarm when its fix is deployed: CodeDeploy stops a deployment that begins
    # with an alarm on, and an alarm keeps its state when it is given another version to watch.
    #
    # Both metrics come late, Lambda's by a minute and what is counted by way of the log. `REPEAT` holds the gate
    # open over the minutes of which Lambda has said nothing yet, and any of the last minutes sets the alarm off: of
    # the last one alone it would be stuck at the filler. Where the gate is open, `IF` takes a minute without faults
    # for 0 (https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/using-metric-math.html).
    return cloudwatch.MathExpression(
        expression="IF(FILL(invocations, REPEAT), faults)",
        using_metrics={
            "invocations": _of_lambda(function, "Invocations", "Sum"),
            "faults": cloudwatch.Metric(
                namespace=environment.tags.project,
                metric_name="Faults",
                dimensions_map={
                    "service": function.service,
                    "function_name": function.function.function_name,
                    "function_version": function.function.current_version.version,
                },
                statistic="Sum",
                period=_PERIOD,
            ),
        },
        period=_PERIOD,
        label="Faults of the new version while traffic is shared",
    )


def _deployment_config(scope: Construct, shift: Shift) -> codedeploy.ILambdaDeploymentConfig:
    """Return CodeDeploy's own configuration, or one of the stack, which its deployment groups share.

    An account has at most fifty of its own (https://docs.aws.amazon.com/codedeploy/latest/userguide/limits.html).
    """
    if shift.predefined:
        return codedeploy.LambdaDeploymentConfig.from_lambda_deployment_config_name(
            scope, "Shift", f"{PREFIX}{shift.name}"
        )
    stack = Stack.of(scope)
    found = stack.node.try_find_child("Shift")
    if isinstance(found, codedeploy.LambdaDeploymentConfig):
        return found
    route = (
        codedeploy.TrafficRouting.time_based_canary
        if shift.kind is ShiftKind.CANARY
        else codedeploy.TrafficRouting.time_based_linear
    )
    return codedeploy.LambdaDeploymentConfig(
        stack,
        "Shift",
        traffic_routing=route(interval=Duration.minutes(shift.minutes), percentage=shift.percent),
    )
