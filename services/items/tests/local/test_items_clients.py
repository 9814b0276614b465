"""Other people's clients: a generated one, curl, a browser."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit
from uuid import uuid4

import httpx
import pytest

from services.items.tests.local.items import create
from slipway.emulator.environment import LocalEnvironment, Outputs
from slipway.emulator.routes import SigV4, target
from slipway.emulator.server import Credentials
from slipway.testing.browser import Browser, why_not
from slipway.testing.clients import GeneratedClient, curl, fetch, generate, page_elsewhere
from slipway.testing.emulated import Request


@pytest.fixture(scope="module")
def generated(tmp_path_factory: pytest.TempPathFactory) -> GeneratedClient:
    return generate("items", tmp_path_factory.mktemp("items"))


def test_items_are_written_and_read(
    generated: GeneratedClient,
    local: LocalEnvironment,
    http: httpx.Client,
    outputs: Outputs,
    caller: Credentials,
) -> None:
    client, at = generated, outputs["items"]["ApiEndpoint"].rstrip("/")
    problem, item, new = client.model("Problem"), client.model("Item"), client.model("NewItem")
    edge = target(outputs["items"], "/items", edge=True)
    with local.emulator.http() as writer, local.emulator.http() as reader:
        writer.auth = SigV4(caller, local.emulator.region)
        reader.headers = httpx.Headers({"Host": edge.host} if edge.host else {})
        public = edge.url.removesuffix("/items")
        # When an item is created under a key, read, listed, replaced and deleted
        key = uuid4().hex
        created = client.call("create_item", writer, at, body=new.from_dict({"name": "kettle"}), idempotency_key=key)
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


def test_curl_writes_what_it_signs(
    local: LocalEnvironment, caller: Credentials, outputs: Outputs, tmp_path: Path
) -> None:
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    at = outputs["items"]["ApiEndpoint"].rstrip("/")
    headers = ("--header", "Content-Type: application/json", "--header", f"Idempotency-Key: {uuid4().hex}")
    post = ("--data", '{"name": "kettle"}', *headers)
    status, item = curl(local.emulator, caller, tmp_path, f"{at}/items", *post)
    assert status == 201
    assert curl(local.emulator, caller, tmp_path, f"{at}/items", *post) == (201, item)
    path = f"{at}/items/{item['id']}"
    put = ("--request", "PUT", "--data", '{"name": "pot"}', *headers[:2], "--header", 'If-Match: "1"')
    status, replaced = curl(local.emulator, caller, tmp_path, path, *put)
    assert (status, replaced["version"]) == (200, 2)
    delete = ("--request", "DELETE", "--header", 'If-Match: "2"')
    assert curl(local.emulator, caller, tmp_path, path, *delete) == (204, {})


@pytest.fixture(scope="module")
def page(local: LocalEnvironment, outputs: Outputs, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    if missing := why_not():
        pytest.skip(missing)
    hosts = {urlsplit(outputs["items"]["ApiEndpoint"]).hostname or "", outputs["items"]["DistributionDomain"]}
    with page_elsewhere(local.emulator, tmp_path_factory.mktemp("page"), hosts) as window:
        yield window


@pytest.mark.requirement("items: the edge")
def test_a_page_reads_on_with_the_tag_it_has(page: Browser, outputs: Outputs, signed: Request) -> None:
    address = f"https://{outputs['items']['DistributionDomain']}/items/{create(signed)['id']}"
    first = fetch(page, address)
    assert (first["status"], first["etag"]) == (200, '"1"')
    # `no-store`, or the browser would answer from its own cache
    assert fetch(page, address, headers={"If-None-Match": '"1"'}, cache="no-store")["status"] == 304


def test_a_page_reads_why_its_write_was_refused(page: Browser, outputs: Outputs) -> None:
    headers = {"Content-Type": "application/json", "Idempotency-Key": "key"}
    answer = fetch(page, f"{outputs['items']['ApiEndpoint']}items", method="POST", headers=headers, body="{}")
    assert answer["status"] == 403
    assert json.loads(answer["text"])["status"] == 403
