"""Table of everything that the emulator does not host, its replacement, and what remains unproven.

Every change to a template is a row here, and each run prints the rows that it used. A resource type that the emulator
does not support and no row names stops the run (`slipway.emulator.stages`).

The rows were determined with ministack 1.5.33.
"""

from __future__ import annotations

import string
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from slipway.assembly.nested import NESTED_STACK
from slipway.settings.shifts import Shift

EXPERIMENT_SECONDS = 5
"""Duration of an AWS FIS experiment here, seconds."""
_FAULT_EXTENSION = "{{resolve:ssm:/aws/service/fis/"

Template = dict[str, Any]
Resource = dict[str, Any]


@dataclass(frozen=True)
class TemplatePlace:
    """The place that a template is deployed to, as far as its changes depend on it."""

    plain_port: int
    """The emulator's port for plain HTTP."""
    local_layers: Mapping[str, str] = field(default_factory=dict)
    """Object key of a layer for AWS → object key of the same layer for this machine."""
    player: str | None = None
    """ARN of the function that forwards custom resources to the player, which then replaces CodeDeploy and
    CodePipeline. None: without a player (`make up`).
    """


@dataclass(frozen=True, eq=False)
class Substitution:
    """One row."""

    subject: str
    """Resource types, or a type and one of its aspects."""
    stand_in: str
    unproven: str
    applies: Callable[[Resource], bool]
    """Returns True if the row applies to a resource."""
    change: Callable[[Resource, TemplatePlace], None] | None = None
    """Changes the resource in place. None: it is not changed, and the emulator ignores the aspect."""
    played: Callable[[str, Template, TemplatePlace], None] | None = None
    """Used instead of `change` and `drops` if there is a player: changes the template, given the logical id."""
    drops: bool = False
    """True if the resource is removed from the template."""
    references: Mapping[str, Callable[[str], Any]] = field(default_factory=dict)
    """`Ref` or an attribute → function from the logical id to the replacement of such a reference.

    For a dropped resource, a reference without an entry stops the run.
    """


def of_type(*names: str) -> Callable[[Resource], bool]:
    """Return a test for resources of these types; a name that ends in `::` covers all types below it."""
    exact = frozenset(name for name in names if not name.endswith("::"))
    prefixes = tuple(name for name in names if name.endswith("::"))
    return lambda resource: resource["Type"] in exact or resource["Type"].startswith(prefixes)


def _having(type_name: str, *path: str) -> Callable[[Resource], bool]:
    """Return a test for resources of a type that set the property at this path to a non-empty value."""

    def applies(resource: Resource) -> bool:
        value: Any = resource
        for key in path:
            value = value.get(key) if isinstance(value, dict) else None
        return resource["Type"] == type_name and bool(value)

    return applies


def _name(logical_id: str) -> Any:
    """Return the name that CloudFormation would have generated, except for the random end."""
    return {"Fn::Sub": f"${{AWS::StackName}}-{logical_id}"}


def _arn(service: str, resource: str) -> Callable[[str], Any]:
    return lambda logical_id: {
        "Fn::Sub": f"arn:${{AWS::Partition}}:{service}:${{AWS::Region}}:${{AWS::AccountId}}:{resource}"
        f"${{AWS::StackName}}-{logical_id}"
    }


def _connection(logical_id: str) -> Any:
    return _arn("codeconnections", "connection/")(logical_id)


def _clone_url(protocol: str) -> Callable[[str], Any]:
    host = "git-codecommit.${AWS::Region}.${AWS::URLSuffix}"
    return lambda logical_id: {"Fn::Sub": f"{protocol}://{host}/v1/repos/${{AWS::StackName}}-{logical_id}"}


_ALARM = {"Ref": _name, "Arn": _arn("cloudwatch", "alarm:")}


def _move_alias_at_once(alias: Resource, _: TemplatePlace) -> None:
    policy = alias["UpdatePolicy"]
    del policy["CodeDeployLambdaAliasUpdate"]
    if not policy:
        del alias["UpdatePolicy"]


def _ask_nobody(function: Resource, _: TemplatePlace) -> None:
    """Make a probe call a host name that never exists (RFC 6761): AWS's own would lead out of this machine."""
    variables = function["Properties"]["Environment"]["Variables"]
    variables.update({name: "https://nobody.invalid/" for name in ("PROBE_API", "PROBE_EDGE") if name in variables})


