"""Steps of the pipeline: one small class per step, each running one verb of the repository under its own role.

What all builds have in common (image, log group, no privileges) is set once, in `stack.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar

from aws_cdk import Aws, Duration, Stack, pipelines
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_codebuild as codebuild
from aws_cdk import aws_iam as iam
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_sns as sns

from slipway.blocks.acknowledgements import accept
from slipway.delivery.baking import ACTION, ALARM, PIPELINE
from slipway.delivery.names import (
    attack_step_role,
    bake_step_role,
    experiment_role,
    experiment_step_role,
    performance_step_role,
    pipeline_name,
    protection_role,
    protection_step_role,
    verification_role,
    verification_step_role,
)
from slipway.delivery.toolchain import ASSET_SCHEMA, PYTHON
from slipway.nag.acknowledge import resource_finding
from slipway.resilience.function_faults import AROUND_SECONDS, FUNCTION_FAULTS
from slipway.settings import Environment
from slipway.tasks.reports import ADDRESS_FILE, BUCKET, CONDENSED, HANDOVER, PERFORMANCE, PREFIX

BUILD_IMAGE = codebuild.LinuxBuildImage.STANDARD_8_0
"""CodeBuild's Ubuntu image. The repository's own steps install Node with their packages."""

NODE = "24"
"""Node version for the steps that CDK Pipelines writes itself: they install their tool with the image's npm."""

SYNTH = ".ci/run"
"""The only command with which the pipeline builds itself. It runs under the *old* definition of the pipeline, so its
meaning is defined in the repository, and the command never changes.
"""

EVIDENCE = "EVIDENCE_URL"
"""Environment variable of the synth build that contains the address of the approver's page."""

EXPORT = f'export {EVIDENCE}="$(cat {ADDRESS_FILE})"'
"""Command that reads that address from the file that `make publish` writes: only the build's own shell can export a
variable.
"""

_RUNTIMES = {"nodejs": NODE, "python": PYTHON}

_SMALL = codebuild.BuildEnvironment(compute_type=codebuild.ComputeType.SMALL)
"""Size of builds that mostly wait. They run one after the other, and in parallel with the synth of the next execution,
which uses a different compute type: each type has its own quota, which may be 1 (`slipway.settings.quotas`).
"""

_CACHES = ["/root/.cache/pip/**/*", "/root/.cache/uv/**/*", "/root/.npm/**/*"]


def pinned_runtimes() -> codebuild.BuildSpec:
    """Return the part of a build specification with the runtimes of the steps that CDK Pipelines writes itself."""
    install = {"runtime-versions": _RUNTIMES, "on-failure": "ABORT"}
    return _spec({"env": {"shell": "bash"}, "phases": {"install": install, "build": {"on-failure": "ABORT"}}})


def publishing() -> codebuild.BuildSpec:
    """Return the part of the build specification for the step that publishes assets.

    The step reads only older manifests than the library writes, and refuses a newer number even if nothing else is new.
    """
    rewrite = f"""sed -i 's/"version": *"[0-9.]*"/"version": "{ASSET_SCHEMA}.0.0"/'"""
    commands = [f"find . -name '*.assets.json' -exec {rewrite} {{}} +"]
    install = {"runtime-versions": _RUNTIMES, "on-failure": "ABORT", "commands": commands}
    return _spec({"env": {"shell": "bash"}, "phases": {"install": install, "build": {"on-failure": "ABORT"}}})


@dataclass(frozen=True)
class StepPlace:
    """The environment that a step works on.

    Attributes:
        environment: Its settings.
        alone: True if no other environment is deployed alongside it. Otherwise the names of its steps end with its
            name.
    """

    environment: Environment
    alone: bool = True

    def name(self, step: str) -> str:
        """Return the name that a step has here: no two steps of a stage have the same."""
        return step if self.alone else f"{step}-{self.environment.name}"


def in_turn(steps: Sequence[pipelines.CodeBuildStep]) -> Sequence[pipelines.CodeBuildStep]:
    """Return steps, each of which now waits for the one before it."""
    for before, step in pairwise(steps):
        step.add_step_dependency(before)
    return steps


