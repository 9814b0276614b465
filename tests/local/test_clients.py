"""Other people's clients on the running services: generated ones, curl, the AWS CLI, an SRP library, a browser."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import boto3
import httpx
import pytest
from pycognito.aws_srp import AWSSRP

from services.ingest.tests.local.ingest import Behind
from services.items.tests.local.items import create
from services.processing.sign_in import access_token
from slipway.emulator.environment import LocalEnvironment, Outputs
from slipway.emulator.routes import SigV4, target
from slipway.emulator.server import Credentials
from slipway.testing.browser import Browser, browser, why_not
from slipway.testing.emulated import Request, until
from tests.clients import GeneratedClient, generate

UNSIGNED = "SignedHeaders=host, Signature=0"
PASSWORD = "Correct-horse-7-battery"


def base(outputs: Outputs, service: str) -> str:
    return outputs[service]["ApiEndpoint"].rstrip("/")


@pytest.fixture(scope="module")
def generated(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], GeneratedClient]:
    made: dict[str, GeneratedClient] = {}

    def of(service: str) -> GeneratedClient:
        if service not in made:
            made[service] = generate(service, tmp_path_factory.mktemp(service))
        return made[service]

    return of


class TestGenerated:
    """A client made from the document reads every answer, the gateway's own refusals among them."""

    def test_items_are_written_and_read(
        self,
        generated: Callable[[str], GeneratedClient],
        local: LocalEnvironment,
        http: httpx.Client,
        outputs: Outputs,
        caller: Credentials,
    ) -> None:
        client, at = generated("items"), base(outputs, "items")
        problem, item, new = client.model("Problem"), client.model("Item"), client.model("NewItem")
        edge = target(outputs["items"], "/items", edge=True)
        with local.emulator.http() as writer, local.emulator.http() as reader:
            writer.auth = SigV4(caller, local.emulator.region)
            reader.headers = httpx.Headers({"Host": edge.host} if edge.host else {})
            public = edge.url.removesuffix("/items")
            # When an item is created under a key, read, listed, replaced and deleted
            key = uuid4().hex
            created = client.call(
                "create_item", writer, at, body=new.from_dict({"name": "kettle"}), idempotency_key=key
            )
            again = client.call("create_item", writer, at, body=new.from_dict({"name": "kettle"}), idempotency_key=key)
            read = client.call("get_item", reader, public, id=created.parsed.id)
            page = client.call("list_items", reader, public, limit=1)
            held = client.call("get_item", reader, public, id=created.parsed.id, if_none_match='"1"')
            replacement = client.model("ItemReplacement").from_dict({"name": "pot"})
            replaced = client.call("replace_item", writer, at, id=created.parsed.id, body=replacement, if_match='"1"')
            stale = client.call("delete_item", writer, at, id=created.parsed.id, if_match='"1"')
            deleted = client.call("delete_item", writer, at, id=created.parsed.id, if_match='"7", "2"')
            health = client.call("get_health", http, at)
            # Then each answer is what the document says
            assert isinstance(created.parsed, item)
            assert created.parsed == again.parsed == read.parsed
            assert isinstance(page.parsed.items[0], item)
            assert (held.status_code, held.parsed) == (304, None)
            assert (replaced.parsed.name, replaced.parsed.version) == ("pot", 2)
            assert (stale.status_code, stale.parsed.status) == (412, 412)
            assert (deleted.status_code, deleted.parsed) == (204, None)
            assert health.parsed.status == "ok"
            # And so is each refusal, from every layer that refuses
            other = client.call("create_item", writer, at, body=new.from_dict({"name": "pan"}), idempotency_key=key)
            nothing = client.call("get_item", reader, public, id="none")
            invalid = client.call("create_item", writer, at, body=new.from_dict({"name": "\u200b"}))
            large = {"name": "kettle", "data": {"a": [1] * 11_000}}
            too_much = client.call("create_item", writer, at, body=new.from_dict(large))
            refused = {422: other, 404: nothing, 400: invalid, 413: too_much}
            for status, answer in refused.items():
                assert isinstance(answer.parsed, problem)
                assert (answer.status_code, answer.parsed.status) == (status, status)

    @pytest.mark.parametrize(
        "authorization",
        [
            None,
            "AWS4-HMAC-SHA256 garbage",
            "Bearer token",
            f"AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20261129/us-east-1/execute-api/aws4_request, {UNSIGNED}",
        ],
    )
    def test_what_the_gateway_refuses_is_a_problem(
        self,
        generated: Callable[[str], GeneratedClient],
        local: LocalEnvironment,
        outputs: Outputs,
        authorization: str | None,
    ) -> None:
        client = generated("items")
        with local.emulator.http() as http:
            if authorization:
                http.headers["Authorization"] = authorization
            body = client.model("NewItem").from_dict({"name": "kettle"})
            answer = client.call("create_item", http, base(outputs, "items"), body=body)
        assert isinstance(answer.parsed, client.model("Problem"))
        assert (answer.parsed.status, answer.parsed.title) == (403, "Forbidden")

    def test_records_are_sent_and_worked_off(
        self, generated: Callable[[str], GeneratedClient], local: LocalEnvironment, outputs: Outputs, session: Any
    ) -> None:
        client, at = generated("ingest"), base(outputs, "ingest")
        new = client.model("NewRecord").from_dict({"payload": "x" * 5000})
        behind = Behind(session(), outputs["ingest"])
        with local.emulator.http() as http:
            refused = client.call("create_record", http, at, body=new)
            health = client.call("get_health", http, at)
            http.headers["x-api-key"] = behind.new_key(behind.new_plan())
            sent = client.call("create_record", http, at, body=new)
            read = client.call("get_record", http, at, id=sent.parsed.id)
            job = client.call("start_job", http, at)
            ended = until(
                lambda: (
                    found
                    if (found := client.call("get_job", http, at, job=job.parsed.id).parsed).status.value == "completed"
                    else None
                )
            )
            # And one whose payload was lost
            behind.client("s3").delete_object(Bucket=outputs["ingest"]["BucketName"], Key=f"payloads/{sent.parsed.id}")
            lost = client.call("get_record", http, at, id=sent.parsed.id)
            missing = client.call("get_record", http, at, id="none")
        assert (refused.parsed.status, refused.parsed.title) == (403, "Forbidden")
        assert health.parsed.status == "ok"
        assert (read.parsed.payload, read.parsed.size) == ("x" * 5000, 5000)
        assert (ended.total, ended.failures) == (1, [])
        assert (lost.status_code, lost.parsed.status.value, lost.parsed.payload) == (200, "failed", None)
        assert lost.parsed.reason
        assert missing.parsed.status == 404

    def test_data_is_processed(
        self, generated: Callable[[str], GeneratedClient], local: LocalEnvironment, outputs: Outputs, session: Any
    ) -> None:
        client, at = generated("processing"), base(outputs, "processing")
        submission = client.model("Submission").from_dict({"data": {"word": "straße"}})
        with local.emulator.http() as http:
            refused = client.call("process", http, at, body=submission)
            health = client.call("get_health", http, at)
            token = access_token(session().client, outputs["processing"])
            http.headers["Authorization"] = f"Bearer {token}"
            valid = client.call("validate", http, at, body=submission)
            accepted = client.call("process", http, at, body=submission, idempotency_key=uuid4().hex)
            done = until(
                lambda: (
                    found
                    if (found := client.call("get_job", http, at, id=accepted.parsed.id).parsed).status.value
                    == "processed"
                    else None
                )
            )
            page = client.call("list_results", http, at, limit=1)
            upload = client.model("UploadRequest").from_dict({"content_type": "text/plain"})
            form = client.call("create_upload", http, at, body=upload)
            large = client.model("Submission").from_dict({"data": {"number": 1e300}})
            faulty = client.call("validate", http, at, body=large)
            # And a result that was lost
            session().client("s3").delete_object(
                Bucket=outputs["processing"]["BucketName"], Key=f"processed/{accepted.parsed.id}.json"
            )
            lost = client.call("get_job", http, at, id=accepted.parsed.id)
        assert (refused.status_code, refused.parsed.message) == (401, "Unauthorized")
        assert health.parsed.status == "ok"
        assert valid.parsed.status.value == "validated"
        assert done.result.to_dict() == {"word": "STRASSE"}
        assert page.parsed.results
        assert form.parsed.fields.to_dict()
        assert (faulty.parsed.status, [error.field for error in faulty.parsed.errors]) == (400, ["/data/number"])
        assert (lost.status_code, lost.parsed.status.value) == (200, "failed")
        assert lost.parsed.reason


