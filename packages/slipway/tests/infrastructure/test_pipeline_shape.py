"""The shape of the pipeline: order, roles, waiting, failing, and its margin to AWS's limits."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from rich.table import Table

from infrastructure import synthesis
from infrastructure.matrix import SPECIMEN, changed, pipeline_settings
from infrastructure.synthesis import Small, Tiny
from slipway.app import CDK_JSON, REPORT
from slipway.delivery.toolchain import PYTHON
from slipway.rules.aws.codepipeline import ACTIONS, ACTIONS_OF_A_STAGE, STAGES
from slipway.service import Service
from slipway.settings import ConfigurationError, Settings
from slipway.settings.quotas import CONCURRENT_BUILDS, builds_at_once
from slipway.tasks.reports import CONDENSED, HANDOVER
from slipway.testing.templates import Template
from specimen.services.catalog.infrastructure import Catalog

# https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/cloudformation-limits.html
RESOURCES, TEMPLATE_BYTES = 500, 1_000_000
# https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html: all inline policies of a role.
INLINE_POLICY_CHARACTERS = 10_240

STACK_ORDER = ("security", "data", "compute", "observability")

Action = dict[str, Any]

TESTS = {"attack": "Attack", "performance": "Perform", "resilience": "Experiment"}
"""Actions by the environment's key that configures them."""


@dataclass(frozen=True)
class Shape:
    """A synthesised pipeline."""

    settings: Settings
    services: Sequence[type[Service]]
    template: Template
    all: Mapping[str, Template]
    assembly: Path

    @property
    def properties(self) -> dict[str, Any]:
        return self.template.only("AWS::CodePipeline::Pipeline")

    @property
    def stages(self) -> dict[str, dict[str, Any]]:
        """Every stage by name, in order."""
        return {stage["Name"]: stage for stage in self.properties["Stages"]}

    @property
    def actions(self) -> list[Action]:
        return [action for stage in self.stages.values() for action in stage["Actions"]]

    @property
    def critical_path(self) -> int:
        """Minimum number of sequential actions."""
        return sum(len({action["RunOrder"] for action in stage["Actions"]}) for stage in self.stages.values())

    def project(self, action: Action) -> dict[str, Any]:
        """Return the properties of a build action's project."""
        properties: dict[str, Any] = self.template.resources[action["Configuration"]["ProjectName"]["Ref"]][
            "Properties"
        ]
        return properties

    def spec(self, action: Action) -> dict[str, Any]:
        """Return a build action's buildspec."""
        text = self.project(action)["Source"]["BuildSpec"]
        if text.endswith(".yaml"):
            text = (self.assembly / text).read_text(encoding="utf-8")
        spec: dict[str, Any] = json.loads(text)
        return spec

    def builds(self) -> list[tuple[Action, dict[str, Any]]]:
        """Return every build action with its buildspec."""
        return [
            (action, self.spec(action)) for action in self.actions if action["ActionTypeId"]["Provider"] == "CodeBuild"
        ]


@cache
def shape(variant: str = "committed") -> Shape:
    dev, staging, prod = SPECIMEN.environments
    services: Sequence[type[Service]] = (Tiny, Small)
    match variant:
        case "committed":
            settings = SPECIMEN
        case "codecommit":
            settings = pipeline_settings(source={"kind": "codecommit", "repository": "slipway", "branch": "trunk"})
        case "s3":
            settings = pipeline_settings(source={"kind": "s3", "bucket": "a-source-bucket", "key": "slipway.zip"})
        case "one service":
            settings, services = SPECIMEN, (Tiny,)
        case "attacked":
            tests = {"attack": {"seconds": 90}, "performance": {}, "resilience": {"minutes": 2}}
            settings = pipeline_settings((dev, changed(staging, tests), prod))
        case "frozen":
            frozen = {"deployment.frozen": True}
            settings = pipeline_settings((dev, changed(staging, frozen), changed(prod, frozen)))
        case "one environment":
            settings = pipeline_settings((dev,), approval_before=[])
        case "one account":
            together = {"account": dev.account}
            settings = pipeline_settings((dev, changed(staging, together), prod), share_accounts=True)
        case "webhook":
            arn = "arn:aws:secretsmanager:us-east-1:101112131415:secret:chat-AbCdEf"
            settings = pipeline_settings(notifications={"emails": ["a@example.com"], "webhook_secret_arn": arn})
        case _:
            raise AssertionError(variant)
    return Shape(settings, services, *synthesis.pipeline(settings, services))