_is_of_math = _having("AWS::CloudWatch::Alarm", "Properties", "Metrics")
"""The alarms on metric math, which the emulator refuses."""

DEPLOYMENT = "Custom::CodeDeployLambdaAliasUpdate"
"""Type of the custom resource through which CloudFormation waits for the player's CodeDeploy."""

PIPELINE = "Custom::CodePipeline"
"""Type of the custom resource through which the player's CodePipeline receives its definition."""


def _deploy_before_alias_moves(logical_id: str, template: Template, place: TemplatePlace) -> None:
    """Make CloudFormation wait for a deployment before it moves the alias, as an update policy does."""
    alias = template["Resources"][logical_id]
    update = alias["UpdatePolicy"]["CodeDeployLambdaAliasUpdate"]
    _move_alias_at_once(alias, place)
    group = template["Resources"][update["DeploymentGroupName"]["Ref"]]
    configuration = group["Properties"].get("DeploymentConfigName")
    if isinstance(configuration, dict):
        # The emulator has no deployment configurations, so the player uses the equivalent name.
        own = Shift.of_template(template["Resources"][configuration["Ref"]]["Properties"])
        group = {**group, "Properties": {**group["Properties"], "DeploymentConfigName": own.name}}
    watched = [each["Name"].get("Ref") for each in group["Properties"].get("AlarmConfiguration", {}).get("Alarms", [])]
    before = alias.get("DependsOn", [])
    template["Resources"][f"{logical_id}Deployment"] = {
        "Type": DEPLOYMENT,
        "Properties": {
            "ServiceToken": place.player,
            "FunctionName": alias["Properties"]["FunctionName"],
            "Alias": alias["Properties"]["Name"],
            "FunctionVersion": alias["Properties"]["FunctionVersion"],
            "DeploymentGroup": group["Properties"],
            "DeploymentGroupName": update["DeploymentGroupName"],
            "Alarms": [
                {**template["Resources"][name]["Properties"], "AlarmName": {"Ref": name}}
                for name in watched
                if name in template["Resources"] and _is_of_math(template["Resources"][name])
            ],
            **{hook: update[hook] for hook in ("BeforeAllowTrafficHook", "AfterAllowTrafficHook") if hook in update},
        },
        "DependsOn": [before] if isinstance(before, str) else list(before),
    }
    alias["DependsOn"] = [*([before] if isinstance(before, str) else before), f"{logical_id}Deployment"]


def _hand_over_pipeline(logical_id: str, template: Template, place: TemplatePlace) -> None:
    pipeline = template["Resources"][logical_id]
    # CloudFormation generates a missing name.
    definition = {"Name": _name(logical_id), **pipeline["Properties"]}
    pipeline["Properties"] = {"ServiceToken": place.player, "Definition": definition}
    pipeline["Type"] = PIPELINE


# Condition keys that an AWS service provides when it assumes a role for a resource.
_SOURCES = frozenset({"aws:SourceAccount", "aws:SourceArn"})


def _trusts(resource: Resource, key: str) -> bool:
    """Return True if a role's trust requires a key."""
    trust = resource.get("Properties", {}).get("AssumeRolePolicyDocument")
    return resource["Type"] == "AWS::IAM::Role" and key in str(trust)


def _trusts_accounts(resource: Resource) -> bool:
    """Return True if principals of accounts may assume a role, not only services."""
    trust = resource.get("Properties", {}).get("AssumeRolePolicyDocument")
    return (
        resource["Type"] == "AWS::IAM::Role"
        and bool(trust)
        and any("AWS" in statement.get("Principal", {}) for statement in _statements(resource))
    )


def _statements(role: Resource) -> list[dict[str, Any]]:
    statements: Any = role["Properties"]["AssumeRolePolicyDocument"]["Statement"]
    return [statements] if isinstance(statements, dict) else statements


_VIA = "aws:ViaAWSService"
"""CDK gave it to the roles of actions, with the name of CodePipeline for a Boolean, and AWS let all roles of the
account assume them (https://github.com/aws/aws-cdk/issues/25301)."""


def _trust_whoever_asks(role: Resource, _: TemplatePlace) -> None:
    for statement in _statements(role):
        conditions = statement.get("Condition", {})
        for operator in list(conditions):
            conditions[operator].pop(_VIA, None)
            if not conditions[operator]:
                del conditions[operator]
        if not conditions:
            statement.pop("Condition", None)


