"""Fuzz each service from its OpenAPI document with schemathesis, authorised, through HTTPS.

No answer is a 5xx, and each one matches the document: status, media type, headers, schema. The requests include valid
and invalid ones, and sequences, by the links that schemathesis infers between operations (the documents name none).

The same seed gives the same requests, so a fault is reproducible. `SLIPWAY_FUZZ_SEED` sets another one. The number of
requests that schemathesis generates from its examples depends on the answers and their duration; so it continues with
the next seed until a service has received enough.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from typing import Any

import boto3
import pytest

import slipway
import slipway_runtime
from slipway.attack.fuzz import NOT_CHECKED
from slipway.emulator.environment import LocalEnvironment, Outputs
from slipway.process import Server, start_server
from slipway.project import ROOT
from slipway.testing.contract.http import OPERATIONS, callers_of

SERVICES = sorted({operation.service for operation in OPERATIONS})
SOURCES = (Path(slipway.__path__[0]).parent, Path(slipway_runtime.__path__[0]).parent)

SEED = int(os.environ.get("SLIPWAY_FUZZ_SEED", "20261120"))
LEAST_REQUESTS = 3000

EXAMPLES = 290
"""Examples of an operation in the first round, which on a quiet machine is enough for five of them."""


@dataclass
class Fuzzing:
    """A service being fuzzed: by one process after the other, until it has received enough requests.

    Args:
        start: Starts a round of some examples with a seed; gives its process.
        examples: Number of examples in the first round.
        report: Report of a round.
        log: Log of a round.
    """

    start: Callable[[int, int], Server]
    examples: int
    report: Path
    log: Path

    def __post_init__(self) -> None:
        """Begin."""
        self.seeds, self.requests, self.seconds, self.faults = [SEED], 0, 0.0, 0
        self.process = self.start(self.examples, SEED)

    def end(self) -> bool:
        """Wait until there were enough requests, or a fault; return True without a fault."""
        while self._round() and self.requests < LEAST_REQUESTS:
            self.seeds.append(self.seeds[-1] + 1)
            missing = (LEAST_REQUESTS - self.requests) / self.requests
            self.process = self.start(max(20, ceil(1.2 * missing * self.examples)), self.seeds[-1])
        return self.process.returncode == 0

    def _round(self) -> bool:
        """Wait for a round, and count its requests; return True if it completed without a fault."""
        self.process.wait()
        result: dict[str, Any] = json.loads(self.report.read_text(encoding="utf-8"))
        cases = result["test_cases"]
        self.requests += cases["generated"]
        self.faults += cases["unique_failures"]
        self.seconds += result["running_time"]
        return self.process.returncode == 0 and bool(result["complete"]) and cases["generated"] > 0


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
    environment = {
        "PYTHONPATH": os.pathsep.join(map(str, [ROOT, *SOURCES])),
        "SCHEMATHESIS_HOOKS": "slipway.attack.hooks",
        **variables,
    }

    def start(examples: int, seed: int) -> Server:
        report.unlink(missing_ok=True)
        with log.open("wb") as output:
            process = start_server(
                [*command, "--max-examples", str(examples), "--seed", str(seed)],
                folder=ROOT,
                environment=environment,
                log=output,
            )
        # Ended with the fixture if it is not done.
        stack.callback(process.wait)
        stack.callback(process.kill)
        return process

    return Fuzzing(start, EXAMPLES, report, log)


class FuzzContract:
    """The suite. Subclass it in a module of the app's local tests, under a name that pytest collects."""

    @pytest.fixture(scope="class")
    @classmethod
    def fuzzed(
        cls, local: LocalEnvironment, outputs: Outputs, session: Callable[..., boto3.Session]
    ) -> Iterator[Mapping[str, Fuzzing]]:
        """Start with all services at once, a process each: hypothesis generates on one processor only."""
        (local.folder.parent / "fuzz").mkdir(parents=True, exist_ok=True)
        with ExitStack() as stack:
            started = {}
            for service in SERVICES:
                callers = stack.enter_context(callers_of(local, service, outputs[service]))
                variables = {**local.emulator.environment(local.emulator.root), **callers.fuzz}
                if origin := outputs[service].get("OriginSecretArn"):
                    secret = session().client("secretsmanager").get_secret_value(SecretId=origin)
                    variables["FUZZ_ORIGIN"] = json.loads(secret["SecretString"])["header"]
                started[service] = _fuzzing(service, local, outputs, variables, stack)
            yield started

    @pytest.mark.timeout(1800)
    @pytest.mark.parametrize("service", SERVICES)
    def test_every_answer_is_one_that_the_document_describes(
        self, fuzzed: Mapping[str, Fuzzing], service: str, say: Callable[[str], None]
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
