"""Functions: what they run on, what they may do, how a new version takes over."""

from __future__ import annotations

import re

import pytest

from slipway.settings import Environment
from slipway.settings.shifts import Shift
from slipway.testing.contract.reading import Function, functions, listed, statements
from slipway.testing.templates import KEPT, DeployedTemplates

_CALLED_BY_APIS = {"apigateway.amazonaws.com"}


@pytest.mark.requirement("functions")
def test_functions_run_python_on_arm_with_traces(deployment: DeployedTemplates, environment: Environment) -> None:
    for function in functions(deployment):
        properties = function.properties
        assert (properties["Runtime"], properties["Architectures"]) == ("python3.14", ["arm64"])
        assert properties["TracingConfig"] == {"Mode": "Active"}
        assert properties["LoggingConfig"]["LogFormat"] == "JSON"
        assert properties["LoggingConfig"]["ApplicationLogLevel"] == environment.logs.level.value
        layer, *extensions = properties["Layers"]
        # Experiments of AWS FIS come with its own extension.
        assert extensions in ([], ["{{resolve:ssm:/aws/service/fis/lambda-extension/AWS-FIS-extension-arm64/1.x.x}}"])
        assert not extensions or environment.resilience is not None
        content = function.template.resources[layer["Ref"]]["Properties"]
        assert content["Content"]["S3Key"] != properties["Code"]["S3Key"]
        assert content["CompatibleRuntimes"] == ["python3.14"]
        assert content["CompatibleArchitectures"] == ["arm64"]


@pytest.mark.requirement("functions")
def test_every_environment_ships_the_same_bytes(deployments: list[DeployedTemplates]) -> None:
    # Given that an environment may have functions that another has not
    shipped = [
        {function.properties["Code"]["S3Key"] for function in functions(deployment)}
        | {
            layer["Content"]["S3Key"]
            for template in deployment
            for layer in template.properties_of("AWS::Lambda::LayerVersion")
        }
        for deployment in deployments
    ]

    # The code and the layer
    assert len(shipped[0]) == 2
    assert all(each == shipped[0] for each in shipped)


@pytest.mark.requirement("functions")
def test_every_function_has_its_own_log_group_and_role(deployment: DeployedTemplates, environment: Environment) -> None:
    found = functions(deployment)
    groups = [(function.template.name, function.properties["LoggingConfig"]["LogGroup"]["Ref"]) for function in found]
    roles = [(function.template.name, function.properties["Role"]["Fn::GetAtt"][0]) for function in found]

    assert len(set(groups)) == len(set(roles)) == len(found)
    for stack, group in groups:
        resource = deployment[stack].resources[group]
        assert resource["Type"] == "AWS::Logs::LogGroup"
        assert resource["Properties"]["RetentionInDays"] == environment.logs.retention_days
    for stack, role in roles:
        properties = deployment[stack].resources[role]["Properties"]
        (trust,) = properties["AssumeRolePolicyDocument"]["Statement"]
        assert trust["Principal"] == {"Service": "lambda.amazonaws.com"}
        assert not {"ManagedPolicyArns", "Policies"} & set(properties)


@pytest.mark.requirement("functions")
def test_a_function_writes_to_its_own_log_group_alone(deployment: DeployedTemplates) -> None:
    for function in functions(deployment):
        group = function.properties["LoggingConfig"]["LogGroup"]["Ref"]
        written = [
            (action, deployment.texts(function.template.name, statement["Resource"]))
            for statement in function.statements()
            for action in listed(statement["Action"])
            if action.startswith("logs:")
        ]
        own = {f"<{function.template.name}/{group}.Arn>"}
        assert sorted(written) == [("logs:CreateLogStream", own), ("logs:PutLogEvents", own)], function.reference


@pytest.mark.requirement("encryption at rest")
def test_functions_use_the_services_key_and_no_other(deployment: DeployedTemplates) -> None:
    for function in functions(deployment):
        keys = {
            action: deployment.texts(function.template.name, statement["Resource"])
            for statement in function.statements()
            for action in listed(statement["Action"])
            if action.startswith("kms:")
        }
        assert {"kms:Decrypt"} <= set(keys) <= {"kms:Decrypt", "kms:GenerateDataKey"}
        assert set().union(*keys.values()) == {deployment.output("KeyArn")}