class TestCurl:
    """`curl --aws-sigv4`, as the pages of AWS show it."""

    @pytest.fixture
    def curl(
        self, local: LocalEnvironment, outputs: Outputs, caller: Credentials, tmp_path: Path
    ) -> Callable[..., tuple[int, dict[str, Any]]]:
        if shutil.which("curl") is None:
            pytest.skip("curl is not installed")
        # Not on the command line, where others could read the key.
        config = tmp_path / "curl"
        config.write_text(f'user = "{caller.access_key_id}:{caller.secret_access_key}"\n', encoding="utf-8")

        def call(method: str, path: str, *headers: str, body: Any = None) -> tuple[int, dict[str, Any]]:
            command = [
                *("curl", "--silent", "--config", str(config), "--cacert", str(local.emulator.ca)),
                *("--aws-sigv4", f"aws:amz:{local.emulator.region}:execute-api", "--request", method),
                *("--write-out", "\\n%{http_code}"),
                *(part for header in headers for part in ("--header", header)),
                *(("--data", json.dumps(body), "--header", "Content-Type: application/json") if body else ()),
                f"{base(outputs, 'items')}{path}",
            ]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            content, _, status = done.stdout.rpartition("\n")
            return int(status), json.loads(content) if content else {}

        return call

    def test_it_writes_what_it_signs(self, curl: Callable[..., tuple[int, dict[str, Any]]]) -> None:
        key = f"Idempotency-Key: {uuid4().hex}"
        status, item = curl("POST", "/items", key, body={"name": "kettle"})
        assert status == 201
        assert curl("POST", "/items", key, body={"name": "kettle"}) == (201, item)
        path = f"/items/{item['id']}"
        status, replaced = curl("PUT", path, 'If-Match: "1"', body={"name": "pot"})
        assert (status, replaced["version"]) == (200, 2)
        assert curl("DELETE", path, 'If-Match: "2"') == (204, {})


