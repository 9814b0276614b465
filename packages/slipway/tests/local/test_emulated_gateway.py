"""API Gateway, a distribution's host and a function's limits behave on an emulated account as on AWS."""

from __future__ import annotations

import json
import ssl
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import uuid4

import httpx
import pytest
from botocore.auth import SigV4Auth
from botocore.credentials import Credentials as SigningCredentials

from local.bare import LOGS, Account, allow, emulated_account, until
from slipway.emulator.routes import SigV4
from slipway.emulator.server import Credentials

ECHO = (
    "import json\n"
    "def handler(event, context):\n"
    "    return {'statusCode': 200, 'body': json.dumps([event['httpMethod'], event['path']])}\n"
)


account = emulated_account()


@pytest.fixture(scope="module")
def http(account: Account) -> Iterator[httpx.Client]:
    with account.emulator.http(timeout=60) as client:
        yield client


PROBLEM = '{"title":"refused","detail":$context.error.messageString,"kind":"$context.error.responseType"}'


def rest_api(account: Account, function: str, methods: Sequence[str] = ("GET",), *, signed: bool = False) -> str:
    """Create a REST API with one resource `thing`, and return the path of its stage."""
    gateway, stack = account.client("apigateway"), f"api-{uuid4().hex[:8]}"
    uri = (
        f"arn:aws:apigateway:us-east-1:lambda:path/2015-03-31/functions/"
        f"{account.arn('lambda', f'function:{function}')}/invocations"
    )
    resources: dict[str, Any] = {
        "Api": {"Type": "AWS::ApiGateway::RestApi", "Properties": {"Name": stack}},
        "Thing": {
            "Type": "AWS::ApiGateway::Resource",
            "Properties": {
                "RestApiId": {"Ref": "Api"},
                "ParentId": {"Fn::GetAtt": ["Api", "RootResourceId"]},
                "PathPart": "thing",
            },
        },
        "Log": {"Type": "AWS::Logs::LogGroup", "Properties": {"LogGroupName": stack}},
        "Denied": {
            "Type": "AWS::ApiGateway::GatewayResponse",
            "Properties": {
                "RestApiId": {"Ref": "Api"},
                "ResponseType": "DEFAULT_4XX",
                "ResponseTemplates": {"application/json": PROBLEM},
            },
        },
    }
    for method in methods:
        resources[f"Thing{method}"] = {
            "Type": "AWS::ApiGateway::Method",
            "Properties": {
                "RestApiId": {"Ref": "Api"},
                "ResourceId": {"Ref": "Thing"},
                "HttpMethod": method,
                "AuthorizationType": "AWS_IAM" if signed else "NONE",
                "Integration": {"Type": "AWS_PROXY", "IntegrationHttpMethod": "POST", "Uri": uri},
            },
        }
    resources["Deployment"] = {
        "Type": "AWS::ApiGateway::Deployment",
        "Properties": {"RestApiId": {"Ref": "Api"}},
        "DependsOn": [name for name in resources if name.startswith("Thing") or name == "Denied"],
    }
    resources["Stage"] = {
        "Type": "AWS::ApiGateway::Stage",
        "Properties": {
            "RestApiId": {"Ref": "Api"},
            "DeploymentId": {"Ref": "Deployment"},
            "StageName": "live",
            "AccessLogSetting": {
                "DestinationArn": {"Fn::GetAtt": ["Log", "Arn"]},
                "Format": '{"status":"$context.status","error":"$context.error.message",'
                '"quoted":$context.error.messageString,"user":"$context.identity.user"}',
            },
        },
    }
    assert account.deploy(stack, resources) is None
    (api,) = (api["id"] for api in gateway.get_rest_apis()["items"] if api["name"] == stack)
    return f"/restapis/{api}/live/_user_request_"


@pytest.fixture(scope="module")
def echo(account: Account) -> str:
    return account.function(account.role(LOGS), ECHO)


def test_a_method_override_is_honoured(account: Account, http: httpx.Client, echo: str) -> None:
    # Given a route that serves GET only
    path = rest_api(account, echo, ("GET", "DELETE"))
    # When a GET request overrides its method
    answer = http.get(f"{path}/thing", headers={"X-HTTP-Method-Override": "DELETE"})
    # Then it is handled as that method
    assert answer.json()[0] == "DELETE"
    assert http.get(f"{path}/thing").json()[0] == "GET"
    assert http.get(f"{path}/thing", headers={"X-HTTP-Method-Override": "PATCH"}).status_code == 403