VARIANTS = (
    "committed",
    "codecommit",
    "s3",
    "one service",
    "attacked",
    "frozen",
    "one environment",
    "one account",
    "webhook",
)


@pytest.fixture(params=VARIANTS)
def pipeline(request: pytest.FixtureRequest) -> Shape:
    return shape(request.param)


@pytest.fixture
def committed() -> Shape:
    return shape()


def _is_build(action: Action) -> bool:
    return bool(action["ActionTypeId"]["Provider"] == "CodeBuild")


def _stack(action: Action) -> str | None:
    """Return the stack that an action deploys."""
    name: str | None = action["Configuration"].get("StackName")
    return name


def _statements(template: Template, role: str) -> list[dict[str, Any]]:
    return [
        statement
        for policy in template.properties_of("AWS::IAM::Policy")
        if {"Ref": role} in policy["Roles"]
        for statement in policy["PolicyDocument"]["Statement"]
    ]


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


# --- Order ---


def test_stages_come_in_order(committed: Shape) -> None:
    assert list(committed.stages) == [
        *("Source", "Build", "UpdatePipeline", "Assets"),
        *("dev-foundation", "dev-services"),
        *("staging-foundation", "staging-services"),
        *("prod-approval", "prod-foundation", "prod-services"),
    ]


@pytest.mark.requirement("from a push to prod")
def test_every_stack_is_deployed_once_in_order(pipeline: Shape) -> None:
    deployed: list[str] = []
    for action in pipeline.actions:
        stack = _stack(action)
        if stack is None:
            continue
        template = pipeline.all[stack]
        # Then the change set is created and executed with the deploy role of the stack's account
        assert f":iam::{template.account}:role/cdk-hnb659fds-deploy-role-" in json.dumps(action["RoleArn"])
        assert action.get("Region", pipeline.settings.pipeline.region) == template.region
        if action["Configuration"]["ActionMode"] == "CHANGE_SET_EXECUTE":
            deployed.append(stack)
    assert len(deployed) == len(set(deployed))
    assert set(deployed) == {name for name in pipeline.all if name != "slipway-pipeline"}


@pytest.mark.requirement("tests after each environment", "protection")
def test_protection_and_tests_run_last_in_order(pipeline: Shape) -> None:
    for environment in pipeline.settings.environments:
        stage = next(
            stage
            for name, stage in reversed(pipeline.stages.items())
            if name.startswith(f"{environment.name}-") and "foundation" not in name
        )
        builds = sorted(filter(_is_build, stage["Actions"]), key=lambda action: int(action["RunOrder"]))
        stacks = max(action["RunOrder"] for action in stage["Actions"] if not _is_build(action))

        bake = ["Bake"] if environment.deployment.bake_minutes else []
        tests = [name for key, name in TESTS.items() if getattr(environment, key)]
        assert [action["Name"] for action in builds] == ["Protect", "Verify", *tests, *bake]
        assert [action["RunOrder"] - stacks for action in builds] == list(range(1, len(builds) + 1))
        # Then one build tests every service
        (command,) = pipeline.spec(builds[1])["phases"]["build"]["commands"]
        assert command.endswith(f'SERVICE="{" ".join(service.name for service in pipeline.services)}"')


def test_one_execution_fits_the_default_quotas_of_builds(pipeline: Shape) -> None:
    for compute_type, builds in builds_at_once(pipeline.template.raw).items():
        assert builds.of_one_execution <= CONCURRENT_BUILDS[compute_type].default, compute_type


def test_next_synth_does_not_displace_a_verification(pipeline: Shape) -> None:
    types = {action["Name"]: pipeline.project(action)["Environment"]["ComputeType"] for action, _ in pipeline.builds()}
    assert types["Synth"] not in {types["Protect"], types["Verify"]}


def test_only_the_synth_takes_the_source(pipeline: Shape) -> None:
    (source,) = pipeline.stages["Source"]["Actions"]
    (clone,) = (artifact["Name"] for artifact in source["OutputArtifacts"])
    takers = [action["Name"] for action in pipeline.actions if {"Name": clone} in action.get("InputArtifacts", [])]
    assert takers == ["Synth"]
    # Then no other build is allowed to clone it
    (synth,) = [action for action, _ in pipeline.builds() if action["Name"] == "Synth"]
    for action, _ in pipeline.builds():
        role = pipeline.project(action)["ServiceRole"]["Fn::GetAtt"][0]
        clones = any(
            "UseConnection" in str(each) or "GitPull" in str(each) for each in _statements(pipeline.template, role)
        )
        assert not clones or action["Name"] == synth["Name"]


