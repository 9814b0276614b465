"""Each service, fuzzed from its OpenAPI document by schemathesis, authorised, through HTTPS.

No answer is a 5xx, and each is one that the document describes: status, media type, headers, schema. Requests that the
document allows and such that it does not; and sequences, by the links that schemathesis infers between operations (the
documents name none).

The same seed gives the same requests, so a fault comes again. `SLIPWAY_FUZZ_SEED` takes another one. How many requests
schemathesis makes of its examples depends on the answers and on the time that they take; so it goes on with the next
seed for what is missing until a service was sent enough.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from typing import Any
from uuid import uuid4

import boto3
import pytest

from services.ingest.tests.local.ingest import Behind
from services.processing.sign_in import access_token
from slipway.emulator.environment import LocalEnvironment, Outputs
from slipway.emulator.server import Credentials
from slipway.paths import ROOT

SEED = int(os.environ.get("SLIPWAY_FUZZ_SEED", "20261120"))
LEAST_REQUESTS = 3000

EXAMPLES = {"items": 290, "ingest": 290, "processing": 248}
"""Examples of an operation in the first round, which on a quiet machine is enough."""

NOT_CHECKED = {
    "unsupported_method": "the gateway answers 403 to a method without a route, for which it has no 405",
    "ignored_auth": "test_items_credentials.py, TestKeys and refused_tokens do it, with more kinds",
    "missing_required_header": "wants 401 from where AWS answers 403",
    "positive_data_acceptance": "a cursor or an ETag has rules that no schema can say",
}
"""Checks of schemathesis that are left out, and why."""


@dataclass
class Fuzzing:
    """A service that is being fuzzed: by one process after the other, until it was sent enough.

    Args:
        start: starts a round of some examples with a seed; gives its process.
        examples: of the first round.
        report: what a round writes.
        log: what a round says.
    """

    start: Callable[[int, int], subprocess.Popen[bytes]]
    examples: int
    report: Path
    log: Path

    def __post_init__(self) -> None:
        """Begin."""
        self.seeds, self.requests, self.seconds, self.faults = [SEED], 0, 0.0, 0
        self.process = self.start(self.examples, SEED)

    def end(self) -> bool:
        """Wait until there were enough requests, or a fault; whether there was none."""
        while self._round() and self.requests < LEAST_REQUESTS:
            self.seeds.append(self.seeds[-1] + 1)
            missing = (LEAST_REQUESTS - self.requests) / self.requests
            self.process = self.start(max(20, ceil(1.2 * missing * self.examples)), self.seeds[-1])
        return self.process.returncode == 0

    def _round(self) -> bool:
        """Wait for a round, and count; whether it came to its end without a fault."""
        self.process.wait()
        result: dict[str, Any] = json.loads(self.report.read_text(encoding="utf-8"))
        cases = result["test_cases"]
        self.requests += cases["generated"]
        self.faults += cases["unique_failures"]
        self.seconds += result["running_time"]
        return self.process.returncode == 0 and bool(result["complete"]) and cases["generated"] > 0


@pytest.fixture(scope="module")
def authorised(session: Callable[..., boto3.Session], outputs: Outputs) -> Mapping[str, dict[str, str]]:
    """Service → variables of `tests/local/fuzzing.py`."""
    root = session()
    origin = root.client("secretsmanager").get_secret_value(SecretId=outputs["items"]["OriginSecretArn"])
    ingest = Behind(root, outputs["ingest"])
    return {
        "items": {"FUZZ_SIGNED": "yes", "FUZZ_ORIGIN": json.loads(origin["SecretString"])["header"]},
        # In a plan without limits: answers of a used-up quota would show nothing.
        "ingest": {"FUZZ_API_KEY": ingest.new_key(ingest.new_plan())},
        "processing": {"FUZZ_AUTHORIZATION": f"Bearer {access_token(root.client, outputs['processing'])}"},
    }


@pytest.fixture(scope="module")
def anybody(session: Callable[..., boto3.Session]) -> Iterator[Credentials]:
    """A user who may call everything: to the emulator, a `*` at the end of an ARN stands for no line break."""
    iam, name = session().client("iam"), f"fuzz-{uuid4().hex[:8]}"
    iam.create_user(UserName=name)
    statement = {"Effect": "Allow", "Action": "execute-api:Invoke", "Resource": "*"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    iam.put_user_policy(UserName=name, PolicyName="call", PolicyDocument=policy)
    key = iam.create_access_key(UserName=name)["AccessKey"]
    yield Credentials(key["AccessKeyId"], key["SecretAccessKey"])
    iam.delete_access_key(UserName=name, AccessKeyId=key["AccessKeyId"])
    iam.delete_user_policy(UserName=name, PolicyName="call")
    iam.delete_user(UserName=name)


@pytest.fixture(scope="module")
def fuzzed(
    local: LocalEnvironment, outputs: Outputs, anybody: Credentials, authorised: Mapping[str, dict[str, str]]
) -> Iterator[Mapping[str, Fuzzing]]:
    """All services at once, a process each: hypothesis generates on one processor only."""
    folder = local.folder.parent / "fuzz"
    folder.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        yield {
            service: _fuzzing(service, local, outputs, {**local.emulator.environment(anybody), **variables}, stack)
            for service, variables in authorised.items()
        }


def _fuzzing(
    service: str, local: LocalEnvironment, outputs: Outputs, variables: Mapping[str, str], stack: ExitStack
) -> Fuzzing:
    folder = local.folder.parent / "fuzz"
    report, log = folder / f"{service}.json", folder / f"{service}.log"
    command = [
        *(str(Path(sys.executable).with_name("schemathesis")), "run", f"services/{service}/openapi.json"),
        *("--url", outputs[service]["ApiEndpoint"].rstrip("/"), "--tls-verify", str(local.emulator.ca)),
        *("--exclude-checks", ",".join(NOT_CHECKED)),
        # More threads than one make CPython 3.11's compiler fail, which hypothesis uses to read its own source
        # ("AST constructor recursion depth mismatch").
        *("--workers", "1", "--request-timeout", "30", "--generation-database", "none", "--no-color"),
        *("--continue-on-failure", "--report", "json", "--report-json-path", str(report)),
    ]
    environment = {"PYTHONPATH": str(ROOT), "SCHEMATHESIS_HOOKS": "tests.local.fuzzing", **variables}

    def start(examples: int, seed: int) -> subprocess.Popen[bytes]:
        report.unlink(missing_ok=True)
        with log.open("wb") as output:
            process = subprocess.Popen(
                [*command, "--max-examples", str(examples), "--seed", str(seed)],
                cwd=ROOT,
                env=environment,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        # Ended with the fixture if it is not done.
        stack.callback(process.wait)
        stack.callback(process.kill)
        return process

    return Fuzzing(start, EXAMPLES[service], report, log)


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("service", EXAMPLES)
def test_every_answer_is_one_that_the_document_describes(
    fuzzed: Mapping[str, Fuzzing], service: str, say: Callable[[str], None]
) -> None:
    # When a service has been sent whatever its document allows, and what it does not
    fuzzing = fuzzed[service]
    passed = fuzzing.end()
    seeds = " and ".join(map(str, fuzzing.seeds))
    say(
        f"{fuzzing.requests} requests from its OpenAPI document, seed {seeds}, {fuzzing.seconds:.0f} s, "
        f"{fuzzing.faults} faults"
    )
    # Then no answer is a failure, or one that it does not describe
    assert passed, fuzzing.log.read_text(encoding="utf-8")[-20_000:]
    assert fuzzing.requests >= LEAST_REQUESTS
