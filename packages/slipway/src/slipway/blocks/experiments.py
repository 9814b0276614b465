"""Experiments of AWS FIS on a service's functions, in a test environment whose file has the table `resilience`.

FIS reaches a function through an extension in it, which reads the faults to inject from a bucket
(https://docs.aws.amazon.com/fis/latest/userguide/use-lambda-actions.html). Without the table, a function has neither
the extension nor permission to read the bucket.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from aws_cdk import Aws, Duration, RemovalPolicy, Stack
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_fis as fis
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_s3 as s3
from constructs import Construct

from slipway.blocks.acknowledgements import accept
from slipway.blocks.alarms import ServiceAlarms
from slipway.blocks.bucket import PrivateBucket
from slipway.blocks.function import ServiceFunction
from slipway.blocks.outputs import output
from slipway.delivery.names import experiment_role, experiment_step_role, fault_bucket_name
from slipway.delivery.roles import StepRole, stack_arn
from slipway.nag.acknowledge import resource_finding
from slipway.resilience.function_faults import FAILING_API, FAILING_READERS, SLOW_FUNCTIONS, FunctionFault
from slipway.settings import Environment
from slipway.settings.model import ApiFunctionSettings, Objectives, Resilience

PREFIX = "faults/"
"""Prefix of the faults in the bucket."""

EXTENSION = "/aws/service/fis/lambda-extension/AWS-FIS-extension-arm64/1.x.x"
"""Public parameter with the ARN of the extension's newest layer for arm64
(https://docs.aws.amazon.com/fis/latest/userguide/actions-lambda-extension-arns.html).
"""

POLL_MS = 200
"""Milliseconds that an invocation waits while the extension reads the faults. Reading takes 70 ms on average, and a
faster function would otherwise end first (use-lambda-actions.html, "fast infrequent functions").
"""

MOST_ALARMS = 5
MOST_FUNCTIONS = 5
"""Maximum number of stop conditions of a template, and of resources of a target
(https://docs.aws.amazon.com/fis/latest/userguide/fis-quotas.html).
"""


class FaultBucket(PrivateBucket):
    """The bucket in which FIS stores the faults that a service's functions are to have.

    Args:
        scope: The compute stack.
        construct_id: Id in it.
        service: The service's name.
        environment: Settings of the environment.
    """

    def __init__(self, scope: Construct, construct_id: str, *, service: str, environment: Environment) -> None:
        super().__init__(
            scope,
            construct_id,
            bucket_name=fault_bucket_name(environment, service),
            encryption=s3.BucketEncryption.S3_MANAGED,
            lifecycle_rules=[
                s3.LifecycleRule(
                    id="faults",
                    expiration=Duration.days(1),
                    abort_incomplete_multipart_upload_after=Duration.days(1),
                )
            ],
            # FIS deletes what it writes, and a finished experiment leaves nothing of value.
            removal_policy=RemovalPolicy.DESTROY,
        )
        output(Stack.of(self), "FaultBucketName", self.bucket_name, "Bucket in which AWS FIS stores functions' faults")
        accept(
            self,
            "Slipway-StatefulApart",
            "Slipway-StatefulRetained",
            "AwsSolutions-S1",
            "NIST.800.53.R5-S3BucketLoggingEnabled",
            "HIPAA.Security-S3BucketLoggingEnabled",
            "PCI.DSS.321-S3BucketLoggingEnabled",
            "NIST.800.53.R5-S3BucketVersioningEnabled",
            "HIPAA.Security-S3BucketVersioningEnabled",
            "PCI.DSS.321-S3BucketVersioningEnabled",
            "NIST.800.53.R5-S3BucketReplicationEnabled",
            "HIPAA.Security-S3BucketReplicationEnabled",
            "PCI.DSS.321-S3BucketReplicationEnabled",
            "NIST.800.53.R5-S3DefaultEncryptionKMS",
            "HIPAA.Security-S3DefaultEncryptionKMS",
            "PCI.DSS.321-S3DefaultEncryptionKMS",
            reason="For some minutes it contains the fault that a test environment's functions are to have, but no "
            "data; FIS itself keeps the history of experiments.",
        )
        accept(
            Stack.of(self),
            "Slipway-StatefulStackProtected",
            reason="Its only bucket contains a test environment's faults for some minutes, and is deleted with the "
            "stack.",
        )


def open_to_faults(*functions: ServiceFunction) -> None:
    """Give functions of a service what an experiment needs, if experiments are configured for their environment.

    Args:
        functions: The functions that take the service's traffic, in its compute stack.
    """
    environment, service = functions[0].environment, functions[0].service
    if not isinstance(environment, Environment) or environment.resilience is None:
        return
    stack = Stack.of(functions[0])
    FaultBucket(stack, "Faults", service=service, environment=environment)
    bucket = _bucket_arn(environment, service)
    layer = lambda_.LayerVersion.from_layer_version_arn(stack, "FaultExtension", f"{{{{resolve:ssm:{EXTENSION}}}}}")
    for each in functions:
        function = each.function
        function.add_layers(layer)
        function.add_environment("AWS_LAMBDA_EXEC_WRAPPER", "/opt/aws-fis/bootstrap")
        function.add_environment("AWS_FIS_CONFIGURATION_LOCATION", f"{bucket}/{PREFIX}")
        function.add_environment("AWS_FIS_POLL_MAX_WAIT_MILLISECONDS", str(POLL_MS))
        each.allow(actions=["s3:ListBucket"], resources=[bucket])
        each.allow_below(
            actions=["s3:GetObject"],
            arn=f"{bucket}/{PREFIX}*",
            reason="FIS names its objects by the ids of experiments; the bucket contains nothing else.",
        )


def add_experiments(
    stack: Stack, *, alarms: ServiceAlarms, functions: Sequence[ServiceFunction], objectives: Objectives | None = None
) -> None:
    """Add the experiments on a service's functions to its observability stack, if its environment has any configured.

    Args:
        stack: The observability stack.
        alarms: The service's alarms, all of them added.
        functions: The functions that were passed to `open_to_faults`.
        objectives: The service's objectives. If it has any, its API's function is delayed but never failed: each
            failure burns the error budget, and the alarm on that counts in the bake. Default: none.
    """
    environment = functions[0].environment
    if not isinstance(environment, Environment) or environment.resilience is None:
        return
    ServiceExperiments(
        stack,
        "Experiments",
        settings=environment.resilience,
        environment=environment,
        alarms=alarms.stop_conditions(MOST_ALARMS),
        functions=functions,
        fails_api=objectives is None,
    )


class ServiceExperiments(Construct):
    """The templates of a service's experiments, FIS's role for them, and the role that starts them.

    Args:
        scope: The observability stack.
        construct_id: Id in it.
        settings: Duration and strength of the faults.
        environment: Settings of the environment.
        alarms: Each stops an experiment.
        functions: The functions to delay or to fail.
        fails_api: True if the function behind the API is failed too.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        settings: Resilience,
        environment: Environment,
        alarms: Sequence[cloudwatch.IAlarm],
        functions: Sequence[ServiceFunction],
        fails_api: bool,
    ) -> None:
        super().__init__(scope, construct_id)
        stack, service = Stack.of(self), functions[0].service
        self._environment, self._service, self._settings, self._alarms = environment, service, settings, alarms
        self._role, policy = self._new_role(functions)
        behind_api = [each for each in functions if isinstance(each.settings, ApiFunctionSettings)]
        readers = [each for each in functions if each not in behind_api]
        wanted: Mapping[FunctionFault, Sequence[ServiceFunction]] = {
            SLOW_FUNCTIONS: functions,
            FAILING_READERS: readers,
            FAILING_API: behind_api if fails_api else [],
        }
        self.templates = {fault: self._template(fault, failing) for fault, failing in wanted.items() if failing}
        for fault, template in self.templates.items():
            template.node.add_dependency(policy)
            output(stack, fault.output, template.attr_id, f"Experiment of AWS FIS: {fault.says}")
        self._new_step_role()

    def _template(self, fault: FunctionFault, functions: Sequence[ServiceFunction]) -> fis.CfnExperimentTemplate:
        if len(functions) > MOST_FUNCTIONS:
            raise ValueError(f"{self.node.path}: AWS FIS takes {MOST_FUNCTIONS} functions at most: pass fewer")
        template = fis.CfnExperimentTemplate
        action, parameters = _action(fault, self._settings)
        return fis.CfnExperimentTemplate(
            self,
            fault.construct_id,
            description=f"{self._service} in {self._environment.name}: {fault.says}",
            role_arn=self._role.role_arn,
            stop_conditions=[
                template.ExperimentTemplateStopConditionProperty(source="aws:cloudwatch:alarm", value=alarm.alarm_arn)
                for alarm in self._alarms
            ],
            targets={
                "functions": template.ExperimentTemplateTargetProperty(
                    resource_type="aws:lambda:function",
                    resource_arns=[each.function.function_arn for each in functions],
                    selection_mode="ALL",
                )
            },
            actions={
                "fault": template.ExperimentTemplateActionProperty(
                    action_id=action,
                    description=fault.says,
                    parameters={"duration": f"PT{self._settings.minutes}M", **parameters},
                    targets={"Functions": "functions"},
                )
            },
            experiment_options=template.ExperimentTemplateExperimentOptionsProperty(
                account_targeting="single-account", empty_target_resolution_mode="fail"
            ),
            tags={"Name": f"{self._environment.name}-{self._service}-{fault.name}"},
        )

    def _new_role(self, functions: Sequence[ServiceFunction]) -> tuple[iam.Role, iam.ManagedPolicy]:
        """Return FIS's role; its permissions are those that AWS's reference of the actions lists."""
        stack = Stack.of(self)
        role = iam.Role(
            self,
            "Role",
            # https://docs.aws.amazon.com/fis/latest/userguide/getting-started-iam-service-role.html
            assumed_by=iam.ServicePrincipal(
                "fis.amazonaws.com",
                conditions={
                    "StringEquals": {"aws:SourceAccount": stack.account},
                    "ArnLike": {
                        "aws:SourceArn": stack.format_arn(service="fis", resource="experiment", resource_name="*")
                    },
                },
            ),
            description=f"AWS FIS injects faults into the functions of {self._service}",
        )
        objects = f"{_bucket_arn(self._environment, self._service)}/{PREFIX}*"
        policy = iam.ManagedPolicy(
            self,
            "Policy",
            roles=[role],
            description=f"Faults of {self._service}",
            statements=[
                iam.PolicyStatement(actions=["s3:DeleteObject", "s3:PutObject"], resources=[objects]),
                iam.PolicyStatement(
                    actions=["lambda:GetFunction"], resources=[each.function.function_arn for each in functions]
                ),
                iam.PolicyStatement(actions=["tag:GetResources"], resources=["*"]),
            ],
        )
        accept(
            policy,
            "AwsSolutions-IAM5",
            finding=resource_finding(self, objects),
            reason="FIS names its objects by the ids of experiments; the bucket contains nothing else.",
        )
        accept(
            policy,
            "AwsSolutions-IAM5",
            "Slipway-ExactPermissions",
            finding="Resource::*",
            reason="FIS looks up tags with a list action that IAM can't limit to a resource; it only reads.",
        )
        return role, policy

    def _new_step_role(self) -> None:
        """Add the role that starts and stops the experiments, and no others."""
        stack = Stack.of(self)
        role = StepRole(
            self,
            "Starter",
            environment=self._environment,
            name=experiment_role(self._environment, self._service),
            step_roles=[experiment_step_role(self._environment)],
            description=f"Starts the experiments of {self._service}",
        )
        role.allow(
            actions=["fis:StartExperiment"],
            resources=[
                stack.format_arn(service="fis", resource="experiment-template", resource_name=template.attr_id)
                for template in self.templates.values()
            ],
        )
        role.allow_pattern(
            actions=["fis:GetExperiment", "fis:StartExperiment", "fis:StopExperiment"],
            resources=[stack.format_arn(service="fis", resource="experiment", resource_name="*")],
            reason="FIS generates an experiment's id when it starts; only this service's templates may be started.",
        )
        reads_metrics = "IAM can't limit reading metrics to a resource; the metrics show whether functions failed."
        role.allow_pattern(actions=["cloudwatch:GetMetricData"], resources=["*"], reason=reads_metrics)
        accept(role, "Slipway-ExactPermissions", finding="Resource::*", reason=reads_metrics)
        role.allow_pattern(
            actions=["cloudformation:DescribeStacks"],
            resources=[stack_arn(self, f"{self._environment.name}-{self._service}-observability")],
            reason="The last part of a stack's ARN is an id that CloudFormation generates; the stack's name is exact.",
        )


def _action(fault: FunctionFault, settings: Resilience) -> tuple[str, Mapping[str, str]]:
    """Return FIS's action and its parameters.

    https://docs.aws.amazon.com/fis/latest/userguide/fis-actions-reference.html
    """
    if fault.delays:
        return "aws:lambda:invocation-add-delay", {"startupDelayMilliseconds": str(settings.delay_ms)}
    # Only the API's function is kept from running. A reader's work is done and then counted as failed, so it is
    # repeated.
    prevented = str(fault is FAILING_API).lower()
    return "aws:lambda:invocation-error", {
        "invocationPercentage": str(settings.error_percent),
        "preventExecution": prevented,
    }


def _bucket_arn(environment: Environment, service: str) -> str:
    """Return the bucket's literal ARN: cdk-nag identifies findings by it, and another stack uses the bucket."""
    return f"arn:{Aws.PARTITION}:s3:::{fault_bucket_name(environment, service)}"