def test_builds_that_can_roll_back_use_the_synths_packages(pipeline: Shape) -> None:
    (synth,) = [spec for action, spec in pipeline.builds() if action["Name"] == "Synth"]
    handed_over = {
        name for name, kept in synth["artifacts"]["secondary-artifacts"].items() if kept["base-directory"] == HANDOVER
    }
    rolling_back = [stage for stage in pipeline.stages.values() if "ROLLBACK" in json.dumps(stage)]
    for stage in rolling_back:
        for action in filter(_is_build, stage["Actions"]):
            assert {artifact["Name"] for artifact in action["InputArtifacts"]} == handed_over
            # And nothing is cached, since nothing is installed
            assert "cache" not in pipeline.spec(action)


def test_every_build_has_the_oldest_python_of_the_project(pipeline: Shape) -> None:
    for action, spec in pipeline.builds():
        assert spec["phases"]["install"]["runtime-versions"] == {"nodejs": "24", "python": PYTHON}, action["Name"]


def test_services_are_deployed_side_by_side(committed: Shape) -> None:
    # Given the actions of one wave, by service
    for environment in committed.settings.environments:
        orders = {
            service.name: [
                action["RunOrder"]
                for action in committed.stages[f"{environment.name}-services"]["Actions"]
                if (_stack(action) or "").startswith(f"{environment.name}-{service.name}-")
            ]
            for service in committed.services
        }

        # Then each service starts at once, and only waits for its own stacks
        assert {tuple(sorted(found)) for found in orders.values()} == {tuple(range(1, 2 * len(STACK_ORDER) + 1))}


def test_configured_waves_are_deployed_in_order() -> None:
    # Given three services, one of which is deployed first
    first, second, third = (type(name.title(), (Tiny,), {"name": name}) for name in ("catalog", "intake", "studio"))
    settings = pipeline_settings(waves=[["intake"], ["catalog", "studio"]])
    template, _, _ = synthesis.pipeline(settings, (first, second, third))
    stages = [stage["Name"] for stage in template.only("AWS::CodePipeline::Pipeline")["Stages"]]

    # Then each environment has a stage per wave, with its protection in the last one
    assert stages[4:7] == ["dev-foundation", "dev-intake", "dev-services-2"]
    protects = [
        stage["Name"]
        for stage in template.only("AWS::CodePipeline::Pipeline")["Stages"]
        for action in stage["Actions"]
        if action["Name"] == "Protect"
    ]
    assert protects == ["dev-services-2", "staging-services-2", "prod-services-2"]


@pytest.mark.parametrize(
    ("waves", "says"),
    [([["catalog", "intake"]], "'intake': is not deployed"), ([["intake"]], "no wave contains 'catalog'")],
)
def test_waves_that_do_not_fit_the_services_are_refused(waves: list[list[str]], says: str) -> None:
    assert {"catalog", "intake"} <= set(SPECIMEN.environments[0].services.names)

    with pytest.raises(ConfigurationError, match=says):
        synthesis.pipeline(pipeline_settings(waves=waves), (type("ItemsToo", (Tiny,), {"name": "catalog"}),))


# --- Roles ---


def test_no_action_is_without_a_role(pipeline: Shape) -> None:
    for action in pipeline.actions:
        assert action["RoleArn"], action["Name"]


def test_only_two_builds_roles_reach_other_accounts(pipeline: Shape) -> None:
    for action, _ in pipeline.builds():
        role = pipeline.project(action)["ServiceRole"]["Fn::GetAtt"][0]
        assumed = [
            json.dumps(resource)
            for statement in _statements(pipeline.template, role)
            if "sts:AssumeRole" in _listed(statement["Action"])
            for resource in _listed(statement["Resource"])
        ]
        match action["Name"]:
            case "Synth":
                assert assumed == []
            case "Protect":
                assert len(assumed) == 1
                assert "-protection" in assumed[0]
            case "Verify" | "Attack" | "Perform":
                assert len(assumed) == len(pipeline.services)
                assert all("-verification" in resource for resource in assumed)
            case "Experiment":
                # To run the tests, and to start experiments
                for role in ("-verification", "-experiment"):
                    assert sum(role in resource for resource in assumed) == len(pipeline.services)
                assert len(assumed) == 2 * len(pipeline.services)
            case "Bake":
                assert assumed == []
            case "SelfMutate" | "FileAssets":
                assert assumed
            case name:
                raise AssertionError(name)


