"""Feature flags of a service in AppConfig, with the alarms that roll back a change of them."""

from __future__ import annotations

import json
from collections.abc import Sequence

from aws_cdk import Duration, Stack
from aws_cdk import aws_appconfig as appconfig
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_iam as iam
from constructs import Construct

from slipway.blocks.acknowledgements import accept
from slipway.blocks.alarms import runbook_link
from slipway.blocks.function import ServiceFunction
from slipway.settings.model import Environment, ServiceSettings
from slipway_runtime.flag_names import APPLICATION, ENVIRONMENT_NAME, MAX_AGE, PROFILE_NAME

_MINUTES = 3
"""Minutes that an alarm looks back: a version's own counts arrive through the log, later than Lambda's metrics."""

_MOST_ALARMS = 5
"""https://docs.aws.amazon.com/appconfig/2019-10-09/APIReference/API_CreateEnvironment.html, `Monitors`."""

_MOST_FUNCTIONS = _MOST_ALARMS // 2
"""Each function has two alarms."""

_READS = ("appconfig:GetLatestConfiguration", "appconfig:StartConfigurationSession")


def add_flags(
    stack: Stack, *, functions: Sequence[ServiceFunction], environment: Environment, settings: ServiceSettings
) -> ServiceFlags | None:
    """Add the resources of the service's flags, if its settings have any.

    Args:
        stack: The compute stack.
        functions: The functions that read flags; their deployments (`SafeDeployment`) must exist already.
        environment: Settings of the environment.
        settings: The service's part of the configuration.

    Returns:
        The flags; None for a service without flags, for which nothing is deployed.
    """
    if not settings.flags:
        return None
    return ServiceFlags(stack, "Flags", functions=functions, environment=environment, settings=settings)