def _trust_services_without_source(role: Resource, _: TemplatePlace) -> None:
    for statement in _statements(role):
        if "Service" not in statement.get("Principal", {}):
            continue
        conditions = statement.get("Condition", {})
        for operator in list(conditions):
            for key in _SOURCES & conditions[operator].keys():
                del conditions[operator][key]
            if not conditions[operator]:
                del conditions[operator]
        if not conditions:
            statement.pop("Condition", None)


def _trust_sessions_of_role(role: Resource, _: TemplatePlace) -> None:
    for statement in _statements(role):
        # The two operators mean the same.
        for operator in ("ArnEquals", "ArnLike"):
            condition = statement.get("Condition", {}).get(operator, {})
            if "aws:PrincipalArn" in condition:
                named = condition["aws:PrincipalArn"]
                arns = named if isinstance(named, list) else [named]
                condition["aws:PrincipalArn"] = [each for arn in arns for each in (arn, _session_of(arn))]


_LOOKS_AT_ALARMS = "cloudwatch:DescribeAlarms"


def _looks_at_some_alarms(resource: Resource) -> bool:
    return resource["Type"] == "AWS::IAM::Policy" and any(
        statement.get("Action") == _LOOKS_AT_ALARMS and statement.get("Resource") != "*"
        for statement in resource["Properties"].get("PolicyDocument", {}).get("Statement", ())
    )


def _look_at_every_alarm(policy: Resource, _: TemplatePlace) -> None:
    for statement in policy["Properties"]["PolicyDocument"]["Statement"]:
        if statement.get("Action") == _LOOKS_AT_ALARMS:
            statement["Resource"] = "*"


_ROLE_TAGS = "iam:ResourceTag/"


def _asks_for_role_tags(resource: Resource) -> bool:
    policies = {"AWS::IAM::Policy", "AWS::IAM::ManagedPolicy"}
    return resource["Type"] in policies and _ROLE_TAGS in str(resource["Properties"].get("PolicyDocument"))


def _ask_for_no_role_tags(policy: Resource, _: TemplatePlace) -> None:
    for statement in policy["Properties"]["PolicyDocument"]["Statement"]:
        conditions = statement.get("Condition", {})
        for operator in list(conditions):
            kept = {key: value for key, value in conditions[operator].items() if not key.startswith(_ROLE_TAGS)}
            conditions[operator] = kept
            if not kept:
                del conditions[operator]
        if not conditions:
            statement.pop("Condition", None)


def _session_of(arn: Any) -> Any:
    """Return `arn:…:sts::1:assumed-role/name/*` for `arn:…:iam::1:role/name`; CloudFormation resolves references."""
    if isinstance(arn, str):
        return f"{arn.replace(':iam::', ':sts::', 1).replace(':role/', ':assumed-role/', 1)}/*"
    if isinstance(arn, dict) and "Fn::Join" in arn:
        delimiter, parts = arn["Fn::Join"]
        texts = [
            part.replace(":iam::", ":sts::", 1).replace(":role/", ":assumed-role/", 1)
            if isinstance(part, str)
            else part
            for part in parts
        ]
        return {"Fn::Join": [delimiter, [*texts, "/*"]]}
    raise TypeError(f"a trust names a principal by {arn!r}")


def _is_rest_api(origin: dict[str, Any]) -> bool:
    return ".execute-api." in str(origin.get("DomainName"))


def _origin_on_this_machine(distribution: Resource, place: TemplatePlace) -> None:
    for origin in filter(_is_rest_api, distribution["Properties"]["DistributionConfig"]["Origins"]):
        api_id = {"Fn::Select": [0, {"Fn::Split": [".", origin["DomainName"]]}]}
        path = ["/restapis/", api_id, origin.get("OriginPath", ""), "/_user_request_"]
        origin["DomainName"] = "localhost"
        origin["OriginPath"] = {"Fn::Join": ["", path]}
        origin["CustomOriginConfig"] = {"OriginProtocolPolicy": "http-only", "HTTPPort": place.plain_port}


def _distribution_before_rest_api(resource: Resource) -> bool:
    if resource["Type"] != "AWS::CloudFront::Distribution":
        return False
    return any(map(_is_rest_api, resource["Properties"]["DistributionConfig"]["Origins"]))