def test_an_override_must_be_allowed_as_the_method_it_names(account: Account, http: httpx.Client, echo: str) -> None:
    path = rest_api(account, echo, ("GET", "DELETE"), signed=True)
    api = path.split("/")[2]
    user = user_with(account, allow(account.arn("execute-api", f"{api}/live/GET/thing"), "execute-api:Invoke"))
    auth = SigV4(user, account.emulator.region)
    assert http.get(f"{path}/thing", auth=auth).status_code == 200
    answer = http.get(f"{path}/thing", auth=auth, headers={"X-HTTP-Method-Override": "DELETE"})
    assert answer.status_code == 403


def user_with(account: Account, *statements: Any) -> Credentials:
    iam, name = account.client("iam"), f"user-{uuid4().hex[:12]}"
    iam.create_user(UserName=name)
    document = {"Version": "2012-10-17", "Statement": list(statements)}
    iam.put_user_policy(UserName=name, PolicyName="policy", PolicyDocument=json.dumps(document))
    key = iam.create_access_key(UserName=name)["AccessKey"]
    return Credentials(key["AccessKeyId"], key["SecretAccessKey"])


class ForAnotherService(SigV4):
    """Signs requests for S3."""

    def __init__(self, credentials: Credentials, region: str) -> None:
        super().__init__(credentials, region)
        self._signer = SigV4Auth(
            SigningCredentials(credentials.access_key_id, credentials.secret_access_key), "s3", region
        )


ANYTHING = allow("*", "execute-api:Invoke")


def test_a_refusal_of_iam_is_a_gateway_response(account: Account, http: httpx.Client, echo: str) -> None:
    path = rest_api(account, echo, signed=True)
    user = user_with(account, allow("*", "s3:ListAllMyBuckets"))
    answer = http.get(f"{path}/thing", auth=SigV4(user, account.emulator.region))
    assert answer.status_code == 403
    assert (answer.json()["title"], answer.json()["kind"]) == ("refused", "ACCESS_DENIED")
    assert "not authorized to perform: execute-api:Invoke" in answer.json()["detail"]


def test_an_unknown_route_is_refused_before_iam_is_asked(account: Account, http: httpx.Client, echo: str) -> None:
    path = rest_api(account, echo, signed=True)
    user = user_with(account, allow("*", "s3:ListAllMyBuckets"))
    answer = http.get(f"{path}/nothing", auth=SigV4(user, account.emulator.region))
    assert (answer.status_code, answer.json()["kind"]) == (403, "MISSING_AUTHENTICATION_TOKEN")


def test_a_signature_for_another_service_is_refused(account: Account, http: httpx.Client, echo: str) -> None:
    path = rest_api(account, echo, signed=True)
    user = user_with(account, ANYTHING)
    assert http.get(f"{path}/thing", auth=SigV4(user, account.emulator.region)).status_code == 200
    answer = http.get(f"{path}/thing", auth=ForAnotherService(user, account.emulator.region))
    assert answer.status_code == 403
    assert "Credential should be scoped to correct service: 'execute-api'" in answer.json()["detail"]


def test_another_account_is_refused(account: Account, http: httpx.Client, echo: str) -> None:
    path = rest_api(account, echo, signed=True)
    answer = http.get(f"{path}/thing", auth=SigV4(Credentials("555555555555", "test"), account.emulator.region))
    assert (answer.status_code, answer.json()["kind"]) == (403, "ACCESS_DENIED")


def test_a_disabled_api_key_is_refused(account: Account) -> None:
    gateway = account.client("apigateway")
    key = gateway.create_api_key(name="key", enabled=True)["id"]
    patch = [{"op": "replace", "path": "/enabled", "value": "false"}]
    assert gateway.update_api_key(apiKey=key, patchOperations=patch)["enabled"] is False
    patch[0]["value"] = "true"
    assert gateway.update_api_key(apiKey=key, patchOperations=patch)["enabled"] is True


def test_an_answer_without_content_has_no_length(account: Account) -> None:
    # The response to a preflight, which browsers otherwise reject over HTTP/2
    code = "def handler(event, context):\n    return {'statusCode': 204, 'body': '{}'}\n"
    path = rest_api(account, account.function(account.role(LOGS), code))
    context = ssl.create_default_context(cafile=str(account.emulator.ca))
    with httpx.Client(verify=context, http2=True, trust_env=False) as client:
        answer = client.get(f"{account.emulator.endpoint}{path}/thing")
    assert (answer.http_version, answer.status_code, answer.content) == ("HTTP/2", 204, b"")
    assert "content-length" not in answer.headers


def test_a_failed_functions_error_is_only_in_its_log(account: Account, http: httpx.Client) -> None:
    function = account.function(account.role(LOGS), "def handler(event, context):\n    raise ValueError('inner')\n")
    answer = http.get(f"{rest_api(account, function)}/thing")
    assert (answer.status_code, answer.json()) == (502, {"message": "Internal server error"})


