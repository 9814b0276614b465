"""The core of the pipeline: sources, self-mutation, assets, artifacts."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import tarfile
from pathlib import Path
from typing import Any

import aws_cdk
import pytest

from infrastructure.matrix import PIPELINES, SPECIMEN
from infrastructure.pipelines import Pipeline, pipeline_of
from infrastructure.synthesis import Tiny
from slipway.app import CDK_JSON
from slipway.delivery.toolchain import ASSET_SCHEMA
from slipway.project import ROOT
from slipway.settings import ConfigurationError, Settings
from slipway.settings.model import ROLLBACK_DAYS
from slipway.testing.templates import KEPT
from specimen.services.catalog.infrastructure import Catalog

TOOLS = SPECIMEN.pipeline.account
PINNED = json.loads(CDK_JSON.with_name("package.json").read_text(encoding="utf-8"))["devDependencies"]
STACKS = ("security", "data", "compute", "observability")


@pytest.fixture(params=PIPELINES)
def pipeline(request: pytest.FixtureRequest) -> Pipeline:
    return pipeline_of(request.param)


@pytest.fixture
def committed() -> Pipeline:
    return pipeline_of("committed")


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _environment_of(action: dict[str, Any], settings: Settings) -> str:
    """Return the environment that an action deploys a stack to; empty if it deploys none."""
    stack = action["Configuration"].get("StackName", "")
    return max((each.name for each in settings.environments if stack.startswith(f"{each.name}-")), key=len, default="")


@pytest.mark.requirement("from a push to prod")
def test_the_pipeline_is_v2_and_queues_executions(pipeline: Pipeline) -> None:
    assert pipeline.properties["PipelineType"] == "V2"
    assert pipeline.properties["ExecutionMode"] == "QUEUED"


def test_the_pipeline_restarts_after_self_mutation(pipeline: Pipeline) -> None:
    assert pipeline.properties["RestartExecutionOnUpdate"] is True


@pytest.mark.requirement("from a push to prod")
def test_stages_follow_self_mutation_and_assets_in_order(pipeline: Pipeline) -> None:
    waves = [
        f"{together[0].name}-{wave}"
        for together in pipeline.settings.turns
        for wave in ("approval", "foundation", "services")
        if wave != "approval" or together[0].name in pipeline.settings.pipeline.approval_before
    ]

    assert list(pipeline.stages) == ["Source", "Build", "UpdatePipeline", "Assets", *waves]


@pytest.mark.requirement("from a push to prod")
def test_the_source_is_the_committed_connection(committed: Pipeline) -> None:
    (action,) = committed.stages["Source"]
    settings = committed.settings.pipeline.source
    assert settings.kind == "codeconnections"

    assert action["ActionTypeId"]["Provider"] == "CodeStarSourceConnection"
    assert action["Configuration"]["ConnectionArn"] == settings.connection_arn
    assert action["Configuration"]["FullRepositoryId"] == settings.repository
    assert action["Configuration"]["BranchName"] == settings.branch
    # A trigger starts it, because a trigger can filter by path
    assert action["Configuration"]["DetectChanges"] is False
    assert committed.properties["Triggers"]


@pytest.mark.requirement("from a push to prod")
def test_source_may_use_connection_by_both_names(committed: Pipeline) -> None:
    # Given a connection; CDK only grants the action under the service's old name
    (action,) = committed.stages["Source"]
    settings = committed.settings.pipeline.source
    assert settings.kind == "codeconnections"
    role = action["RoleArn"]["Fn::GetAtt"][0]
    allowed = {
        name
        for statement in committed.statements(role)
        if settings.connection_arn in _listed(statement["Resource"])
        for name in _listed(statement["Action"])
    }

    assert {"codeconnections:UseConnection", "codestar-connections:UseConnection"} <= allowed


@pytest.mark.requirement("from a push to prod")
def test_the_source_may_be_a_codecommit_repository() -> None:
    pipeline = pipeline_of("codecommit")
    (action,) = pipeline.stages["Source"]

    assert action["ActionTypeId"]["Provider"] == "CodeCommit"
    assert action["Configuration"]["RepositoryName"] == "slipway"
    assert action["Configuration"]["BranchName"] == "trunk"
    # An event starts it on a push
    assert action["Configuration"]["PollForSourceChanges"] is False
    patterns = [rule.get("EventPattern", {}) for rule in pipeline.template.properties_of("AWS::Events::Rule")]
    assert ["aws.codecommit"] in [pattern.get("source") for pattern in patterns]


@pytest.mark.requirement("from a push to prod")
def test_the_source_may_be_a_zip_in_a_bucket() -> None:
    pipeline = pipeline_of("s3")
    (action,) = pipeline.stages["Source"]

    assert action["ActionTypeId"]["Provider"] == "S3"
    assert action["Configuration"]["S3Bucket"] == "a-source-bucket"
    assert action["Configuration"]["S3ObjectKey"] == "slipway.zip"
    # A new object starts it, by polling or by an event
    started = action["Configuration"].get("PollForSourceChanges", True)
    assert started or pipeline.template.of_type("AWS::Events::Rule")


def test_synth_is_one_stable_line_of_the_repository(pipeline: Pipeline) -> None:
    # Given the build, which still runs under the old definition of the pipeline
    spec = json.loads(pipeline.project("Build")["Source"]["BuildSpec"])

    # The second line only exports what the first one wrote
    assert spec["phases"]["build"]["commands"] == [".ci/run", 'export EVIDENCE_URL="$(cat build/report-address)"']
    assert "cdk.out" in {kept["base-directory"] for kept in spec["artifacts"]["secondary-artifacts"].values()}
    assert "commands" not in spec["phases"]["install"]
    # The review fetches commits that the clone lacks
    assert spec["env"]["git-credential-helper"] == "yes"


@pytest.mark.requirement("from a push to prod")
def test_self_mutation_uses_the_pinned_cli(pipeline: Pipeline) -> None:
    spec = pipeline.project("UpdatePipeline")["Source"]["BuildSpec"]

    assert f"aws-cdk@{PINNED['aws-cdk']}" in spec
    assert "@latest" not in spec


def test_build_projects_are_unprivileged_and_log_encrypted(pipeline: Pipeline) -> None:
    projects = pipeline.template.properties_of("AWS::CodeBuild::Project")

    assert projects
    for project in projects:
        assert project["Environment"]["PrivilegedMode"] is False
        assert project["Environment"]["Type"] == "LINUX_CONTAINER"
        assert "EncryptionKey" in project
        group = project["LogsConfig"]["CloudWatchLogs"]["GroupName"]["Ref"]
        properties = pipeline.template.resources[group]["Properties"]
        assert "KmsKeyId" in properties
        assert properties["RetentionInDays"] == pipeline.settings.pipeline.logs.retention_days


@pytest.mark.requirement("from a push to prod", "the approval")
def test_approval_precedes_all_stages_of_the_environment(pipeline: Pipeline) -> None:
    asked = {
        name
        for name, actions in pipeline.stages.items()
        if "Approval" in {action["ActionTypeId"]["Category"] for action in actions}
    }

    assert asked == {f"{name}-approval" for name in pipeline.settings.pipeline.approval_before}
    order = list(pipeline.stages)
    for name in pipeline.settings.pipeline.approval_before:
        assert len(pipeline.stages[f"{name}-approval"]) == 1
        assert order.index(f"{name}-approval") + 1 == order.index(f"{name}-foundation")


@pytest.mark.requirement("the approval")
def test_prod_has_an_approval_in_the_committed_configuration(committed: Pipeline) -> None:
    assert committed.settings.pipeline.approval_before == ("prod",)
    assert [environment.name for environment in committed.settings.environments] == ["dev", "staging", "prod"]


@pytest.mark.requirement("from a push to prod")
def test_each_environment_is_deployed_by_its_own_roles(pipeline: Pipeline) -> None:
    for environment in pipeline.settings.environments:
        place = f"{environment.account}-{environment.region}"
        for wave in ("foundation", "services"):
            for action in pipeline.stages[f"{pipeline.settings.leader(environment.name)}-{wave}"]:
                if _environment_of(action, pipeline.settings) != environment.name:
                    continue
                assert pipeline.text(action["RoleArn"]).endswith(
                    f"::{environment.account}:role/cdk-hnb659fds-deploy-role-{place}"
                ) or pipeline.text(action["RoleArn"]).endswith(
                    f":{environment.account}:role/cdk-hnb659fds-deploy-role-{place}"
                )
                assert action.get("Region", pipeline.settings.pipeline.region) == environment.region
                if "RoleArn" in action["Configuration"]:
                    assert pipeline.text(action["Configuration"]["RoleArn"]).endswith(
                        f"role/cdk-hnb659fds-cfn-exec-role-{place}"
                    )


@pytest.mark.requirement("from a push to prod")
@pytest.mark.parametrize("service", ["tiny", "small"])
def test_services_deploy_in_parallel_and_stacks_in_order(pipeline: Pipeline, service: str) -> None:
    for environment in pipeline.settings.environments:
        # Given the actions of one service in the wave
        actions = [
            action
            for action in pipeline.stages[f"{pipeline.settings.leader(environment.name)}-services"]
            if action["Configuration"].get("StackName", "").startswith(f"{environment.name}-{service}-")
        ]
        actions.sort(key=lambda action: int(action["RunOrder"]))

        # Then its stacks are deployed in order, starting in parallel with those of other services
        assert [
            (action["Configuration"]["StackName"], action["Configuration"]["ActionMode"].rpartition("_")[2])
            for action in actions
        ] == [(f"{environment.name}-{service}-{stack}", mode) for stack in STACKS for mode in ("REPLACE", "EXECUTE")]
        assert [action["RunOrder"] for action in actions] == list(range(1, 9))


def test_environments_side_by_side_share_stages_and_conditions() -> None:
    pipeline = pipeline_of("prod in two regions side by side")
    raw = {stage["Name"]: stage for stage in pipeline.properties["Stages"]}
    foundation, services = pipeline.stages["prod-foundation"], pipeline.stages["prod-services"]

    # Given that the second environment has no stage of its own, and both have one approval
    assert not [name for name in raw if name.startswith("prod-eu-")]
    (asked,) = pipeline.stages["prod-approval"]
    assert "prod and prod-eu" in json.dumps(asked["Configuration"])
    # Then the stacks of both are deployed in parallel
    for stage, stacks in ((foundation, 1), (services, 2 * len(STACKS))):
        orders = {
            name: sorted(action["RunOrder"] for action in stage if _environment_of(action, pipeline.settings) == name)
            for name in ("prod", "prod-eu")
        }
        assert orders["prod"] == orders["prod-eu"]
        assert len(orders["prod"]) == 2 * stacks
    # And builds run one after the other, since two in parallel may exceed the quota
    builds = [action for action in services if action["ActionTypeId"]["Provider"] == "CodeBuild"]
    builds.sort(key=lambda action: int(action["RunOrder"]))
    assert [action["Name"] for action in builds] == [
        *("Protect-prod", "Verify-prod", "Protect-prod-eu", "Verify-prod-eu"),
        "Bake",
    ]
    assert len({action["RunOrder"] for action in builds}) == len(builds)
    # And one bake watches the alarms of both; if one of them is on, the stage of both is rolled back
    spec = json.loads(pipeline.project("prod-services", "Bake")["Source"]["BuildSpec"])
    assert spec["phases"]["build"]["commands"] == ['make bake ENV="prod prod-eu"']
    (condition,) = raw["prod-services"]["OnSuccess"]["Conditions"]
    assert condition["Result"] == raw["prod-services"]["OnFailure"]["Result"] == "ROLLBACK"
    assert [rule["Name"] for rule in condition["Rules"]] == ["Bake-prod", "Bake-prod-eu"]


def test_parallel_environments_fit_into_a_stage() -> None:
    # Given three services in two environments: 48 actions for their stacks alone
    services = tuple(type(name.title(), (Tiny,), {"name": name}) for name in ("catalog", "intake", "studio"))
    settings = PIPELINES["prod in two regions side by side"]

    with pytest.raises(ConfigurationError, match="prod, prod-eu: the stage prod-services would have more than the 50"):
        Pipeline(settings, services=services)

    # Then waves split them
    waves = settings.pipeline.model_copy(update={"waves": (("catalog", "intake"), ("studio",))})
    pipeline = Pipeline(settings.model_copy(update={"pipeline": waves}), services=services)
    assert [name for name in pipeline.stages if "services" in name] == ["prod-services-1", "prod-services-2"]


def test_accounts_are_distinct(committed: Pipeline) -> None:
    accounts = [TOOLS, *(environment.account for environment in committed.settings.environments)]

    assert committed.template.account == TOOLS
    assert len(set(accounts)) == len(accounts) == 4


@pytest.mark.requirement("artifacts")
def test_the_artifact_bucket_is_private_and_versioned(pipeline: Pipeline) -> None:
    _, bucket = pipeline.artifacts()
    properties = bucket["Properties"]

    assert set(properties["PublicAccessBlockConfiguration"].values()) == {True}
    assert properties["VersioningConfiguration"] == {"Status": "Enabled"}
    assert properties["OwnershipControls"] == {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]}
    assert (bucket["DeletionPolicy"], bucket["UpdateReplacePolicy"]) in KEPT
    (rule,) = properties["LifecycleConfiguration"]["Rules"]
    assert rule["Status"] == "Enabled"
    assert rule["ExpirationInDays"] == pipeline.settings.pipeline.artifact_days >= ROLLBACK_DAYS
    # Noncurrent versions of expired objects expire too
    assert rule["NoncurrentVersionExpiration"]["NoncurrentDays"] <= 30


@pytest.mark.requirement("artifacts")
def test_the_artifact_bucket_refuses_requests_without_tls(pipeline: Pipeline) -> None:
    name, _ = pipeline.artifacts()
    policy = pipeline.template.only("AWS::S3::BucketPolicy", lambda entry: entry["Bucket"] == {"Ref": name})
    (denial,) = [entry for entry in policy["PolicyDocument"]["Statement"] if entry["Effect"] == "Deny"]

    assert denial["Action"] == "s3:*"
    assert denial["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}


@pytest.mark.requirement("artifacts")
def test_artifacts_use_a_rotating_customer_managed_key(pipeline: Pipeline) -> None:
    _, bucket = pipeline.artifacts()
    default = bucket["Properties"]["BucketEncryption"]["ServerSideEncryptionConfiguration"][0][
        "ServerSideEncryptionByDefault"
    ]
    key = pipeline.template.resources[default["KMSMasterKeyID"]["Fn::GetAtt"][0]]

    assert default["SSEAlgorithm"] == "aws:kms"
    assert key["Properties"]["EnableKeyRotation"] is True
    assert (key["DeletionPolicy"], key["UpdateReplacePolicy"]) in KEPT


def test_every_environments_account_may_read_the_artifacts(pipeline: Pipeline) -> None:
    # Given that CloudFormation in the other account reads the template with its deploy role
    key = next(iter(pipeline.template.properties_of("AWS::KMS::Key")))
    name, _ = pipeline.artifacts()
    policy = pipeline.template.only("AWS::S3::BucketPolicy", lambda entry: entry["Bucket"] == {"Ref": name})
    readers = json.dumps(policy["PolicyDocument"])
    openers = json.dumps(key["KeyPolicy"])

    for environment in pipeline.settings.environments:
        if environment.region == pipeline.settings.pipeline.region:
            role = f"cdk-hnb659fds-deploy-role-{environment.account}-{environment.region}"
            assert role in readers
            assert role in openers


@pytest.mark.requirement("artifacts")
def test_artifacts_in_another_region_use_a_customer_key_too() -> None:
    # Given that a deploy role of another account cannot decrypt what this account's AWS managed key encrypts
    pipeline = pipeline_of("prod in Frankfurt")
    support = [template for template in pipeline.all.values() if "support" in template.stack_name]

    (stack,) = support
    (bucket,) = stack.properties_of("AWS::S3::Bucket")
    default = bucket["BucketEncryption"]["ServerSideEncryptionConfiguration"][0]["ServerSideEncryptionByDefault"]
    assert default["SSEAlgorithm"] == "aws:kms"
    assert "KMSMasterKeyID" in default
    (key,) = stack.properties_of("AWS::KMS::Key")
    assert key["EnableKeyRotation"] is True


@pytest.mark.requirement("from a push to prod")
def test_assets_are_published_once_by_pinned_tools() -> None:
    # Given the pipeline with a real service
    pipeline = Pipeline(SPECIMEN, services=(Catalog,))
    (action,) = pipeline.stages["Assets"]

    # Then one action publishes the assets of every environment, before the first of them
    assert list(pipeline.stages).index("Assets") == list(pipeline.stages).index("UpdatePipeline") + 1
    spec = pipeline.project("Assets")["Source"]["BuildSpec"]
    text = (pipeline.assembly / spec).read_text(encoding="utf-8")
    assert f"cdk-assets@{PINNED['cdk-assets']}" in text
    assert "@latest" not in text
    for environment in SPECIMEN.environments:
        assert f"{environment.account}" in text
    assert action["RunOrder"] == 1


def test_pinned_cdk_assets_reads_every_manifest(tmp_path: Path) -> None:
    # Given the assembly after the install commands of the publishing step
    pipeline = Pipeline(SPECIMEN, services=(Catalog,))
    assembly = Path(shutil.copytree(pipeline.assembly, tmp_path / "cdk.out", symlinks=True))
    spec = json.loads((assembly / pipeline.project("Assets")["Source"]["BuildSpec"]).read_text(encoding="utf-8"))
    for command in spec["phases"]["install"]["commands"]:
        if not command.startswith("npm "):
            subprocess.run(["bash", "-c", command], cwd=assembly, check=True)

    # When the pinned tool reads each manifest
    manifests = sorted(assembly.rglob("*.assets.json"))
    assert len(manifests) > 10
    for manifest in manifests:
        tool = ROOT / "node_modules" / ".bin" / "cdk-assets"
        done = subprocess.run([tool, "--path", manifest, "ls"], capture_output=True, text=True, check=False)

        # Then it supports its schema
        assert done.returncode == 0, done.stdout + done.stderr


def test_asset_manifest_schemas_are_equivalent() -> None:
    # Given the schema of the library, and the one inside cdk-assets
    (archive,) = (Path(aws_cdk.__file__).parent / "cloud_assembly_schema" / "_jsii").glob("*.tgz")
    with tarfile.open(archive) as package:
        member = package.extractfile("package/schema/assets.schema.json")
        assert member is not None
        written = json.load(member)
    bundle = ROOT / "node_modules" / "cdk-assets" / "bin" / "cdk-assets.js"
    text = bundle.read_text(encoding="utf-8")
    start = text.index("module2.exports = {", text.index('schema/assets.schema.json"(exports2')) + len(
        "module2.exports = "
    )
    end = text.index("\n    };\n", start) + len("\n    }")
    literal = text[start:end]
    script = f"console.log(JSON.stringify({literal}))"
    done = subprocess.run(["node", "-e", script], capture_output=True, text=True, check=True)

    # Then another schema number changes nothing in a manifest's content
    assert json.loads(done.stdout) == written
    # And it is the number that the pipeline writes
    revision = re.search(r"revision: (\d+)\n", text)
    assert revision is not None
    assert int(revision[1]) == ASSET_SCHEMA


@pytest.mark.requirement("tags")
def test_the_pipeline_is_tagged(committed: Pipeline) -> None:
    tags = {tag["Key"]: tag["Value"] for tag in committed.properties["Tags"]}

    assert tags == {
        "Project": "Lighthouse",
        "Application": "lighthouse",
        "Service": "pipeline",
        "Environment": "tools",
        "Owner": "lighthouse-team",
        "CostCenter": "research",
        "ManagedBy": "cdk",
    }


def test_arns_of_the_pipeline_name_no_partition(committed: Pipeline) -> None:
    # Given environments in the pipeline's partition, which would decide the partition of literal ARNs
    for environment in committed.settings.environments:
        assert environment.region.startswith("us-east")
    template = committed.template.text()

    # Then ARNs in other accounts use a reference for the partition
    assert "arn:aws:iam::" not in template.replace(f"arn:aws:iam::{TOOLS}", "")