class SynthStep(pipelines.CodeBuildStep):
    """Step with the checks, tests, synthesis and change review: its output is everything that the later stages use.

    The build stores its reports in the artifact bucket, which its role may write anyway, and asks the pipeline for the
    last delivered revision, and for the one being deployed.

    Args:
        stack: The pipeline's stack.
        source: The commit.
        artifacts: Bucket for the reports.
        app: The app's name.
    """

    def __init__(self, stack: Stack, *, source: pipelines.CodePipelineSource, artifacts: s3.IBucket, app: str) -> None:
        super().__init__(
            "Synth",
            input=source,
            commands=[SYNTH, EXPORT],
            env={BUCKET: artifacts.bucket_name},
            primary_output_directory="cdk.out",
            build_environment=codebuild.BuildEnvironment(compute_type=codebuild.ComputeType.MEDIUM),
            cache=codebuild.Cache.local(codebuild.LocalCacheMode.CUSTOM),
            partial_build_spec=_verb(reports=CONDENSED, synth=True),
            role_policy_statements=[
                iam.PolicyStatement(
                    actions=["codepipeline:GetPipelineState", "codepipeline:ListPipelineExecutions"],
                    resources=[_delivery(stack, app)],
                )
            ],
            timeout=Duration.minutes(60),
        )

        self.handover = self.add_output_directory(HANDOVER)
        """Files that the builds after it run, packages included."""

    @property
    def evidence(self) -> str:
        """Return the address of the approver's page: the evidence of the change, in the artifact bucket."""
        return self.exported_variable(EVIDENCE)


class ProtectStep(pipelines.CodeBuildStep):
    """Step that sets termination protection and stack policies in an environment, and reads them back.

    Args:
        stack: The pipeline's stack.
        handover: Files from the synth.
        place: The environment.
        services: Names of the services whose stacks are protected.
    """

    def __init__(
        self,
        stack: Stack,
        *,
        handover: pipelines.IFileSetProducer,
        place: StepPlace,
        services: Sequence[str],
    ) -> None:
        environment = place.environment
        super().__init__(
            place.name("Protect"),
            input=handover,
            commands=[f'make protect ENV={environment.name} SERVICE="{" ".join(services)}"'],
            role=_assuming(stack, environment, protection_step_role(environment), [protection_role(environment)]),
            build_environment=_SMALL,
            partial_build_spec=_verb(),
            timeout=Duration.minutes(15),
        )


class BakeStep(pipelines.CodeBuildStep):
    """Step that watches the alarms of an environment for its `bake_minutes`, after everything else.

    Environments that are deployed side by side are watched together, by one build.

    Args:
        stack: The pipeline's stack.
        handover: Files from the synth.
        alarms: Each environment, with the alarm that is active while any of the environment's own alarms is.
    """

    def __init__(
        self,
        stack: Stack,
        *,
        handover: pipelines.IFileSetProducer,
        alarms: Sequence[tuple[Environment, cloudwatch.IAlarm]],
    ) -> None:
        environments = [environment for environment, _ in alarms]
        environment = environments[0]
        role = _build_role(stack, environment, bake_step_role(environment))
        arns = [alarm.alarm_arn for _, alarm in alarms]
        role.add_to_policy(iam.PolicyStatement(actions=["cloudwatch:DescribeAlarms"], resources=arns))
        delivery = _delivery(stack, environment.app)
        role.add_to_policy(iam.PolicyStatement(actions=["codepipeline:GetPipelineState"], resources=[delivery]))
        super().__init__(
            ACTION,
            input=handover,
            commands=[f"make bake ENV={_words([each.name for each in environments])}"],
            env={
                ALARM: " ".join(alarm.alarm_name for _, alarm in alarms),
                PIPELINE: pipeline_name(environment.app),
            },
            role=role,
            build_environment=_SMALL,
            partial_build_spec=_verb(),
            timeout=Duration.minutes(max(each.deployment.bake_minutes for each in environments) + 15),
        )


class VerifyStep(pipelines.CodeBuildStep):
    """Step that runs the tests of services against their deployment, all of them in one build.

    Args:
        handover: Files from the synth.
        place: The environment.
        services: Names of the services that are tested.
        role: Result of `verifying` for the environment.
    """

    def __init__(
        self, *, handover: pipelines.IFileSetProducer, place: StepPlace, services: Sequence[str], role: iam.IRole
    ) -> None:
        super().__init__(
            place.name("Verify"),
            input=handover,
            commands=[f'make verify ENV={place.environment.name} SERVICE="{" ".join(services)}"'],
            role=role,
            build_environment=_SMALL,
            partial_build_spec=_verb(reports="build/reports"),
            timeout=Duration.minutes(30),
        )