@pytest.mark.requirement("tests after each environment")
def test_the_roles_that_steps_assume_trust_exactly_those_steps(pipeline: Shape) -> None:
    names = {properties.get("RoleName") for properties in pipeline.template.properties_of("AWS::IAM::Role")}
    for environment in pipeline.settings.environments:
        for template in pipeline.all.values():
            if template.account != environment.account or not template.stack_name.startswith(f"{environment.name}-"):
                continue
            for role in template.properties_of("AWS::IAM::Role"):
                if "RoleName" not in role:
                    continue
                (trust,) = role["AssumeRolePolicyDocument"]["Statement"]
                for step in _listed(trust["Condition"]["ArnEquals"]["aws:PrincipalArn"]):
                    assert f":{pipeline.settings.pipeline.account}:role/" in step
                    # Then a build has a role of that name
                    assert step.rpartition("/")[2] in names
                assert pipeline.settings.pipeline.account in json.dumps(trust["Principal"])


def test_steps_that_test_write_reports_of_their_environment_alone() -> None:
    attacked = shape("attacked")
    for action, _ in attacked.builds():
        if action["Name"] not in TESTS.values():
            continue
        role = attacked.project(action)["ServiceRole"]["Fn::GetAtt"][0]
        written = [
            resource
            for statement in _statements(attacked.template, role)
            if "s3:PutObject" in _listed(statement["Action"])
            for resource in _listed(statement["Resource"])
        ]
        keys = {json.dumps(each).rpartition('"]}, "')[2].rstrip('"]}') for each in written}
        assert keys == {"/reports/*/staging/*", *(["/performance/staging/*"] if action["Name"] == "Perform" else [])}


@pytest.mark.requirement("protection")
def test_the_protection_role_may_only_protect(pipeline: Shape) -> None:
    for environment in pipeline.settings.environments:
        foundation = pipeline.all[f"{environment.name}-foundation"]
        (policy,) = [
            policy
            for policy in foundation.properties_of("AWS::IAM::ManagedPolicy")
            if "protection" in policy["Description"]
        ]
        (statement,) = policy["PolicyDocument"]["Statement"]

        assert set(statement["Action"]) == {
            "cloudformation:DescribeStacks",
            "cloudformation:GetStackPolicy",
            "cloudformation:SetStackPolicy",
            "cloudformation:UpdateTerminationProtection",
        }
        assert {resource.split(":stack/")[1] for resource in statement["Resource"]} == {
            f"{environment.name}-{service.name}-{stack}/*"
            for service in pipeline.services
            for stack in ("security", "data")
        }


def test_the_connection_is_only_used_for_the_repository(committed: Shape) -> None:
    (action,) = committed.stages["Source"]["Actions"]
    found = {
        statement["Action"]: statement
        for statement in _statements(committed.template, action["RoleArn"]["Fn::GetAtt"][0])
        if "UseConnection" in str(statement["Action"])
    }

    assert set(found) == {"codestar-connections:UseConnection", "codeconnections:UseConnection"}
    for name, statement in found.items():
        prefix = name.partition(":")[0]
        assert statement["Condition"] == {"StringEquals": {f"{prefix}:FullRepositoryId": "example-corp/lighthouse"}}
        assert (
            statement["Resource"] == committed.properties["Stages"][0]["Actions"][0]["Configuration"]["ConnectionArn"]
        )


# --- Steps ---


@pytest.mark.requirement("gates before any account")
def test_our_steps_run_one_verb_of_the_repository(pipeline: Shape) -> None:
    verbs = {
        action["Name"]: spec["phases"]["build"]["commands"]
        for action, spec in pipeline.builds()
        if action["Name"] not in {"SelfMutate", "FileAssets"}
    }

    # The synth also exports a variable, which only the build's own shell can do
    verb, export = verbs.pop("Synth")
    assert verb == ".ci/run"
    assert export == 'export EVIDENCE_URL="$(cat build/report-address)"'
    for name, commands in verbs.items():
        (command,) = commands
        assert command.startswith("make "), name


