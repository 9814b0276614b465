"""Parts of every pipeline stack, whatever its order: pipeline, keys, conditions, metrics."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import cast

from aws_cdk import Duration, Stack, Tags, pipelines
from aws_cdk import Environment as Target
from aws_cdk import aws_codebuild as codebuild
from aws_cdk import aws_codepipeline as codepipeline
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_s3 as s3
from constructs import Construct

from slipway.blocks.assets import AssetStore
from slipway.blocks.bucket import PrivateBucket
from slipway.blocks.key import ServiceKey
from slipway.blocks.logs import ServiceLogGroup
from slipway.blocks.messaging import NotificationTopic
from slipway.blocks.removal import RETAIN, UNDELETABLE
from slipway.delivery.acknowledgements import acknowledge_pipeline
from slipway.delivery.conditions import Conditions, Result, bake, freeze, set_conditions, set_timeout, window
from slipway.delivery.names import approval_stage, pipeline_name, pipeline_stack
from slipway.delivery.observation import BakeAlarms, DeliveryDashboard, Observation
from slipway.delivery.source import allow_connection, change, source, start_on_push
from slipway.delivery.steps import (
    BUILD_IMAGE,
    ApprovalStep,
    AttackStep,
    BakeStep,
    ExperimentStep,
    PerformStep,
    StepPlace,
    SynthStep,
    pinned_runtimes,
    publishing,
)
from slipway.delivery.toolchain import CDK_ASSETS_VERSION, CDK_CLI_VERSION
from slipway.delivery.waves import stages_of
from slipway.settings import ConfigurationError, Environment, Problem, Settings
from slipway.settings.groups import GROUP
from slipway.settings.load import PIPELINE_FILE


def _check_whole(delivered: Delivered, waves: Sequence[Sequence[str]]) -> None:
    """Refuse a stage that CDK Pipelines has split: its tests would be in a different stage from what they roll back."""
    for (wave, _), stages in zip(delivered.waves, waves, strict=True):
        if len(stages) > 1:
            names = ", ".join(environment.name for environment in delivered.environments)
            allowed = (
                f"{names}: the stage {wave} would have more than the 50 actions that a stage takes; spread the "
                "services over more lists in `waves`"
            )
            raise ConfigurationError([Problem(PIPELINE_FILE, "side_by_side", "", allowed)])


@dataclass
class Delivered:
    """The stages of an environment and of those alongside it, as CDK Pipelines names them after building them."""

    environments: Sequence[Environment]
    """One environment, or all of one list of `side_by_side`. Their stages carry the name of the first."""
    waves: list[tuple[str, str | None]] = field(default_factory=list)
    """Id of each wave, and of its stage if it has only one, in order. The services' waves come last."""
    approval: bool = False
    builds: list[pipelines.CodeBuildStep] = field(default_factory=list)
    """Our own steps that run after the waves."""

    @property
    def name(self) -> str:
        """Return the name that the stages begin with."""
        return self.environments[0].name

    def place(self, environment: Environment) -> StepPlace:
        """Return where the steps of one of the environments are."""
        return StepPlace(environment, alone=len(self.environments) == 1)