@pytest.mark.requirement("secrets", "bodies and tokens in logs")
def test_variables_hold_no_secret(deployment: DeployedTemplates, service: str) -> None:
    for function in functions(deployment):
        variables = {
            name: deployment.text(function.template.name, value)
            for name, value in function.properties["Environment"]["Variables"].items()
        }
        assert variables["ENVIRONMENT"] == deployment.environment.name
        assert variables["POWERTOOLS_SERVICE_NAME"] == service
        # Powertools' switches that write whole events or answers
        assert not {"POWERTOOLS_LOGGER_LOG_EVENT", "POWERTOOLS_DEBUG", "POWERTOOLS_DEV"} & set(variables)
        for name, value in variables.items():
            assert "resolve:" not in value, name
            # A secret is named by its ARN, an API key by its id
            if re.search("SECRET|PASSWORD|TOKEN|API_KEY", name):
                assert name.endswith(("_ARN", "_KEY_ID")), name


@pytest.mark.requirement("versions and aliases")
def test_versions_are_kept_and_both_aliases_start_at_the_newest(deployment: DeployedTemplates) -> None:
    for function in functions(deployment):
        assert set(function.aliases) == {"live", "staging"}, function.reference
        (version,) = {
            resource["Properties"]["FunctionVersion"]["Fn::GetAtt"][0] for _, resource in function.aliases.values()
        }
        resource = function.template.resources[version]
        assert resource["Type"] == "AWS::Lambda::Version"
        assert (resource["DeletionPolicy"], resource["UpdateReplacePolicy"]) in KEPT


@pytest.mark.requirement("versions and aliases")
def test_whatever_calls_a_function_calls_live_alone(deployment: DeployedTemplates) -> None:
    live = {f"<{function.template.name}/{function.aliases['live'][0]}>" for function in functions(deployment)}

    for template in deployment:
        for permission in template.properties_of("AWS::Lambda::Permission"):
            # Secrets Manager rotates with the function itself.
            if permission["Principal"] != "secretsmanager.amazonaws.com":
                assert deployment.text(template.name, permission["FunctionName"]) in live
        for mapping in template.properties_of("AWS::Lambda::EventSourceMapping"):
            name = deployment.text(template.name, mapping["FunctionName"])
            assert name.endswith(":live") or name in live
            assert any(alias in name for alias in live)
        for rule in template.properties_of("AWS::Events::Rule"):
            for target in rule["Targets"]:
                # A rule may fill a queue or another bus, too.
                arn = deployment.text(template.name, target["Arn"])
                assert "AWS::Lambda" not in _type(deployment, arn) or arn in live
        for resource in template.resources.values():
            if resource["Type"].startswith("Custom::"):
                assert deployment.text(template.name, resource["Properties"]["ServiceToken"]) in live


def _type(deployment: DeployedTemplates, arn: str) -> str:
    return str(deployment.behind(arn)["Type"]) if arn.startswith("<") else ""


def test_an_api_may_call_a_function_for_itself_alone(deployment: DeployedTemplates) -> None:
    for permission in deployment["compute"].properties_of("AWS::Lambda::Permission"):
        if permission["Principal"] in _CALLED_BY_APIS:
            assert f":{deployment.output('ApiId')}/" in deployment.text("compute", permission["SourceArn"])


@pytest.mark.requirement("provisioned concurrency", "two aliases with provisioned concurrency on one version")
def test_only_live_holds_provisioned_concurrency(deployment: DeployedTemplates) -> None:
    for template in deployment:
        targets = [
            deployment.text(template.name, target["ResourceId"])
            for target in template.properties_of("AWS::ApplicationAutoScaling::ScalableTarget")
            if target["ServiceNamespace"] == "lambda"
        ]
        assert all(target.endswith(":live") for target in targets)
        for resource_type in ("AWS::Lambda::Alias", "AWS::Lambda::Version"):
            assert all(
                "ProvisionedConcurrencyConfig" not in properties for properties in template.properties_of(resource_type)
            )


@pytest.mark.requirement("functions")
def test_hook_may_only_call_its_version_and_report(deployment: DeployedTemplates) -> None:
    for hook in (function for function in functions(deployment) if function.is_hook):
        reached: dict[str, set[str]] = {}
        for statement in hook.statements():
            for action in listed(statement["Action"]):
                reached.setdefault(action, set()).update(deployment.texts("compute", statement["Resource"]))
        work = {action for action in reached if not action.startswith(("logs:", "xray:", "kms:", "sqs:"))}
        # One that compares two versions behind an edge reads the one secret by which the origin knows the edge.
        secrets = reached.get("secretsmanager:GetSecretValue", set())
        assert len(secrets) <= 1
        assert "*" not in "".join(secrets)
        work.discard("secretsmanager:GetSecretValue")
        variables = hook.properties["Environment"]["Variables"]
        named = (variables[name] for name in ("TARGET_ALIAS_ARN", "CURRENT_ALIAS_ARN") if name in variables)
        target, *current = (deployment.text("compute", name) for name in named)
        # One that compares two versions looks whether the new one repeats an earlier one, as a rollback does.
        assert reached.get("lambda:ListVersionsByFunction", set()) == {arn.rpartition(":")[0] for arn in current}
        work.discard("lambda:ListVersionsByFunction")
        assert work == {"lambda:InvokeFunction", "codedeploy:PutLifecycleEventHookExecutionStatus"}
        assert reached["lambda:InvokeFunction"] == {target, *current}
        assert deployment.behind(target)["Properties"]["Name"] == "staging"
        (group,) = reached["codedeploy:PutLifecycleEventHookExecutionStatus"]
        assert "*" not in group