_CHARACTER_SETS = {
    "ExcludeLowercase": string.ascii_lowercase,
    "ExcludeUppercase": string.ascii_uppercase,
    "ExcludeNumbers": string.digits,
    # What Secrets Manager calls punctuation (GetRandomPassword, `ExcludePunctuation`).
    "ExcludePunctuation": string.punctuation,
}


def _spell_out_excluded_characters(secret: Resource, _: TemplatePlace) -> None:
    generate = secret["Properties"]["GenerateSecretString"]
    sets = [characters for flag, characters in _CHARACTER_SETS.items() if generate.get(flag) in (True, "true")]
    generate["ExcludeCharacters"] = "".join(sorted({*generate.get("ExcludeCharacters", ""), *"".join(sets)}))


def _generates_by_flags(resource: Resource) -> bool:
    if resource["Type"] != "AWS::SecretsManager::Secret":
        return False
    generate = resource["Properties"].get("GenerateSecretString", {})
    return any(generate.get(flag) for flag in _CHARACTER_SETS)


def _is_stream_mapping(resource: Resource) -> bool:
    return resource["Type"] == "AWS::Lambda::EventSourceMapping" and bool(
        resource["Properties"].get("StartingPosition")
    )


def _local_layer(layer: Resource, place: TemplatePlace) -> None:
    content = layer["Properties"]["Content"]
    content["S3Key"] = place.local_layers.get(content["S3Key"], content["S3Key"])


def _has_fault_extension(resource: Resource) -> bool:
    layers = resource["Properties"].get("Layers", []) if resource["Type"] == "AWS::Lambda::Function" else []
    return any(str(layer).startswith(_FAULT_EXTENSION) for layer in layers)


def _without_fault_extension(function: Resource, _: TemplatePlace) -> None:
    layers = function["Properties"]["Layers"]
    function["Properties"]["Layers"] = [each for each in layers if not str(each).startswith(_FAULT_EXTENSION)]


def _shorten_experiment(template: Resource, _: TemplatePlace) -> None:
    for action in template["Properties"].get("Actions", {}).values():
        action["Parameters"]["duration"] = f"PT{EXPERIMENT_SECONDS}S"


def _spell_keys_as_the_api_does(api: Resource, _: TemplatePlace) -> None:
    cors = api["Properties"]["CorsConfiguration"]
    api["Properties"]["CorsConfiguration"] = {f"{key[0].lower()}{key[1:]}": value for key, value in cors.items()}


def _caches(resource: Resource) -> bool:
    settings = resource["Properties"].get("MethodSettings", []) if resource["Type"] == "AWS::ApiGateway::Stage" else []
    return any(setting.get("CachingEnabled") for setting in settings)


def _reads_path(resource: Resource) -> bool:
    return resource["Type"] == "AWS::ApiGateway::GatewayResponse" and "$context.path" in str(
        resource["Properties"].get("ResponseTemplates")
    )


def _known_path(response: Resource, _: TemplatePlace) -> None:
    templates = response["Properties"]["ResponseTemplates"]
    for media_type, text in templates.items():
        templates[media_type] = text.replace("$context.path", "$context.resourcePath")


NESTED = Substitution(
    subject="AWS::CloudFormation::Stack",
    stand_in="the nested stack's resources become part of its parent",
    unproven="that CloudFormation creates the nested stack: its name, its limits, its own rollback",
    applies=of_type(NESTED_STACK),
)
"""A nested stack whose template the assembly contains; its resources are matched by the other rows. The emulator
supports no other nested stacks.
"""