def test_a_throttled_function_is_a_server_error(account: Account, http: httpx.Client) -> None:
    function = account.function(account.role(LOGS), ECHO)
    account.client("lambda").put_function_concurrency(FunctionName=function, ReservedConcurrentExecutions=0)
    answer = http.get(f"{rest_api(account, function)}/thing")
    assert (answer.status_code, answer.json()) == (500, {"message": "Internal server error"})


def test_an_integration_times_out(account: Account, http: httpx.Client) -> None:
    code = "import time\ndef handler(event, context):\n    time.sleep(40)\n"
    function = account.function(account.role(LOGS), code, Timeout=60)
    path, began = rest_api(account, function), time.monotonic()
    answer = http.get(f"{path}/thing")
    assert (answer.status_code, answer.json()) == (504, {"message": "Endpoint request timed out"})
    assert time.monotonic() - began >= 29


def test_an_access_log_contains_unescaped_errors(account: Account, http: httpx.Client, echo: str) -> None:
    logs, iam = account.client("logs"), account.client("iam")
    trust = {"Effect": "Allow", "Principal": {"Service": "apigateway.amazonaws.com"}, "Action": "sts:AssumeRole"}
    role = iam.create_role(
        RoleName="gateway-logs", AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    )["Role"]["Arn"]
    account.permit(role, LOGS)
    patch = [{"op": "replace", "path": "/cloudwatchRoleArn", "value": role}]
    account.client("apigateway").update_account(patchOperations=patch)
    path = rest_api(account, echo, signed=True)
    (group,) = (
        stage["accessLogSettings"]["destinationArn"].removesuffix(":*").rpartition(":")[2]
        for stage in account.client("apigateway").get_stages(restApiId=path.split("/")[2])["item"]
    )
    # When a signature is wrong, for which the gateway's message quotes what was signed
    user = user_with(account, ANYTHING)
    wrong = SigV4(Credentials(user.access_key_id, "wrong"), account.emulator.region)
    assert http.get(f"{path}/thing", auth=wrong).status_code == 403
    assert http.get(f"{path}/thing", auth=SigV4(user, account.emulator.region)).status_code == 200

    # Then each request has its line, with nothing escaped except what the format quotes
    def lines() -> list[str] | None:
        found = [event["message"] for event in logs.filter_log_events(logGroupName=group)["events"]]
        return found if len(found) == 2 else None

    refused, served = sorted(until(lines), key=lambda line: '"200"' in line)
    assert '"status":"200","error":"-"' in served
    assert '"status":"403"' in refused
    assert '"error":"The request signature we calculated' in refused


def test_a_distributions_host_hides_the_emulators_own_paths(account: Account, http: httpx.Client, echo: str) -> None:
    api = rest_api(account, echo).split("/")[2]
    for host in (f"{api}.execute-api.localhost", "d0123456789abc.cloudfront.net"):
        for internal in ("/health", "/_ministack/health", "/_localstack/health"):
            answer = http.get(internal, headers={"Host": host})
            assert answer.status_code in {403, 404}, (host, internal, answer.text)


def test_environments_start_a_few_at_a_time(account: Account) -> None:
    function = account.function(account.role(LOGS), "def handler(event, context):\n    return 1\n", Timeout=30)
    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(lambda _: account.invoke(function), range(20)))
    # Later requests were served by environments that had already started
    assert answers == [1] * 20
    assert len(account.emulator.environments(f"{function}-")) < 20


def test_a_function_over_its_memory_is_killed(account: Account) -> None:
    code = (
        "import time\n"
        "def handler(event, context):\n"
        "    kept = bytearray(event * 1024 * 1024)\n"
        "    for at in range(0, len(kept), 4096):\n"
        "        kept[at] = 1\n"
        "    time.sleep(0.3)\n"
        "    return len(kept)\n"
    )
    function = account.function(account.role(LOGS), code, MemorySize=128)
    # When it uses more memory than it has
    answer = account.invoke(function, 300)
    # Then it is killed, with AWS's error
    assert answer["errorType"] == "Runtime.ExitError"
    assert answer["errorMessage"].endswith("Error: Runtime exited with error: signal: killed")
    # And the next invocation starts a new environment
    assert account.invoke(function, 20) == 20 * 1024 * 1024
    events = account.client("logs").filter_log_events(logGroupName=f"/aws/lambda/{function}")["events"]
    reports = [event["message"] for event in events if event["message"].startswith("REPORT")]
    assert "Max Memory Used: 128 MB" in reports[0]
    assert "Max Memory Used: 128 MB" not in reports[1]