@pytest.mark.requirement("retries and failure destinations of functions that are not called asynchronously")
def test_what_is_called_asynchronously_is_retried_then_put_aside(deployment: DeployedTemplates) -> None:
    for template in deployment:
        for config in template.properties_of("AWS::Lambda::EventInvokeConfig"):
            assert config["MaximumRetryAttempts"] == 2
            assert config["MaximumEventAgeInSeconds"] == 7200
            queue = deployment.text(template.name, config["DestinationConfig"]["OnFailure"]["Destination"])
            assert deployment.behind(queue)["Type"] == "AWS::SQS::Queue"
        assert not [each for each in template.properties_of("AWS::Lambda::Function") if "DeadLetterConfig" in each]
    # CodeDeploy, Secrets Manager and CloudFormation call what takes no traffic asynchronously, a schedule its target
    scheduled = {
        deployment.text("compute", target["Arn"])
        for rule in deployment["compute"].properties_of("AWS::Events::Rule")
        for target in rule["Targets"]
    }
    for function in functions(deployment):
        if not function.takes_traffic or f"<compute/{function.aliases['live'][0]}>" in scheduled:
            configured = [
                config
                for config in function.template.properties_of("AWS::Lambda::EventInvokeConfig")
                if config["FunctionName"] == {"Ref": function.key}
            ]
            # The function itself and both aliases
            assert len(configured) == 1 + len(function.aliases) == 3, function.reference


@pytest.mark.requirement("ingest: background jobs")
def test_what_reads_batches_answers_for_each_message(deployment: DeployedTemplates) -> None:
    for mapping in deployment["compute"].properties_of("AWS::Lambda::EventSourceMapping"):
        assert mapping["FunctionResponseTypes"] == ["ReportBatchItemFailures"]


@pytest.mark.requirement("ingest: background jobs")
def test_messages_are_hidden_for_six_timeouts_and_tried_five_times(deployment: DeployedTemplates) -> None:
    timeouts = {
        f"select(6,split(:,<compute/{function.aliases['live'][0]}>)):live": function.properties["Timeout"]
        for function in functions(deployment)
        if function.takes_traffic
    }
    for mapping in deployment["compute"].properties_of("AWS::Lambda::EventSourceMapping"):
        source = deployment.text("compute", mapping["EventSourceArn"])
        queue = deployment.behind(source.replace(".Arn>", ">"))
        if queue["Type"] == "AWS::SQS::Queue":
            timeout = timeouts[deployment.text("compute", mapping["FunctionName"])]
            assert queue["Properties"]["VisibilityTimeout"] >= 6 * timeout
            redrive = queue["Properties"]["RedrivePolicy"]
            assert redrive["maxReceiveCount"] == 5
            target = deployment.text("compute", redrive["deadLetterTargetArn"])
            assert deployment.behind(target.replace(".Arn>", ">"))["Type"] == "AWS::SQS::Queue"


@pytest.mark.requirement("safe deployments")
def test_everything_with_traffic_has_check_and_rollback(
    deployment: DeployedTemplates, environment: Environment
) -> None:
    compute = deployment["compute"]
    used = set()
    for function in functions(deployment):
        if function.takes_traffic:
            # Given how `live` of the function moves
            _, live = function.aliases["live"]
            update = live["UpdatePolicy"]["CodeDeployLambdaAliasUpdate"]
            name = update["DeploymentGroupName"]["Ref"]
            used.add(name)
            group = compute.resources[name]["Properties"]
            _assert_moves_as_configured(deployment, environment.deployment.shift, group)
            # Then a contract check of this function comes first
            (hook,) = [
                hook
                for hook in functions(deployment)
                if deployment.text("compute", update["BeforeAllowTrafficHook"]) == hook.reference
            ]
            target = deployment.text("compute", hook.properties["Environment"]["Variables"]["TARGET_ALIAS_ARN"])
            assert target == f"<compute/{function.aliases['staging'][0]}>"
            # And alarm, failure and stop bring the old version back
            assert set(group["AutoRollbackConfiguration"]["Events"]) == {
                "DEPLOYMENT_FAILURE",
                "DEPLOYMENT_STOP_ON_ALARM",
                "DEPLOYMENT_STOP_ON_REQUEST",
            }
            _assert_watches_the_new_version(deployment, function, group)
            # And what the deployment uses is there before it begins
            role = group["ServiceRoleArn"]["Fn::GetAtt"][0]
            policies = {
                key
                for key, resource in compute.of_type("AWS::IAM::ManagedPolicy").items()
                if {"Ref": role} in resource["Properties"]["Roles"]
            }
            assert policies
            assert {*policies, hook.aliases["live"][0], function.aliases["staging"][0]} <= set(live["DependsOn"])
    assert used == set(compute.of_type("AWS::CodeDeploy::DeploymentGroup"))