class DeliveryStack(Stack):
    """The self-mutating CodePipeline in the tools account, before its stages are ordered.

    A subclass adds its waves to `pipeline`, then calls `finish`.

    Args:
        scope: The app.
        construct_id: Id in it.
        settings: All of `config/`.
        assets: The built assets.
    """

    def __init__(self, scope: Construct, construct_id: str, *, settings: Settings, assets: AssetStore) -> None:
        super().__init__(
            scope,
            construct_id,
            env=Target(account=settings.pipeline.account, region=settings.pipeline.region),
            stack_name=pipeline_stack(settings.pipeline.app),
            description="Delivers every push through the environments in order",
            termination_protection=settings.pipeline.stateful.termination_protection,
            analytics_reporting=False,
        )
        self.settings = settings
        self.assets = assets
        self._tag()
        self._key = self._new_key()
        self._artifacts = self._new_artifacts(self._key)
        self._spine = codepipeline.Pipeline(
            self,
            "Pipeline",
            pipeline_name=pipeline_name(settings.pipeline.app),
            pipeline_type=codepipeline.PipelineType.V2,
            execution_mode=codepipeline.ExecutionMode.QUEUED,
            restart_execution_on_update=True,
            artifact_bucket=self._artifacts,
            # For the artifacts of environments in other regions, which CDK stores in support stacks there.
            cross_account_keys=True,
            enable_key_rotation=True,
        )
        self._source = source(self, settings.pipeline.source)
        self.synth = SynthStep(self, source=self._source, artifacts=self._artifacts, app=settings.pipeline.app)
        self.pipeline = self._new_pipeline()
        self._bakes = BakeAlarms(
            self, "Bake", environments=[each for each in settings.environments if each.deployment.bake_minutes]
        )
        self._approvers = self._new_approvers()

    def approval(self, together: Sequence[Environment]) -> list[ApprovalStep]:
        """Return the approval configured before an environment and those alongside it, or an empty list."""
        name, *others = (environment.name for environment in together)
        if self._approvers is None or name not in self.settings.pipeline.approval_before:
            return []
        return [
            ApprovalStep(
                name,
                others=others,
                topic=self._approvers,
                change=change(self._source, self.settings.pipeline.source),
                evidence=self.synth.evidence,
            )
        ]

    def tests(self, place: StepPlace, *, services: Sequence[str]) -> list[pipelines.CodeBuildStep]:
        """Return the configured steps of a test environment besides the services' own tests.

        Args:
            place: The environment.
            services: Names of the services that are deployed there.
        """
        wanted = (
            (AttackStep, place.environment.attack),
            (PerformStep, place.environment.performance),
            (ExperimentStep, place.environment.resilience),
        )
        return [
            step(
                self,
                handover=self.synth.handover,
                place=place,
                services=services,
                artifacts=self._artifacts,
            )
            for step, settings in wanted
            if settings
        ]

    def bake(self, together: Sequence[Environment]) -> list[BakeStep]:
        """Return the step that watches the alarms of an environment and of those alongside it; empty without a bake."""
        alarms = [(each, self._bakes.of(each.name)) for each in together if each.deployment.bake_minutes]
        return [BakeStep(self, handover=self.synth.handover, alarms=alarms)] if alarms else []

    def finish(self, delivered: Sequence[Delivered]) -> None:
        """Build the pipeline, and add what CDK Pipelines cannot: conditions, triggers, metrics, acknowledgements.

        Args:
            delivered: Every environment with its waves, in order.
        """
        self.pipeline.build_pipeline()
        self._protect_other_regions()
        self._set_conditions(delivered)
        start_on_push(self._spine, self.settings.pipeline.source, others=self._services_of_other_groups())
        stages = [(each, self._stages(each)) for each in delivered]
        Observation(
            self,
            "Observation",
            settings=self.settings,
            key=self._key,
            assets=self.assets,
            stages={stage: [one.name for one in each.environments] for each, found in stages for stage in found},
            last_stages=[found[-1] for _, found in stages],
        )
        DeliveryDashboard(self, "Figures", environments=self.settings.environments)
        allow_connection(self, self.settings.pipeline.source, self.synth.project.role)
        acknowledge_pipeline(
            self,
            self._spine,
            self._artifacts,
            steps=[step for each in delivered for step in each.builds],
            approvals=[each.name for each in delivered if each.approval],
        )

    def _services_of_other_groups(self) -> list[str]:
        pipeline = self.settings.pipeline
        others = (group for name, group in pipeline.groups.items() if pipeline.group not in {None, name})
        return [service for group in others for service in group.services]

    def _protect_other_regions(self) -> None:
        """Protect the stacks that CDK creates for the artifacts of other regions, and so retain their keys."""
        for support in self._spine.cross_region_support.values():
            support.stack.termination_protection = self.termination_protection
            beside = support.replication_bucket.node
            if beside.scope is not None:
                key = beside.scope.node.find_child(f"{beside.id}EncryptionKey")
                cast("kms.Key", key).apply_removal_policy(RETAIN)

    def _stages(self, delivered: Delivered) -> list[str]:
        """Return every stage that deploys to an environment and those alongside it, in order.

        Raises:
            ConfigurationError: Side by side they have more actions than a stage takes.
        """
        found = [stages_of(self._spine, wave, only_stage=only) for wave, only in delivered.waves]
        if len(delivered.environments) > 1:
            _check_whole(delivered, found)
        return [stage for stages in found for stage in stages]

    def _set_conditions(self, delivered: Sequence[Delivered]) -> None:
        if self._bakes.arns:
            self._spine.add_to_role_policy(
                iam.PolicyStatement(actions=["cloudwatch:DescribeAlarms"], resources=self._bakes.arns)
            )
        frozen = {}
        for each in delivered:
            name, settings = each.name, each.environments[0].deployment
            baking = [one.name for one in each.environments if one.deployment.bake_minutes]
            foundation, *services = self._stages(each)
            conditions = {stage: Conditions(on_failure=Result(settings.on_failure.value)) for stage in services}
            if settings.window:
                conditions[foundation] = Conditions(before_entry=[window(settings.window)])
            if baking:
                conditions[services[-1]] = Conditions(
                    on_success=[
                        bake(self._bakes.of(one).alarm_name, of="" if len(each.environments) == 1 else one)
                        for one in baking
                    ],
                    on_failure=Result(settings.on_failure.value),
                )
            set_conditions(self._spine, conditions)
            approval = approval_stage(name)
            if each.approval:
                minutes = self.settings.pipeline.approval.timeout_hours * 60
                set_timeout(self._spine, approval, f"Approve-{name}", minutes)
            if settings.frozen:
                frozen[approval if each.approval else foundation] = (
                    f"Frozen in config/{name}.toml: set deployment.frozen to false and push"
                )
        freeze(self._spine, frozen)

    def _new_pipeline(self) -> pipelines.CodePipeline:
        log_group = ServiceLogGroup(self, "BuildLogs", environment=self.settings.pipeline, key=self._key)
        return pipelines.CodePipeline(
            self,
            "Delivery",
            code_pipeline=self._spine,
            synth=self.synth,
            self_mutation=True,
            cli_version=CDK_CLI_VERSION,
            cdk_assets_cli_version=CDK_ASSETS_VERSION,
            publish_assets_in_parallel=False,
            use_change_sets=True,
            self_mutation_code_build_defaults=pipelines.CodeBuildOptions(partial_build_spec=pinned_runtimes()),
            asset_publishing_code_build_defaults=pipelines.CodeBuildOptions(partial_build_spec=publishing()),
            code_build_defaults=pipelines.CodeBuildOptions(
                build_environment=codebuild.BuildEnvironment(
                    build_image=BUILD_IMAGE,
                    compute_type=codebuild.ComputeType.MEDIUM,
                    privileged=False,
                    environment_variables=self._group_variable(),
                ),
                logging=codebuild.LoggingOptions(
                    cloud_watch=codebuild.CloudWatchLoggingOptions(log_group=log_group, enabled=True)
                ),
                timeout=Duration.minutes(30),
            ),
        )

    def _group_variable(self) -> dict[str, codebuild.BuildEnvironmentVariable] | None:
        """Return the variable that limits the verbs in the builds to this group."""
        group = self.settings.pipeline.group
        return {GROUP: codebuild.BuildEnvironmentVariable(value=group)} if group else None

    def _new_approvers(self) -> NotificationTopic | None:
        if not self.settings.pipeline.approval_before:
            return None
        return NotificationTopic(self, "Approvers", key=self._key, emails=self.settings.pipeline.approval.emails)

    def _new_key(self) -> ServiceKey:
        key = ServiceKey(
            self, "Key", service="pipeline", environment=self.settings.pipeline, alias=self.settings.pipeline.key_alias
        )
        # EventBridge encrypts undeliverable events for the dead letters:
        # https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-rule-dlq.html
        key.add_to_resource_policy(
            iam.PolicyStatement(
                sid="EventBridge",
                principals=[iam.ServicePrincipal("events.amazonaws.com")],
                actions=["kms:Decrypt", "kms:GenerateDataKey"],
                resources=["*"],
                conditions={"StringEquals": {"aws:SourceAccount": self.account}},
            )
        )
        return key

    def _new_artifacts(self, key: kms.Key) -> s3.Bucket:
        logs_bucket = PrivateBucket(
            self,
            "ArtifactLogs",
            encryption=s3.BucketEncryption.S3_MANAGED,
            versioned=True,
            lifecycle_rules=[
                s3.LifecycleRule(
                    id="logs", expiration=Duration.days(90), noncurrent_version_expiration=Duration.days(90)
                )
            ],
            removal_policy=UNDELETABLE,
        )
        return PrivateBucket(
            self,
            "Artifacts",
            encryption=s3.BucketEncryption.KMS,
            encryption_key=key,
            bucket_key_enabled=True,
            versioned=True,
            server_access_logs_bucket=logs_bucket,
            lifecycle_rules=[
                s3.LifecycleRule(
                    id="old-artifacts",
                    expiration=Duration.days(self.settings.pipeline.artifact_days),
                    noncurrent_version_expiration=Duration.days(1),
                    abort_incomplete_multipart_upload_after=Duration.days(7),
                )
            ],
            removal_policy=UNDELETABLE,
        )

    def _tag(self) -> None:
        tags = self.settings.pipeline.tags
        for name, value in {
            "Project": tags.project,
            "Application": tags.application,
            "Service": "pipeline",
            "Environment": self.settings.pipeline.name,
            "Owner": tags.owner,
            "CostCenter": tags.cost_center,
            "ManagedBy": "cdk",
        }.items():
            Tags.of(self).add(name, value)