@pytest.mark.requirement("tests after each environment")
def test_no_step_can_pass_when_its_command_fails(pipeline: Shape) -> None:
    for action, spec in pipeline.builds():
        assert spec["env"]["shell"] == "bash"
        # Then a failed phase ends the build, and no later phase can turn it green
        assert set(spec["phases"]) <= {"install", "build"}, action["Name"]
        for name, phase in spec["phases"].items():
            assert phase["on-failure"] == "ABORT", (action["Name"], name)
            assert "finally" not in phase
            for command in phase.get("commands", []):
                # And no command hides the failure of another
                for hidden in ("|", ";", "&", "set +e", "exit 0", "true"):
                    assert hidden not in command, (action["Name"], command)


def test_images_and_tools_are_pinned_and_nothing_has_privileges(pipeline: Shape) -> None:
    for action, spec in pipeline.builds():
        project = pipeline.project(action)
        assert project["Environment"]["Image"] == "aws/codebuild/standard:8.0"
        assert project["Environment"]["PrivilegedMode"] is False
        assert 5 <= project["TimeoutInMinutes"] <= 60
        commands = [command for phase in spec["phases"].values() for command in phase.get("commands", [])]
        assert not [command for command in commands if "@latest" in command]


@pytest.mark.requirement("gates before any account", "tests after each environment")
def test_reports_of_tests_are_stored(pipeline: Shape) -> None:
    reports = {action["Name"]: spec.get("reports", {}) for action, spec in pipeline.builds()}

    assert {name for name, kept in reports.items() if kept} == {"Synth", "Verify", *(reports.keys() & TESTS.values())}
    assert set(reports["Synth"]) == {"tests", "coverage", "nag"}
    # No more cases than CodeBuild shows
    assert reports["Synth"]["tests"]["base-directory"] == CONDENSED
    # The gate's report is where `app.py` writes it
    assert reports["Synth"]["nag"]["base-directory"] == str(REPORT.relative_to(CDK_JSON.parent))
    assert set(reports["Verify"]) == {"tests"}


# --- Conditions ---


@pytest.mark.requirement("bake and rollback")
def test_staging_and_prod_bake_on_pipelines_own_alarms(committed: Shape) -> None:
    for environment in committed.settings.environments:
        stage = committed.stages[f"{environment.name}-services"]
        if not environment.deployment.bake_minutes:
            assert "OnSuccess" not in stage
            continue
        (condition,) = stage["OnSuccess"]["Conditions"]
        (rule,) = condition["Rules"]
        assert condition["Result"] == "ROLLBACK"
        # Then the rule's wait time is the minimum: the last build watches for the configured time
        assert rule["Configuration"]["WaitTime"] == "1"
        (watch,) = [action for action in stage["Actions"] if action["Name"] == "Bake"]
        project = committed.project(watch)
        assert project["TimeoutInMinutes"] > environment.deployment.bake_minutes
        assert rule["Configuration"]["AlarmName"] in json.loads(
            json.dumps([each["Value"] for each in project["Environment"]["EnvironmentVariables"]])
        )
        # Then the alarm is in this template, watches the environment's alarms, and keeps its state without data
        alarm = committed.template.resources[rule["Configuration"]["AlarmName"]["Ref"]]["Properties"]
        assert alarm["MetricName"] == "AlarmsInAlarm"
        assert alarm["Dimensions"] == [
            {"Name": "Environment", "Value": environment.name},
            {"Name": "service", "Value": "pipeline"},
        ]
        assert alarm["TreatMissingData"] == "ignore"
        # And the pipeline may read it
        role = committed.properties["RoleArn"]["Fn::GetAtt"][0]
        allowed = [
            resource
            for statement in _statements(committed.template, role)
            if "cloudwatch:DescribeAlarms" in _listed(statement["Action"])
            for resource in _listed(statement["Resource"])
        ]
        assert {"Fn::GetAtt": [rule["Configuration"]["AlarmName"]["Ref"], "Arn"]} in allowed