def _assert_moves_as_configured(deployment: DeployedTemplates, shift: Shift, group: dict[str, object]) -> None:
    named = group["DeploymentConfigName"]
    if shift.predefined:
        assert named == f"CodeDeployDefault.Lambda{shift.name}"
    else:
        assert isinstance(named, dict)
        own = deployment["compute"].resources[named["Ref"]]
        assert own["Type"] == "AWS::CodeDeploy::DeploymentConfig"
        assert Shift.of_template(own["Properties"]) == shift


def _assert_watches_the_new_version(
    deployment: DeployedTemplates, function: Function, group: dict[str, object]
) -> None:
    compute = deployment["compute"]
    watched = group["AlarmConfiguration"]
    assert isinstance(watched, dict)
    alarms = [compute.resources[alarm["Name"]["Ref"]]["Properties"] for alarm in watched["Alarms"]]
    # Callers wait for an API's function alone, and can throttle whatever does not read a queue or stream
    alias = function.aliases["live"][0]
    reads = any(
        alias in str(mapping["FunctionName"]) for mapping in compute.properties_of("AWS::Lambda::EventSourceMapping")
    )
    answers = any(
        alias in str(permission["FunctionName"]) and permission["Principal"] in _CALLED_BY_APIS
        for permission in compute.properties_of("AWS::Lambda::Permission")
    )
    also = {"Duration"} if answers else {"Throttles"} if reads else set[str]()
    assert {alarm.get("MetricName") for alarm in alarms} == {"Errors", None, *also}, function.reference
    version = f"<compute/{function.aliases['live'][1]['Properties']['FunctionVersion']['Fn::GetAtt'][0]}.Version>"
    for alarm in alarms:
        assert alarm["TreatMissingData"] == "notBreaching"
        # What the function counts itself is beside them, in metric math
        if "Metrics" in alarm:
            (faults,) = (query["MetricStat"]["Metric"] for query in alarm["Metrics"] if query["Id"] == "faults")
            variables = function.properties["Environment"]["Variables"]
            assert faults["Namespace"] == variables["POWERTOOLS_METRICS_NAMESPACE"]
            assert {entry["Name"]: deployment.text("compute", entry["Value"]) for entry in faults["Dimensions"]} == {
                "service": variables["POWERTOOLS_SERVICE_NAME"],
                "function_name": function.reference,
                "function_version": version,
            }
            continue
        assert alarm["Namespace"] == "AWS/Lambda"
        dimensions = {entry["Name"]: deployment.text("compute", entry["Value"]) for entry in alarm["Dimensions"]}
        assert dimensions["Resource"] == f"{function.reference}:live"
        assert dimensions["ExecutedVersion"] == version


@pytest.mark.requirement("safe deployments")
def test_code_deploy_may_move_one_alias_and_call_one_hook(deployment: DeployedTemplates) -> None:
    compute = deployment["compute"]
    for group in compute.properties_of("AWS::CodeDeploy::DeploymentGroup"):
        role = group["ServiceRoleArn"]["Fn::GetAtt"][0]
        reached: dict[str, set[str]] = {}
        for _, policy, statement in statements(compute):
            if {"Ref": role} in policy["Properties"].get("Roles", []):
                for action in listed(statement["Action"]):
                    reached.setdefault(action, set()).update(deployment.texts("compute", statement["Resource"]))
        assert set(reached) == {
            *("lambda:GetAlias", "lambda:UpdateAlias", "lambda:GetProvisionedConcurrencyConfig"),
            *("lambda:InvokeFunction", "cloudwatch:DescribeAlarms"),
        }
        assert len(reached["lambda:UpdateAlias"]) == 2
        # The hook by its name, and by its alias
        assert len({arn.removesuffix(".Arn>") for arn in reached["lambda:InvokeFunction"]}) == 2