class TestAwsCli:
    """The AWS CLI, beside the services and in their callers' names."""

    @pytest.fixture
    def aws(self, local: LocalEnvironment, tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
        def run(*arguments: str, credentials: Credentials | None = None) -> subprocess.CompletedProcess[str]:
            who = credentials or local.emulator.root
            environment = {
                "PATH": os.environ["PATH"],
                "HOME": str(tmp_path),
                "AWS_ACCESS_KEY_ID": who.access_key_id,
                "AWS_SECRET_ACCESS_KEY": who.secret_access_key,
                "AWS_DEFAULT_REGION": local.emulator.region,
                "AWS_CA_BUNDLE": str(local.emulator.ca),
                "AWS_EC2_METADATA_DISABLED": "true",
            }
            command = ["aws", "--endpoint-url", local.emulator.endpoint, "--output", "json", *arguments]
            return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)

        return run

    def test_it_signs_in_and_fetches_a_result(
        self,
        aws: Callable[..., subprocess.CompletedProcess[str]],
        http: httpx.Client,
        outputs: Outputs,
        session: Any,
    ) -> None:
        # Given a user
        name, found = f"cli-{uuid4().hex[:8]}", outputs["processing"]
        user(session(), found["UserPoolId"], name)
        # When the CLI signs in, and its token is used
        signed_in = aws(
            *("cognito-idp", "initiate-auth", "--client-id", found["UserPoolClientId"]),
            *("--auth-flow", "USER_PASSWORD_AUTH", "--auth-parameters", f"USERNAME={name},PASSWORD={PASSWORD}"),
        )
        token = json.loads(signed_in.stdout)["AuthenticationResult"]["AccessToken"]
        headers = {"Authorization": f"Bearer {token}"}
        accepted = http.post(f"{base(outputs, 'processing')}/process", json={"data": {"a": "b"}}, headers=headers)
        assert accepted.status_code == 202, accepted.text
        place = accepted.url.join(accepted.headers["Location"])
        until(lambda: http.get(place, headers=headers).json()["status"] == "processed")
        # Then it fetches the result
        fetched = aws("s3", "cp", f"s3://{found['BucketName']}/processed/{accepted.json()['id']}.json", "-")
        assert json.loads(fetched.stdout) == {"a": "B"}

    def test_a_callers_key_reaches_nothing_but_the_api(
        self, aws: Callable[..., subprocess.CompletedProcess[str]], outputs: Outputs, caller: Credentials
    ) -> None:
        refused = aws("dynamodb", "scan", "--table-name", outputs["items"]["TableName"], credentials=caller)
        assert refused.returncode != 0
        assert "AccessDenied" in refused.stderr


def user(session: boto3.Session, pool: str, name: str) -> None:
    cognito = session.client("cognito-idp")
    attributes: Any = [{"Name": "email", "Value": f"{name}@example.com"}, {"Name": "email_verified", "Value": "true"}]
    cognito.admin_create_user(UserPoolId=pool, Username=name, MessageAction="SUPPRESS", UserAttributes=attributes)
    cognito.admin_set_user_password(UserPoolId=pool, Username=name, Password=PASSWORD, Permanent=True)