SUBSTITUTIONS: tuple[Substitution, ...] = (
    NESTED,
    Substitution(
        subject="AWS::Lambda::Alias UpdatePolicy",
        stand_in="`make rehearse`: the player's CodeDeploy, as a custom resource that the alias waits for; `make up`: "
        "all traffic to the new version at once",
        unproven="that AWS shifts traffic by weight as the player does",
        applies=_having("AWS::Lambda::Alias", "UpdatePolicy", "CodeDeployLambdaAliasUpdate"),
        change=_move_alias_at_once,
        played=_deploy_before_alias_moves,
    ),
    Substitution(
        subject="AWS::CodeDeploy::*",
        stand_in="`make rehearse`: the player runs the group on real requests, in virtual time; `make up`: nothing",
        unproven="CodeDeploy's own scheduling, and that application, group and custom configuration can be created",
        applies=of_type("AWS::CodeDeploy::"),
        drops=True,
        references={"Ref": _name},
    ),
    Substitution(
        subject="AWS::CodePipeline::Pipeline",
        stand_in="`make rehearse`: the player, which receives the definition through a custom resource",
        unproven="that CodePipeline accepts the definition, its own time-outs, and concurrent executions",
        applies=of_type("AWS::CodePipeline::Pipeline"),
        played=_hand_over_pipeline,
        drops=True,
        references={"Ref": _name},
    ),
    Substitution(
        subject="AWS::CodePipeline::Pipeline source",
        stand_in="`make rehearse`: a commit of a repository on this machine, as an archive or a clone",
        unproven="the connection to the host of the repository, and that a push there starts the pipeline",
        applies=of_type("AWS::CodePipeline::Pipeline"),
    ),
    Substitution(
        subject="AWS::CodeCommit::Repository",
        stand_in="a repository on this machine",
        unproven="that the repository can be created, and who may push to it",
        applies=of_type("AWS::CodeCommit::Repository"),
        drops=True,
        references={
            "Ref": _name,
            "Name": _name,
            "Arn": _arn("codecommit", ""),
            "CloneUrlHttp": _clone_url("https"),
            "CloneUrlSsh": _clone_url("ssh"),
        },
    ),
    Substitution(
        subject="AWS::CodePipeline::Webhook",
        stand_in="nothing: a rehearsal starts the pipeline",
        unproven="that a push to the repository starts the pipeline",
        applies=of_type("AWS::CodePipeline::Webhook"),
        drops=True,
        references={"Ref": _name, "Url": _clone_url("https")},
    ),
    Substitution(
        subject="AWS::CodeConnections::Connection, AWS::CodeStarConnections::Connection",
        stand_in="a repository on this machine",
        unproven="the handshake with the host of the repository",
        applies=of_type("AWS::CodeConnections::Connection", "AWS::CodeStarConnections::Connection"),
        drops=True,
        references={"Ref": _connection, "ConnectionArn": _connection},
    ),
    Substitution(
        subject="AWS::Synthetics::Canary",
        stand_in="nothing",
        unproven="that the canary runs, and its results",
        applies=of_type("AWS::Synthetics::Canary"),
        drops=True,
        references={"Ref": _name, "Id": _name},
    ),
    Substitution(
        subject="AWS::CodeBuild::Project",
        stand_in="`make rehearse`: its buildspec on this machine, in a clean folder, with its role's credentials from "
        "an endpoint, as many at once as a new account allows; `sleep` lets virtual time pass; "
        "installed tools are used if the locks are the same; `.ci/run` only runs the verbs of `CHECKS`",
        unproven="the image and its tools, the size of the machine, time-outs, the build's log group",
        applies=of_type("AWS::CodeBuild::Project"),
    ),
    Substitution(
        subject="AWS::IAM::Role trust of another account",
        stand_in="`make rehearse`: accounts are processes that do not know each other's sessions, so the caller gets a "
        "double in the role's process, with the same ARN and its own policies, and the trust is enforced on it",
        unproven="boundaries and service control policies of the caller",
        applies=_trusts_accounts,
    ),
    Substitution(
        subject="AWS::ApiGateway::RestApi, AWS::ApiGatewayV2::Api host names",
        stand_in="`make rehearse`: a proxy routes AWS's names to the account, and re-signs signed requests for it",
        unproven="that the caller's own signature is accepted, DNS, certificates",
        applies=of_type("AWS::ApiGateway::RestApi", "AWS::ApiGatewayV2::Api"),
    ),
    Substitution(
        subject="AWS::ApiGateway::RestApi, AWS::ApiGatewayV2::Api requests",
        stand_in="bytes of a body that are not UTF-8 become U+FFFD; methods and paths are read leniently: `get`, "
        "`/items//`; `UNSIGNED-PAYLOAD` is accepted for any body",
        unproven="which of these requests API Gateway passes on or refuses",
        applies=of_type("AWS::ApiGateway::RestApi", "AWS::ApiGatewayV2::Api"),
    ),
    Substitution(
        subject="AWS::Events::EventBusPolicy",
        stand_in="nothing: the player forwards events of one account to the bus of another",
        unproven="that the environments may put events on the pipeline's bus",
        applies=of_type("AWS::Events::EventBusPolicy"),
        drops=True,
        references={"Ref": _name},
    ),
    Substitution(
        subject="AWS::IAM::Role trust of a service, aws:SourceAccount and aws:SourceArn",
        stand_in="omitted: the emulator's services do not name the resource that they act for",
        unproven="these conditions",
        applies=lambda resource: any(_trusts(resource, key) for key in _SOURCES),
        change=_trust_services_without_source,
    ),
    Substitution(
        subject="AWS::IAM::Role trust, aws:ViaAWSService",
        stand_in="omitted: the emulator does not say if a service acts for a principal",
        unproven="this condition",
        applies=lambda resource: _trusts(resource, _VIA),
        change=_trust_whoever_asks,
    ),
    Substitution(
        subject="AWS::IAM::Policy iam:ResourceTag",
        stand_in="omitted: the emulator's conditions don't see a role's tags",
        unproven="this condition; the statement's actions and resources are enforced",
        applies=_asks_for_role_tags,
        change=_ask_for_no_role_tags,
    ),
    Substitution(
        subject="AWS::IAM::Policy cloudwatch:DescribeAlarms",
        stand_in="on every alarm: the emulator requires that, whichever alarm is named",
        unproven="that the permission for the named alarms is enough",
        applies=_looks_at_some_alarms,
        change=_look_at_every_alarm,
    ),
    Substitution(
        subject="AWS::IAM::Role trust by aws:PrincipalArn",
        stand_in="the role's sessions besides the role: the emulator provides the session's ARN, AWS the role's",
        unproven="nothing",
        applies=lambda resource: _trusts(resource, "aws:PrincipalArn"),
        change=_trust_sessions_of_role,
    ),
    Substitution(
        subject="AWS::Lambda::Alias RoutingConfig",
        stand_in="stored; all calls go to the main version",
        unproven="weights",
        applies=_having("AWS::Lambda::Alias", "Properties", "RoutingConfig"),
    ),
    Substitution(
        subject="AWS::Lambda::Alias ProvisionedConcurrencyConfig",
        stand_in="stored; functions start when called",
        unproven="warm environments",
        applies=_having("AWS::Lambda::Alias", "Properties", "ProvisionedConcurrencyConfig"),
    ),
    Substitution(
        subject="AWS::ApplicationAutoScaling::*",
        stand_in="nothing: capacity does not change",
        unproven="scaling of tables and of provisioned concurrency",
        applies=of_type("AWS::ApplicationAutoScaling::"),
        drops=True,
        references={"Ref": _name, "Id": _name},
    ),
    Substitution(
        subject="AWS::Lambda::Function Runtime, Architectures, MemorySize",
        stand_in="this machine's Python and processor; a function over its memory is killed; as many environments "
        "start at once as there are processors",
        unproven="arm64, the runtime's own version and memory, the share of the processor",
        applies=of_type("AWS::Lambda::Function"),
    ),
    Substitution(
        subject="AWS::Lambda::LayerVersion",
        stand_in="the same lock, resolved for this machine and unpacked once; the layer points there",
        unproven="that the arm64 wheels load, and that the zip unpacks",
        applies=of_type("AWS::Lambda::LayerVersion"),
        change=_local_layer,
    ),
    Substitution(
        subject="AWS::Lambda::EventSourceMapping of a stream",
        stand_in="one shard, read at once: batches, partial failures, halving, retries, age and dead letters as "
        "configured",
        unproven="the batching window, the parallelization factor, the pauses between retries",
        applies=_is_stream_mapping,
    ),
    Substitution(
        subject="AWS::KMS::Key under tables, buckets, queues, topics, secrets and variables",
        stand_in="KMS is called on the caller's behalf at each request, whereas AWS caches a data key for minutes; "
        "stored data is not encrypted",
        unproven="that data at rest is encrypted",
        applies=of_type("AWS::KMS::Key"),
    ),
    Substitution(
        subject="AWS::Lambda::Function TracingConfig",
        stand_in="Lambda's own segment of each invocation, written under the function's role",
        unproven="the subsegments that a function sends to the daemon, sampling",
        applies=_having("AWS::Lambda::Function", "Properties", "TracingConfig"),
    ),
    Substitution(
        subject="AWS::DynamoDB::Table PointInTimeRecovery, TimeToLive",
        stand_in="forgotten",
        unproven="recovery, expiry of items",
        applies=of_type("AWS::DynamoDB::Table"),
    ),
    Substitution(
        subject="AWS::SNS::Topic FifoTopic",
        stand_in="a standard topic of that name",
        unproven="order, and deduplication within five minutes",
        applies=_having("AWS::SNS::Topic", "Properties", "FifoTopic"),
    ),
    Substitution(
        subject="AWS::SecretsManager::Secret Ref",
        stand_in="its attribute Id: the emulator's Ref is the name, not the ARN",
        unproven="nothing",
        applies=of_type("AWS::SecretsManager::Secret"),
        references={"Ref": lambda logical_id: {"Fn::GetAtt": [logical_id, "Id"]}},
    ),
    Substitution(
        subject="AWS::SecretsManager::Secret GenerateSecretString",
        stand_in="excluded kinds of characters spelled out: the emulator only reads ExcludeCharacters",
        unproven="nothing",
        applies=_generates_by_flags,
        change=_spell_out_excluded_characters,
    ),
    Substitution(
        subject="AWS::SecretsManager::RotationSchedule",
        stand_in="nothing: a secret rotates on request, by its function's four steps",
        unproven="rotation by schedule",
        applies=of_type("AWS::SecretsManager::RotationSchedule"),
        drops=True,
        references={"Ref": _name},
    ),
    Substitution(
        subject="AWS::SecretsManager::ResourcePolicy",
        stand_in="nothing",
        unproven="denials by the secret's own policy",
        applies=of_type("AWS::SecretsManager::ResourcePolicy"),
        drops=True,
        references={"Ref": _name},
    ),
    Substitution(
        subject="AWS::Lambda::EventInvokeConfig",
        stand_in="retries, age and failure destination as configured; seconds between tries, where AWS waits minutes",
        unproven="those pauses, destinations on success",
        applies=of_type("AWS::Lambda::EventInvokeConfig"),
    ),
    Substitution(
        subject="AWS::ApiGatewayV2::Api CorsConfiguration",
        stand_in="its keys in the API's spelling, the only one that the emulator reads",
        unproven="nothing",
        applies=_having("AWS::ApiGatewayV2::Api", "Properties", "CorsConfiguration"),
        change=_spell_keys_as_the_api_does,
    ),
    Substitution(
        subject="AWS::ApiGatewayV2::Stage",
        stand_in="routes, authorizers, CORS and access logs work; the rest is stored",
        unproven="throttling, CORS headers on a refusal by the gateway",
        applies=of_type("AWS::ApiGatewayV2::Stage"),
    ),
    Substitution(
        subject="AWS::Cognito::UserPool",
        stand_in="users, passwords and tokens are real; no e-mail is sent",
        unproven="threat protection, the delivery of codes",
        applies=of_type("AWS::Cognito::UserPool"),
    ),
    Substitution(
        subject="AWS::ApiGateway::RequestValidator",
        stand_in="stored; only the handler validates",
        unproven="refusal at the gateway",
        applies=of_type("AWS::ApiGateway::RequestValidator"),
    ),
    Substitution(
        subject="AWS::ApiGateway::GatewayResponse $context.path",
        stand_in="$context.resourcePath: the emulator doesn't resolve the other",
        unproven="the path in the gateway's own errors",
        applies=_reads_path,
        change=_known_path,
    ),
    Substitution(
        subject="AWS::ApiGateway::Stage CachingEnabled",
        stand_in="stored; nothing is cached",
        unproven="the stage's cache and its keys",
        applies=_caches,
    ),
    Substitution(
        subject="AWS::AppConfig::Deployment",
        stand_in="complete at once if CloudFormation creates it; sessions, tokens and permissions are real, and a "
        "deployment that is started manually watches its alarms in real minutes",
        unproven="that CloudFormation waits for the bake, and fails if AppConfig rolls a change back; that AppConfig "
        "accepts the JSON schema",
        applies=of_type("AWS::AppConfig::Deployment"),
    ),
    Substitution(
        subject="AWS::Backup::BackupPlan, BackupVault",
        stand_in="stored; nothing is backed up",
        unproven="that backups are made, can be restored, and cannot be deleted",
        applies=of_type("AWS::Backup::BackupPlan", "AWS::Backup::BackupVault"),
    ),
    Substitution(
        subject="AWS::Backup::BackupSelection",
        stand_in="nothing",
        unproven="that the plan covers tables and buckets",
        applies=of_type("AWS::Backup::BackupSelection"),
        drops=True,
        references={"Ref": _name},
    ),
    Substitution(
        subject="AWS::Backup::RestoreTestingPlan, RestoreTestingSelection",
        stand_in="nothing",
        unproven="that AWS Backup restores its backups; `slipway restore` is tested here",
        applies=of_type("AWS::Backup::RestoreTestingPlan", "AWS::Backup::RestoreTestingSelection"),
        drops=True,
        references={"Ref": _name},
    ),
    Substitution(
        subject="AWS::FIS::ExperimentTemplate",
        stand_in=f"an emulated FIS: roles, stop conditions, targets and shares as configured, for {EXPERIMENT_SECONDS} "
        "seconds instead of minutes",
        unproven="that FIS accepts the template, and stops within seconds of an alarm",
        applies=of_type("AWS::FIS::ExperimentTemplate"),
        change=_shorten_experiment,
    ),
    Substitution(
        subject="AWS::Lambda::Function Layers of AWS FIS",
        stand_in="nothing: the emulated FIS itself delays or fails invocations, if the function's role may read the "
        "faults",
        unproven="the extension: that it loads, how fast it notices a fault, what it adds to each invocation",
        applies=_has_fault_extension,
        change=_without_fault_extension,
    ),
    Substitution(
        subject="AWS::WAFv2::WebACL",
        stand_in="stored; it inspects no request",
        unproven="managed rules, the rate rule",
        applies=of_type("AWS::WAFv2::WebACL"),
    ),
    Substitution(
        subject="AWS::WAFv2::WebACLAssociation",
        stand_in="nothing",
        unproven="that the web ACL protects the API",
        applies=of_type("AWS::WAFv2::WebACLAssociation"),
        drops=True,
        references={"Ref": _name},
    ),
    Substitution(
        subject="AWS::WAFv2::LoggingConfiguration",
        stand_in="nothing",
        unproven="the web ACL's log",
        applies=of_type("AWS::WAFv2::LoggingConfiguration"),
        drops=True,
        references={"Ref": _name},
    ),
    Substitution(
        subject="AWS::CloudFront::Distribution origin",
        stand_in="the API on this machine, by plain HTTP",
        unproven="TLS between edge and origin",
        applies=_distribution_before_rest_api,
        change=_origin_on_this_machine,
    ),
    Substitution(
        subject="AWS::CloudFront::Distribution",
        stand_in="behaviours, policies and headers work; every request goes to the origin",
        unproven="caching, countries, aliases and certificates, access logs",
        applies=of_type("AWS::CloudFront::Distribution"),
    ),
    Substitution(
        subject="AWS::Logs::Delivery*",
        stand_in="nothing",
        unproven="access logs of the edge",
        applies=of_type("AWS::Logs::Delivery", "AWS::Logs::DeliverySource", "AWS::Logs::DeliveryDestination"),
        drops=True,
        references={"Ref": _name, "Arn": _arn("logs", "delivery:")},
    ),
    Substitution(
        subject="AWS::CloudWatch::CompositeAlarm",
        stand_in="nothing: the alarms that it combines exist",
        unproven="the rule that joins them",
        applies=of_type("AWS::CloudWatch::CompositeAlarm"),
        drops=True,
        references=_ALARM,
    ),
    Substitution(
        subject="AWS::Lambda::Function that calls a public address",
        stand_in="`make rehearse`: it runs when it is due during a bake, and AWS's names lead to the "
        "account; `make up`: it reaches no host",
        unproven="DNS, certificates, and that EventBridge runs it in time",
        applies=_having("AWS::Lambda::Function", "Properties", "Environment", "Variables", "PROBE_API"),
        change=_ask_nobody,
        played=lambda *_: None,
    ),
    Substitution(
        subject="AWS::CloudWatch::Alarm Metrics",
        stand_in="`make rehearse`: the player evaluates those of deployment groups; otherwise nothing",
        unproven="other alarms, and that CloudWatch accepts them",
        applies=_is_of_math,
        drops=True,
        references=_ALARM,
    ),
)
"""The table, in the order in which the rows are applied."""