def test_the_number_of_alarms_is_put_each_minute(committed: Shape) -> None:
    rules = committed.template.of_type("AWS::Events::Rule").values()
    (minutes,) = [rule["Properties"] for rule in rules if "ScheduleExpression" in rule["Properties"]]

    assert minutes["ScheduleExpression"] == "rate(1 minute)"
    (target,) = minutes["Targets"]
    alias = committed.template.resources[target["Arn"]["Ref"]]["Properties"]
    function = committed.template.resources[alias["FunctionName"]["Ref"]]["Properties"]
    assert function["Handler"] == "slipway.delivery.runtime.handlers.figures_handler"


@pytest.mark.requirement("bake and rollback")
def test_failed_stage_is_retried_or_rolled_back_as_configured(committed: Shape) -> None:
    found = {name: stage.get("OnFailure", {}).get("Result") for name, stage in committed.stages.items()}

    assert {name: result for name, result in found.items() if result} == {
        "dev-services": "RETRY",
        "staging-services": "ROLLBACK",
        "prod-services": "ROLLBACK",
    }


@pytest.mark.requirement("bake and rollback")
def test_a_window_is_checked_after_the_approval(committed: Shape) -> None:
    asked = [name for name, stage in committed.stages.items() if "BeforeEntry" in stage]

    assert asked == ["prod-foundation"]
    assert list(committed.stages).index("prod-approval") < list(committed.stages).index("prod-foundation")


@pytest.mark.requirement("the approval")
def test_freeze_stops_before_the_approval(committed: Shape) -> None:
    assert "DisableInboundStageTransitions" not in committed.properties

    frozen = shape("frozen").properties["DisableInboundStageTransitions"]
    assert [entry["StageName"] for entry in frozen] == ["staging-foundation", "prod-approval"]
    assert all("config/" in entry["Reason"] for entry in frozen)


# --- Approval ---


@pytest.mark.requirement("the approval")
def test_an_approval_says_what_changed_and_where_the_evidence_is(pipeline: Shape) -> None:
    asked = [action for action in pipeline.actions if action["ActionTypeId"]["Category"] == "Approval"]

    assert len(asked) == len(pipeline.settings.pipeline.approval_before)
    for action in asked:
        said = action["Configuration"]
        assert said["ExternalEntityLink"] == "#{Build@Synth.EVIDENCE_URL}"
        assert action["TimeoutInMinutes"] == pipeline.settings.pipeline.approval.timeout_hours * 60
        # Then the paragraph only uses variables that this kind of source provides
        (source,) = pipeline.stages["Source"]["Actions"]
        given = {
            "CodeStarSourceConnection": {"CommitId", "BranchName", "AuthorDate", "CommitMessage"},
            "CodeCommit": {"CommitId", "BranchName", "AuthorDate", "CommitMessage"},
            "S3": {"VersionId", "ETag"},
        }[source["ActionTypeId"]["Provider"]]
        named = {part.partition("}")[0] for part in said["CustomData"].split(f"#{{{source['Namespace']}.")[1:]}
        assert named == given
        assert len(said["CustomData"]) <= 1000
        # And the topic has subscribers
        topic = said["NotificationArn"]["Ref"]
        assert [
            entry["Endpoint"]
            for entry in pipeline.template.properties_of("AWS::SNS::Subscription")
            if entry["TopicArn"] == {"Ref": topic}
        ] == list(pipeline.settings.pipeline.approval.emails)
    if asked:
        (synth,) = [spec for action, spec in pipeline.builds() if action["Name"] == "Synth"]
        assert synth["env"]["exported-variables"] == ["EVIDENCE_URL"]


# --- Triggers ---


@pytest.mark.requirement("from a push to prod")
def test_push_starts_it_unless_only_ignored_paths_change(committed: Shape) -> None:
    (trigger,) = committed.properties["Triggers"]
    (source,) = committed.stages["Source"]["Actions"]

    assert trigger["GitConfiguration"] == {
        "SourceActionName": source["Name"],
        "Push": [{"Branches": {"Includes": ["main"]}, "FilePaths": {"Excludes": ["docs/**", "*.md"]}}],
    }
    # And the source itself does not start it a second time
    assert source["Configuration"]["DetectChanges"] is False


@pytest.mark.parametrize("variant", ["codecommit", "s3"])
def test_the_other_sources_have_no_git_trigger(variant: str) -> None:
    assert "Triggers" not in shape(variant).properties


# --- Events ---


