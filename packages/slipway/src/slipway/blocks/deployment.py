"""Shift traffic to a new version, and roll it back."""

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
from slipway.blocks.waf import EdgeProof
from slipway.settings import Environment, FunctionSettings
from slipway.settings.model import ApiFunctionSettings
from slipway.settings.shifts import PREFIX, Shift, ShiftKind

HOOK = FunctionSettings(memory_mb=256, timeout_seconds=900)
"""Size of a pre-traffic hook. It makes a handful of calls, each of which may take as long as the function's time-out,
and retries throttled ones. The time-out is Lambda's longest, well within the hour that CodeDeploy waits for the hook's
report.
"""

_PERIOD = Duration.minutes(1)

FAULT_MINUTES = 5
"""Period of the alarm on faults: as long as the shortest canary, and longer than log metrics are late."""


class SafeDeployment(Construct):
    """CodeDeploy on a function's alias `live`: contract check, canary, alarms, automatic rollback.

    The alarms watch only the new version, so that an old version that already fails cannot block its own fix. They use
    Lambda's own metrics, which also cover a version that crashes at import, and the faults that the version counts
    itself: a 5xx answer and a message reported as failed are not errors to Lambda. A function that can fail only by
    raising, such as the worker of `processing`, has no faults to count. The alarms are in the function's own stack,
    which avoids a dependency cycle between stacks.

    Latency counts only for a function that a caller waits for. A function that reads a queue or a stream, or handles an
    event, takes as long as its batch needs: the observability stack has an alarm on the age of its backlog. Throttles
    count only for queue and stream readers: otherwise anybody could roll back a deployment by sending more requests
    than the reserved concurrency allows.

    Args:
        scope: The compute stack.
        construct_id: Id in it.
        function: The function whose alias `live` moves.
        hook_handler: Handler of the contract check that runs before traffic.
        dead_letters: Queue for hook invocations that failed for good: CodeDeploy invokes hooks asynchronously.
        compares: True if the hook declares reads that both versions must answer identically
            (`slipway_runtime.comparison`); it may then invoke `live` too.
        proof: Secret that the function expects in those reads, if it answers them only through the edge. Default: none.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        function: ServiceFunction,
        hook_handler: str,
        dead_letters: DeadLetterQueue,
        compares: bool = False,
        proof: EdgeProof | None = None,
    ) -> None:
        super().__init__(scope, construct_id)
        environment = function.environment
        if not isinstance(environment, Environment):
            raise TypeError(f"{self.node.path}: {environment.name} is not an environment that receives deployments")
        self.hook = self._new_hook(function, hook_handler, dead_letters, compares=compares, proof=proof)
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
            # Immutable: otherwise CDK would add AWS's managed policy, which covers every function of the account.
            role=role.without_policy_updates(),
            deployment_config=_deployment_config(self, environment.deployment.shift),
            alarms=list(self.alarms),
            # By the function's name, as AWS documents:
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
        # A deployment starts when the alias is updated, so everything that it uses must exist by then.
        function.live.node.add_dependency(policy, self.hook)

    def _new_hook(
        self,
        function: ServiceFunction,
        handler: str,
        dead_letters: DeadLetterQueue,
        *,
        compares: bool,
        proof: EdgeProof | None,
    ) -> ServiceFunction:
        staging_arn = function.staging.function_arn
        # The alias is referred to by its name, because it waits for the hook.
        current_arn = f"{function.function.function_arn}:live"
        hook = ServiceFunction(
            self,
            "Hook",
            service=function.service,
            environment=function.environment,
            settings=HOOK,
            assets=function.assets,
            key=function.key,
            handler=handler,
            description=f"Contract check of {function.node.id} before a new version takes traffic",
            variables={
                "TARGET_ALIAS_ARN": staging_arn,
                **({"CURRENT_ALIAS_ARN": current_arn} if compares else {}),
                **({"ORIGIN_SECRET_ARN": proof.secret.secret_arn} if proof else {}),
            },
            dead_letters=dead_letters,
            asynchronous=True,
        )
        hook.allow(actions=["lambda:InvokeFunction"], resources=[staging_arn, *([current_arn] if compares else [])])
        if compares:
            # A rollback repeats an earlier version.
            hook.allow(
                actions=["lambda:ListVersionsByFunction"],
                resources=[function.function.function_arn],
                unproven_here="Only a rollback from wrong answers needs it: see `make rehearse FAULT=wrong-answer`.",
            )
        if proof is not None:
            hook.allow(actions=["secretsmanager:GetSecretValue"], resources=[proof.secret.secret_arn])
        return hook

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
            reason="CodeDeploy lists alarms to read their states, which AWS's own managed policy for this role also "
            "allows for all alarms; the action only reads.",
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
                "The new version answered with 5xx or failed to handle a message: CodeDeploy rolls it back",
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
            # These metrics exist only while the alias routes to two versions.
            treat_missing_data=cloudwatch.TreatMissingData.NOT_BREACHING,
        )
        accept(
            made,
            "NIST.800.53.R5-CloudWatchAlarmAction",
            "HIPAA.Security-CloudWatchAlarmAction",
            reason="CodeDeploy reads this alarm while it moves traffic, and rolls back. People are notified of the "
            "failed deployment; the observability stack's alarms cover the version that serves.",
        )
        return made


def _of_lambda(function: ServiceFunction, metric: str, statistic: str) -> cloudwatch.Metric:
    """Return one of Lambda's metrics for the new version while the alias splits its traffic."""
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
    """Return the failures that the new version itself reports, while the alias splits its traffic."""
    # The version itself counts its faults (slipway_runtime.telemetry), for as long as it exists. The alarm counts them
    # only while Lambda reports the alias's two versions separately, so that a version that fails long after its
    # deployment is not in alarm when its fix is deployed: CodeDeploy stops a deployment that begins with an active
    # alarm, and an alarm keeps its state when it is pointed at another version. Both metrics are late: Lambda's by a
    # minute, and the fault count because it comes from the log. `REPEAT` keeps the gate open for the minutes without
    # Lambda data yet, and any of the last minutes triggers the alarm: if it looked at the last minute only, it would
    # never see anything but the filler value. While the gate is open, `IF` treats a minute without faults as 0
    # (https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/using-metric-math.html).
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
    """Return a predefined configuration, or a custom one that the stack's deployment groups share.

    An account can have at most fifty custom configurations
    (https://docs.aws.amazon.com/codedeploy/latest/userguide/limits.html).
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