@pytest.mark.parametrize("alias", ["{name}", "{name}@example.com"])
def test_a_user_signs_in_without_sending_a_password(
    outputs: Outputs, http: httpx.Client, session: Any, alias: str
) -> None:
    # Given a user, and a library that speaks SRP
    name, found = f"srp-{uuid4().hex[:8]}", outputs["processing"]
    user(session(), found["UserPoolId"], name)
    cognito = session().client("cognito-idp")

    def tokens(password: str) -> Any:
        srp = AWSSRP(
            username=alias.format(name=name),
            password=password,
            pool_id=found["UserPoolId"],
            client_id=found["UserPoolClientId"],
            client=cognito,
        )
        return srp.authenticate_user()["AuthenticationResult"]

    # Then its token is taken, and a wrong password gives none
    headers = {"Authorization": f"Bearer {tokens(PASSWORD)['AccessToken']}"}
    assert http.get(f"{base(outputs, 'processing')}/results", headers=headers).status_code == 200
    with pytest.raises(cognito.exceptions.NotAuthorizedException):
        tokens(f"{PASSWORD}!")


@pytest.mark.parametrize("service", ["items", "ingest", "processing"])
def test_a_monitor_may_ask_by_head(http: httpx.Client, outputs: Outputs, service: str) -> None:
    address = f"{base(outputs, service)}/health"
    head, read = http.head(address), http.get(address)
    assert head.status_code == read.status_code == 200
    assert head.content == b""
    # What remains of the time is in the content, with more or fewer digits
    assert abs(int(head.headers["content-length"]) - len(read.content)) <= 2


def test_head_says_the_length_of_get(edge: Request, signed: Request) -> None:
    path = f"/items/{create(signed)['id']}"
    plain = {"Accept-Encoding": "identity"}
    head, read = edge("HEAD", path, headers=plain), edge("GET", path, headers=plain)
    assert head.headers["content-length"] == read.headers["content-length"] == str(len(read.content))
    assert urlsplit(str(head.url)).path == urlsplit(str(read.url)).path


@pytest.fixture(scope="module")
def page(local: LocalEnvironment, outputs: Outputs, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """A page of another origin in a real browser, which asks before it sends what a form could not."""
    if missing := why_not():
        pytest.skip(missing)
    empty = tmp_path_factory.mktemp("page") / "empty.html"
    empty.write_text("<!doctype html><title>another origin</title>", encoding="utf-8")
    hosts = {urlsplit(base(outputs, service)).hostname or "" for service in ("items", "ingest", "processing")}
    with browser(
        width=800, height=600, reaches={*hosts, outputs["items"]["DistributionDomain"]}, at=local.emulator.port
    ) as window:
        window.open(empty)
        yield window


def fetched(page: Browser, address: str, **options: Any) -> dict[str, Any]:
    """What a script of the page sees of an answer; `error` alone where the browser refuses it."""
    script = """
        return fetch(arguments[0], arguments[1]).then(
            answer => answer.text().then(text => ({
                status: answer.status, text, etag: answer.headers.get("etag"), location: answer.headers.get("location"),
            })),
            error => ({ error: String(error) }),
        );
    """
    answer: dict[str, Any] = page.run(script, address, options)
    return answer


class TestBrowser:
    def test_a_page_reads_on_with_the_tag_it_has(
        self, page: Browser, outputs: Outputs, signed: Request, edge: Request
    ) -> None:
        item = create(signed)
        address = f"https://{outputs['items']['DistributionDomain']}/items/{item['id']}"
        first = fetched(page, address)
        assert (first["status"], first["etag"]) == (200, '"1"')
        # `no-store`, or the browser would answer from its own cache
        again = fetched(page, address, headers={"If-None-Match": '"1"'}, cache="no-store")
        assert again["status"] == 304

    def test_a_page_reads_why_its_write_was_refused(self, page: Browser, outputs: Outputs) -> None:
        headers = {"Content-Type": "application/json", "Idempotency-Key": "key"}
        answer = fetched(page, f"{base(outputs, 'items')}/items", method="POST", headers=headers, body="{}")
        assert answer["status"] == 403
        assert json.loads(answer["text"])["status"] == 403

    def test_a_page_sends_a_record_with_its_key(self, page: Browser, outputs: Outputs, session: Any) -> None:
        behind = Behind(session(), outputs["ingest"])
        headers = {"Content-Type": "application/json", "x-api-key": behind.new_key(behind.new_plan())}
        body = json.dumps({"payload": "from a page"})
        answer = fetched(page, f"{base(outputs, 'ingest')}/data", method="POST", headers=headers, body=body)
        assert answer["status"] == 201
        assert answer["location"]

    def test_a_page_has_data_processed_with_its_token(self, page: Browser, outputs: Outputs, session: Any) -> None:
        token = access_token(session().client, outputs["processing"])
        headers = {"Content-Type": "application/json", "Authorization": f"Bearer {token}", "Idempotency-Key": "page"}
        body = json.dumps({"data": {"a": "b"}})
        answer = fetched(page, f"{base(outputs, 'processing')}/process", method="POST", headers=headers, body=body)
        assert answer["status"] == 202
        assert answer["location"]