@pytest.mark.requirement("notifications and figures")
def test_only_environments_may_put_events_on_the_bus(pipeline: Shape) -> None:
    policy = pipeline.template.only("AWS::Events::EventBusPolicy")["Statement"]
    principals = _listed(policy["Principal"]["AWS"])

    assert policy["Action"] == "events:PutEvents"
    named = {next(part for part in json.dumps(principal).split(":") if part.isdigit()) for principal in principals}
    assert named == {environment.account for environment in pipeline.settings.environments}


def test_an_environment_may_put_events_on_that_bus_alone(pipeline: Shape) -> None:
    place = f"{pipeline.settings.pipeline.region}:{pipeline.settings.pipeline.account}"
    for environment in pipeline.settings.environments:
        foundation = pipeline.all[f"{environment.name}-foundation"]
        puts = [
            statement
            for policy in foundation.properties_of("AWS::IAM::ManagedPolicy")
            for statement in policy["PolicyDocument"]["Statement"]
            if "events:PutEvents" in _listed(statement["Action"])
        ]
        assert [statement["Resource"] for statement in puts] == [f"arn:aws:events:{place}:event-bus/slipway-delivery"]
        # And only events of resources named after the environment are sent, with a queue for undeliverable ones
        rules = foundation.properties_of("AWS::Events::Rule")
        assert len(rules) == 3
        for rule in rules:
            prefixes = re.findall(r'"prefix": "([^"]*)"', json.dumps(rule["EventPattern"]))
            assert prefixes
            assert all(re.match(rf"{environment.name}-\w+-[a-z]+-$", prefix) for prefix in prefixes)
            (target,) = rule["Targets"]
            assert target["DeadLetterConfig"]
            assert target["RoleArn"]


@pytest.mark.requirement("notifications and figures")
def test_events_reach_both_functions_and_failures_are_kept(pipeline: Shape) -> None:
    rules = [rule for rule in pipeline.template.properties_of("AWS::Events::Rule") if "aws.codecommit" not in str(rule)]
    reached: Counter[str] = Counter()
    for rule in rules:
        for target in rule["Targets"]:
            alias = pipeline.template.resources[target["Arn"]["Ref"]]
            reached[alias["Properties"]["FunctionName"]["Ref"]] += 1
            assert alias["Properties"]["Name"] == "live"
            assert target["DeadLetterConfig"]
            assert target["RetryPolicy"] == {"MaximumEventAgeInSeconds": 7200, "MaximumRetryAttempts": 2}
    assert len(reached) == 2
    assert {rule["EventPattern"]["source"][0] for rule in rules if "EventPattern" in rule} == {
        "aws.codepipeline",
        "aws.codedeploy",
        "aws.cloudwatch",
    }


def test_the_functions_know_every_stage_that_deploys(pipeline: Shape) -> None:
    for function in pipeline.template.properties_of("AWS::Lambda::Function"):
        delivery = json.loads(function["Environment"]["Variables"]["DELIVERY"])
        deploying = {
            name for name, stage in pipeline.stages.items() if any(_stack(action) for action in stage["Actions"])
        }
        assert set(delivery["stages"]) == deploying
        assert {name for names in delivery["stages"].values() for name in names} == {
            each.name for each in pipeline.settings.environments
        }
        assert len(delivery["last_stages"]) == len(pipeline.settings.environments)
        assert delivery["accounts"] == {each.name: each.account for each in pipeline.settings.environments}


def test_webhook_is_read_from_secret_by_its_function() -> None:
    template = shape("webhook").template
    arn = "arn:aws:secretsmanager:us-east-1:101112131415:secret:chat-AbCdEf"
    holders = [
        function["Handler"]
        for function in template.properties_of("AWS::Lambda::Function")
        if function["Environment"]["Variables"].get("WEBHOOK_SECRET_ARN") == arn
    ]
    readers = [
        policy
        for policy in template.properties_of("AWS::IAM::ManagedPolicy")
        for statement in policy["PolicyDocument"]["Statement"]
        if statement["Action"] == "secretsmanager:GetSecretValue" and statement["Resource"] == arn
    ]

    assert holders == ["slipway.delivery.runtime.handlers.notify_handler"]
    assert len(readers) == 1