class ServiceFlags(Construct):
    """An AppConfig application with one environment and one profile, and the deployment of the configured flags.

    The profile is a freeform one: Powertools reads no other
    (https://docs.aws.amazon.com/powertools/python/latest/utilities/feature_flags/). Its JSON schema makes AppConfig
    refuse what Powertools could not read.

    A change of the flags is deployed after the functions' new versions, so that a failure can be attributed to one of
    the two. While it is deployed and baked, AppConfig watches two alarms for each function: Lambda's errors on `live`,
    and the faults that the version counts itself. If one becomes active, AppConfig restores the previous flags, and the
    deployment of the stack fails (https://docs.aws.amazon.com/appconfig/latest/userguide/monitoring-deployments.html).

    AppConfig also rolls a change back if an alarm has too little data. Both alarms count missing data as good, so they
    have data from their first evaluation on; the deployment of the flags waits for the aliases, which are created after
    the alarms.

    The functions find the application by its name: its id in their variables would create a cycle, since the
    environment's monitors refer to their alarms. Their permission to read it is in a separate policy for the same
    reason.

    Args:
        scope: The compute stack.
        construct_id: Id in it.
        functions: The functions that read flags, at most two.
        environment: Settings of the environment.
        settings: The service's part of the configuration.

    Raises:
        ValueError: There are more functions than AppConfig can watch.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        functions: Sequence[ServiceFunction],
        environment: Environment,
        settings: ServiceSettings,
    ) -> None:
        super().__init__(scope, construct_id)
        if len(functions) > _MOST_FUNCTIONS:
            raise ValueError(
                f"{self.node.path}: {len(functions)} functions read flags, and AppConfig watches {_MOST_ALARMS} "
                f"alarms at most; name {_MOST_FUNCTIONS} functions"
            )
        self._settings, self._environment = settings, environment
        name = f"{environment.name}-{functions[0].service}"
        self.application = appconfig.CfnApplication(self, "Application", name=name)
        role = self._monitoring_role()
        alarms = [alarm for function in functions for alarm in self._alarms(function)]
        self.environment = appconfig.CfnEnvironment(
            self,
            "Environment",
            application_id=self.application.ref,
            name=ENVIRONMENT_NAME,
            monitors=[
                appconfig.CfnEnvironment.MonitorsProperty(alarm_arn=alarm.alarm_arn, alarm_role_arn=role.role_arn)
                for alarm in alarms
                if settings.flag_rollout.watched
            ],
        )
        self.profile = self._new_profile()
        self.deployment = self._deploy(name)
        for function in functions:
            self._let_read(function, name)
            # Code and flags do not change at the same time: an alarm could not tell which of them caused a failure.
            self.deployment.node.add_dependency(function.live)

    @property
    def configuration_arn(self) -> str:
        """Return the ARN that the functions may read."""
        return Stack.of(self).format_arn(
            service="appconfig",
            resource="application",
            resource_name=f"{self.application.ref}/environment/{self.environment.ref}/configuration/{self.profile.ref}",
        )

    def _new_profile(self) -> appconfig.CfnConfigurationProfile:
        return appconfig.CfnConfigurationProfile(
            self,
            "Profile",
            application_id=self.application.ref,
            name=PROFILE_NAME,
            location_uri="hosted",
            type="AWS.Freeform",
            validators=[
                appconfig.CfnConfigurationProfile.ValidatorsProperty(type="JSON_SCHEMA", content=json.dumps(_SCHEMA))
            ],
        )

    def _deploy(self, name: str) -> appconfig.CfnDeployment:
        rollout = self._settings.flag_rollout
        version = appconfig.CfnHostedConfigurationVersion(
            self,
            "Version",
            application_id=self.application.ref,
            configuration_profile_id=self.profile.ref,
            content_type="application/json",
            content=document(self._settings),
        )
        strategy = appconfig.CfnDeploymentStrategy(
            self,
            "Strategy",
            name=f"{name}-flags",
            deployment_duration_in_minutes=rollout.minutes,
            growth_factor=100 if rollout.minutes == 0 else max(1.0, round(100 / rollout.minutes, 2)),
            growth_type="LINEAR",
            final_bake_time_in_minutes=rollout.bake_minutes,
            replicate_to="NONE",
        )
        return appconfig.CfnDeployment(
            self,
            "Deployment",
            application_id=self.application.ref,
            environment_id=self.environment.ref,
            configuration_profile_id=self.profile.ref,
            configuration_version=version.ref,
            deployment_strategy_id=strategy.ref,
        )

    def _let_read(self, function: ServiceFunction, application: str) -> None:
        function.function.add_environment(APPLICATION, application)
        function.function.add_environment(MAX_AGE, str(self._settings.flag_rollout.max_age_seconds))
        policy = iam.ManagedPolicy(
            self,
            f"{function.node.id}Reads",
            roles=[function.role],
            description=f"{function.node.id} reads its flags",
            statements=[iam.PolicyStatement(actions=list(_READS), resources=[self.configuration_arn])],
        )
        function.live.node.add_dependency(policy)

    def _monitoring_role(self) -> iam.Role:
        role = iam.Role(
            self,
            "Role",
            assumed_by=iam.ServicePrincipal("appconfig.amazonaws.com"),
            description="AppConfig reads the alarms that roll back a change of the flags",
        )
        # https://docs.aws.amazon.com/appconfig/latest/userguide/setting-up-appconfig.html
        policy = iam.ManagedPolicy(
            self,
            "Policy",
            roles=[role],
            statements=[iam.PolicyStatement(actions=["cloudwatch:DescribeAlarms"], resources=["*"])],
        )
        accept(
            policy,
            "AwsSolutions-IAM5",
            "Slipway-ExactPermissions",
            finding="Resource::*",
            reason="AppConfig lists alarms to read their states, and AWS's page about this role allows it for all "
            "alarms; the action only reads.",
        )
        return role

    def _alarms(self, function: ServiceFunction) -> list[cloudwatch.Alarm]:
        name = function.function.function_name
        of_lambda = cloudwatch.Metric(
            namespace="AWS/Lambda",
            metric_name="Errors",
            dimensions_map={"FunctionName": name, "Resource": f"{name}:live"},
            statistic="Sum",
            period=Duration.minutes(1),
        )
        # Failures that the version counts itself (slipway_runtime.telemetry).
        of_version = cloudwatch.Metric(
            namespace=self._environment.tags.project,
            metric_name="Faults",
            dimensions_map={
                "service": function.service,
                "function_name": name,
                "function_version": function.function.current_version.version,
            },
            statistic="Sum",
            period=Duration.minutes(1),
        )
        return [self._alarm(function, "Errors", of_lambda), self._alarm(function, "Faults", of_version)]

    def _alarm(self, function: ServiceFunction, what: str, metric: cloudwatch.Metric) -> cloudwatch.Alarm:
        link = runbook_link(self._environment.alarms.runbooks, "flags")
        alarm = cloudwatch.Alarm(
            self,
            f"{function.node.id}{what}",
            alarm_description=f"{what} of {function.node.id}: AppConfig rolls back a change of the flags. {link}",
            metric=metric,
            threshold=self._settings.flag_rollout.errors_per_minute,
            evaluation_periods=_MINUTES,
            datapoints_to_alarm=1,
            comparison_operator=cloudwatch.ComparisonOperator.GREATER_THAN_OR_EQUAL_TO_THRESHOLD,
            treat_missing_data=cloudwatch.TreatMissingData.NOT_BREACHING,
        )
        accept(
            alarm,
            "NIST.800.53.R5-CloudWatchAlarmAction",
            "HIPAA.Security-CloudWatchAlarmAction",
            reason="AppConfig reads this alarm while it deploys flags, and rolls them back. People are notified of the "
            "failed deployment; the observability stack's alarms cover the version that serves.",
        )
        return alarm


def document(settings: ServiceSettings) -> str:
    """Return the service's flags as Powertools reads them.

    Args:
        settings: The service's part of the configuration.
    """
    flags = {name: flag.model_dump(mode="json") for name, flag in sorted(settings.flags.items())}
    return json.dumps(flags, sort_keys=True)


_NAME = "^[a-z][a-z0-9_]{0,63}$"
_CONDITION = {
    "type": "object",
    "properties": {"action": {"type": "string"}, "key": {"type": "string"}, "value": {}},
    "required": ["action", "key", "value"],
    "additionalProperties": False,
}
_RULE = {
    "type": "object",
    "properties": {
        "when_match": {"type": "boolean"},
        "conditions": {"type": "array", "minItems": 1, "items": _CONDITION},
    },
    "required": ["when_match", "conditions"],
    "additionalProperties": False,
}
_FLAG = {
    "type": "object",
    "properties": {
        "default": {"type": "boolean"},
        "rules": {"type": "object", "patternProperties": {_NAME: _RULE}, "additionalProperties": False},
    },
    "required": ["default"],
    "additionalProperties": False,
}
_SCHEMA = {
    "$schema": "http://json-schema.org/draft-04/schema#",
    "type": "object",
    "patternProperties": {_NAME: _FLAG},
    "additionalProperties": False,
}
"""AppConfig accepts JSON schemas of draft 4
(https://docs.aws.amazon.com/appconfig/latest/userguide/appconfig-creating-configuration-and-profile-validators.html)."""