@dataclass(frozen=True)
class _Needs:
    """What a step on a test environment needs besides the callers of the tests.

    Attributes:
        role: Name of the step's role.
        seconds: Duration of its verb per service.
        writes: Prefixes of the objects that it writes besides its reports.
        assumes: Names of the roles that it assumes besides those of the tests.
    """

    role: str
    seconds: int
    writes: Sequence[str] = ()
    assumes: Sequence[str] = ()


class OutsideStep(pipelines.CodeBuildStep):
    """Runs a verb against the services of a test environment, all of them in one build, and keeps its reports.

    Args:
        stack: The pipeline's stack.
        handover: Files from the synth.
        place: The environment, whose settings configure the verb.
        services: Names of the services.
        artifacts: Bucket for the reports.
    """

    verb: ClassVar[str]
    """Name of the step; the verb is the same in lower case."""

    def __init__(
        self,
        stack: Stack,
        *,
        handover: pipelines.IFileSetProducer,
        place: StepPlace,
        services: Sequence[str],
        artifacts: s3.IBucket,
    ) -> None:
        environment = place.environment
        needs = self.needs(environment, services)
        # The step uses the callers of the tests.
        callers = [verification_role(environment, service) for service in services]
        runs_as = _assuming(stack, environment, needs.role, [*callers, *needs.assumes])
        for written in (f"{PREFIX}/*/{environment.name}/*", *needs.writes):
            _write_reports(runs_as, artifacts, written)
        super().__init__(
            place.name(self.verb),
            input=handover,
            commands=[f'make {self.verb.lower()} ENV={environment.name} SERVICE="{" ".join(services)}"'],
            env={BUCKET: artifacts.bucket_name},
            role=runs_as,
            build_environment=_SMALL,
            partial_build_spec=_verb(reports="build/reports"),
            timeout=Duration.minutes(15 + len(services) * needs.seconds // 60),
        )

    @staticmethod
    def needs(environment: Environment, services: Sequence[str]) -> _Needs:
        """Return what the step needs in an environment."""
        raise NotImplementedError


class AttackStep(OutsideStep):
    """Attacks the services of a test environment from outside, as `attack` says (`slipway attack`)."""

    verb = "Attack"

    @staticmethod
    def needs(environment: Environment, services: Sequence[str]) -> _Needs:  # noqa: ARG004 - one role for all
        """Return its role, and how long it attacks."""
        return _Needs(attack_step_role(environment), environment.attack.seconds if environment.attack else 0)


class PerformStep(OutsideStep):
    """Loads the services of a test environment one by one, as `performance` says (`slipway perform`)."""

    verb = "Perform"

    @staticmethod
    def needs(environment: Environment, services: Sequence[str]) -> _Needs:  # noqa: ARG004 - one role for all
        """Return its role, how long it loads, and where it keeps the last good run."""
        return _Needs(
            performance_step_role(environment),
            environment.performance.seconds if environment.performance else 0,
            # CDK Pipelines lets each build read the bucket, and so the last good run.
            writes=[f"{PERFORMANCE}/{environment.name}/*"],
        )


class ExperimentStep(OutsideStep):
    """Runs AWS FIS's experiments on functions of a test environment, as `resilience` says (`slipway experiment`)."""

    verb = "Experiment"

    @staticmethod
    def needs(environment: Environment, services: Sequence[str]) -> _Needs:
        """Return its role, how long the experiments take, and the roles that start them."""
        minutes = environment.resilience.minutes if environment.resilience else 0
        return _Needs(
            experiment_step_role(environment),
            len(FUNCTION_FAULTS) * (minutes * 60 + AROUND_SECONDS),
            assumes=[experiment_role(environment, service) for service in services],
        )


def verifying(stack: Stack, *, environment: Environment, services: Sequence[str]) -> iam.Role:
    """Return the role of a wave's verifying builds: it may assume the role of each service's tests.

    Args:
        stack: The pipeline's stack.
        environment: Settings of the environment.
        services: Names of the services that are deployed there.
    """
    roles = [verification_role(environment, service) for service in services]
    return _assuming(stack, environment, verification_step_role(environment), roles)


class ApprovalStep(pipelines.ManualApprovalStep):
    """Step that waits for people's approval before an environment: it shows what changed, and links to the evidence.

    Args:
        environment: Name of the environment.
        others: Names of the environments that are deployed alongside it.
        topic: Topic of the people who approve.
        change: What changed, in one paragraph.
        evidence: Address of the page with the evidence.
    """

    def __init__(
        self, environment: str, *, others: Sequence[str] = (), topic: sns.ITopic, change: str, evidence: str
    ) -> None:
        super().__init__(
            f"Approve-{environment}",
            comment=f"Deploy to {' and '.join((environment, *others))}? {change}",
            review_url=evidence,
            notification_topic=topic,
        )
        # CDK looks for variables only in the comment.
        self._discover_referenced_outputs(evidence)


def _delivery(stack: Stack, app: str) -> str:
    """Return the ARN of the pipeline."""
    return f"arn:{Aws.PARTITION}:codepipeline:{stack.region}:{stack.account}:{pipeline_name(app)}"


def _write_reports(role: iam.Role, artifacts: s3.IBucket, keys: str) -> None:
    """Let a build write some keys of the artifact bucket. CDK Pipelines lets it use the bucket's key."""
    role.add_to_policy(iam.PolicyStatement(actions=["s3:PutObject"], resources=[artifacts.arn_for_objects(keys)]))
    accept(
        role,
        "AwsSolutions-IAM5",
        finding=resource_finding(role, artifacts.arn_for_objects(keys)),
        reason="The commit and the service in a report's key are known at run time; the environment in it is exact, "
        "and the bucket is versioned.",
    )


def _assuming(stack: Stack, environment: Environment, name: str, roles: Sequence[str]) -> iam.Role:
    """Return a build's role that may assume some roles in an environment's account, which trust it by name."""
    role = _build_role(stack, environment, name)
    role.add_to_policy(
        iam.PolicyStatement(
            actions=["sts:AssumeRole"],
            resources=[f"arn:{Aws.PARTITION}:iam::{environment.account}:role/{target}" for target in roles],
        )
    )
    return role


def _build_role(stack: Stack, environment: Environment, name: str) -> iam.Role:
    """Return a role for builds only, without any permissions yet."""
    return iam.Role(
        stack,
        f"{environment.name.title().replace('-', '')}{name.rpartition('-')[2].title()}Role",
        role_name=name,
        assumed_by=iam.ServicePrincipal(
            "codebuild.amazonaws.com", conditions={"StringEquals": {"aws:SourceAccount": stack.account}}
        ),
        description=f"Build that may {name.rpartition('-')[2]} {environment.name}",
    )


def _words(words: Sequence[str]) -> str:
    """Return words as one value of a shell."""
    return words[0] if len(words) == 1 else f'"{" ".join(words)}"'


def _verb(*, reports: str | None = None, synth: bool = False) -> codebuild.BuildSpec:
    """Return a step's build specification without its command.

    Args:
        reports: Folder of the JUnit reports to keep. Default: no reports.
        synth: True for the build that clones the source and installs packages. The others get its output and fetch
            nothing: an unreachable registry or Git host must not fail a stage that rolls back.
    """
    kept: dict[str, object] = {}
    if reports:
        kept["tests"] = {"files": ["*.xml"], "base-directory": reports, "file-format": "JUNITXML"}
    if synth:
        kept["coverage"] = {
            "files": ["coverage.xml"],
            "base-directory": "build/reports/coverage",
            "file-format": "COBERTURAXML",
        }
        kept["nag"] = {"files": ["nag.xml"], "base-directory": "build/report", "file-format": "JUNITXML"}
    # The review fetches a commit that the clone lacks, and git only has the source's credentials this way:
    # https://docs.aws.amazon.com/codebuild/latest/userguide/build-spec-ref.html
    credentials = {"git-credential-helper": "yes"} if synth else {}
    return _spec(
        {
            "env": {"shell": "bash", **credentials},
            "phases": {
                "install": {"runtime-versions": _RUNTIMES, "on-failure": "ABORT"},
                "build": {"on-failure": "ABORT"},
            },
            **({"reports": kept} if kept else {}),
            **({"cache": {"paths": _CACHES}} if synth else {}),
        }
    )


def _spec(content: dict[str, object]) -> codebuild.BuildSpec:
    return codebuild.BuildSpec.from_object({"version": "0.2", **content})