@pytest.mark.requirement("notifications and figures")
def test_the_dashboard_shows_the_four_figures_of_each_environment(committed: Shape) -> None:
    (dashboard,) = committed.template.properties_of("AWS::CloudWatch::Dashboard")
    body = json.dumps(dashboard["DashboardBody"])

    for environment in committed.settings.environments:
        for figure in ("deployments per day", "median lead time", "change failure rate", "median time to restore"):
            assert f"{environment.name}: {figure}" in body


# --- Limits ---


def _stubs(number: int) -> tuple[type[Service], ...]:
    """Return services with one resource per stack; to the pipeline's own template, they look like any other."""
    return tuple(type(f"Tiny{index}", (Tiny,), {"name": f"items{index:02}"}) for index in range(number))


def _inline(template: Template) -> int:
    """Return the characters of the longest set of inline policies of a role."""
    sizes: Counter[str] = Counter()
    for policy in template.properties_of("AWS::IAM::Policy"):
        for role in policy["Roles"]:
            sizes[json.dumps(role)] += len(json.dumps(policy["PolicyDocument"], separators=(",", ":")))
    return max(sizes.values())


def test_the_pipeline_is_within_the_limits_up_to_twenty_services(say: Callable[[str], None]) -> None:
    rows = []
    for number in (1, 3, 10, 20):
        # Given this number of services in three environments
        services = _stubs(number)
        found = Shape(SPECIMEN, services, *synthesis.pipeline(SPECIMEN, services))
        most = max(len(stage["Actions"]) for stage in found.stages.values())
        resources, size = len(found.template.raw["Resources"]), len(found.template.text())
        rows.append(
            (
                number,
                len(found.stages),
                most,
                len(found.actions),
                found.critical_path,
                resources,
                size,
                _inline(found.template),
            )
        )
        # Then there is room: 40 % of each limit with ten services, and 10 % of all but the actions, which run out
        # first, with twenty
        room = 0.6 if number <= 10 else 0.9
        assert len(found.stages) <= room * STAGES
        assert most <= ACTIONS_OF_A_STAGE
        assert len(found.actions) <= (room if number <= 10 else 1) * ACTIONS
        assert resources <= room * RESOURCES
        assert size <= room * TEMPLATE_BYTES
        assert _inline(found.template) <= room * INLINE_POLICY_CHARACTERS
        # And the path is as short as possible: the first stages, and for each environment two actions per stack, two
        # final steps, a bake if configured, and the approval; splitting a stage does not lengthen it
        if number <= 3:
            bakes = sum(bool(environment.deployment.bake_minutes) for environment in found.settings.environments)
            assert found.critical_path == 4 + 3 * (2 + 2 * len(STACK_ORDER) + 2) + 1 + bakes
    table = Table(title="The pipeline by its services, in three environments", title_justify="left")
    for column in (
        *("services", "stages", "actions of a stage", "actions", "critical path"),
        *("resources", "template bytes", "inline policy"),
    ):
        table.add_column(column, justify="right")
    for row in rows:
        table.add_row(*(f"{figure:,}" for figure in row))
    limits = (STAGES, ACTIONS_OF_A_STAGE, ACTIONS, "", RESOURCES, TEMPLATE_BYTES, INLINE_POLICY_CHARACTERS)
    table.add_section()
    table.add_row("limit", *(f"{limit:,}" if isinstance(limit, int) else limit for limit in limits))
    console = Console(width=120)
    with console.capture() as text:
        console.print("", table)
    say(text.get())


def test_a_split_stage_keeps_its_conditions() -> None:
    # Given more services than fit into fifty actions
    services = _stubs(10)
    found = Shape(SPECIMEN, services, *synthesis.pipeline(SPECIMEN, services))
    prod = [stage for name, stage in found.stages.items() if name.startswith("prod-services.")]

    # Then each part of the stage rolls back, and the last one bakes
    assert len(prod) > 1
    assert all(stage["OnFailure"]["Result"] == "ROLLBACK" for stage in prod)
    assert ["OnSuccess" in stage for stage in prod] == [False] * (len(prod) - 1) + [True]


def test_artifacts_of_three_services_are_small() -> None:
    # Given three services of the size of items; the assets stage publishes zips from the same artifact
    services = (Catalog, *(type(f"Other{index}", (Tiny,), {"name": f"other{index}"}) for index in range(2)))
    _, _, assembly = synthesis.pipeline(SPECIMEN, services)
    size = sum(path.stat().st_size for path in assembly.rglob("*") if path.is_file() and path.suffix != ".zip")

    assert size < 25_000_000
