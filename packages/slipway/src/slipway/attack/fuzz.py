"""Send a deployed service valid and invalid requests by its document, within limits, with schemathesis.

Locally, answers must match the document exactly (`slipway.testing.contract.fuzz`). Once deployed, the edge and the
firewall answer too, in their own formats, so an answer that merely differs from the document is a warning.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from slipway import files
from slipway.attack import variables as names
from slipway.attack.findings import AttackFinding
from slipway.attack.target import AttackTarget
from slipway.errors import SlipwayError
from slipway.process import run
from slipway.project import ROOT

SLACK_SECONDS = 120
"""Seconds that the process may take beyond its time, to start and to write its findings."""

NOT_IMPLEMENTED = 501
"""Status with which a gateway answers an unknown method. It is not the service's failure."""

NOT_CHECKED = {
    "unsupported_method": "the gateway answers 403 to a method without a route, and can't answer 405",
    "ignored_auth": "`slipway.attack.doors` and `slipway.testing.contract.http` check this with more kinds of callers",
    "missing_required_header": "expects 401 where AWS answers 403",
    "positive_data_acceptance": "a cursor or an ETag has rules that no schema can express",
}
"""Checks of schemathesis that are switched off, with the reason."""


class AttackError(SlipwayError):
    """The service could not be attacked. The message is one line."""


@dataclass(frozen=True)
class AttackBounds:
    """Limits of what is sent.

    Attributes:
        requests: Maximum number of requests.
        seconds: Maximum duration, counted from the first request.
        seed: The same seed generates the same requests.
    """

    requests: int
    seconds: int
    seed: int


@dataclass(frozen=True)
class Fuzzed:
    """Result of a run of schemathesis.

    Attributes:
        requests: Number of requests sent.
        seconds: Duration.
        findings: Every failure, repetitions included.
    """

    requests: int
    seconds: float
    findings: tuple[AttackFinding, ...]


def fuzz(target: AttackTarget, bounds: AttackBounds, folder: Path) -> Fuzzed:
    """Send requests to a service until a limit is reached.

    Args:
        target: The service to attack.
        bounds: Limits of what is sent.
        folder: Working folder of the process.

    Raises:
        AttackError: schemathesis stopped early or sent nothing.
    """
    document, report, record, count = (
        folder / f"{target.service}.{end}" for end in ("json", "report.json", "ndjson", "count")
    )
    files.write_json(document, target.narrowed())
    for left in (report, record, count):
        left.unlink(missing_ok=True)
    done = run(
        command(target, bounds, document, report),
        folder=ROOT,
        environment={**os.environ, **variables(target, bounds, record), names.COUNT: str(count)},
        seconds=bounds.seconds + SLACK_SECONDS,
        merge=True,
    )
    said, sent = files.read_json(report), files.read_json(count)
    if said is None or not sent or said["errors"]:
        raise AttackError(f"{target.service} was not attacked: {_why(said) or done.reason}")
    return Fuzzed(sent, said["running_time"], tuple(_findings(record, target)))


def command(target: AttackTarget, bounds: AttackBounds, document: Path, report: Path) -> list[str]:
    """Return the command line of schemathesis.

    Args:
        target: The service to attack.
        bounds: Limits of what is sent.
        document: The OpenAPI document.
        report: File for schemathesis's report.
    """
    return [
        *(sys.executable, "-m", "schemathesis.cli", "run", str(document), "--url", target.api.rstrip("/")),
        *("--exclude-checks", ",".join(NOT_CHECKED), "--continue-on-failure", "--no-shrink"),
        *("--max-time", str(bounds.seconds), "--seed", str(bounds.seed), "--workers", "1"),
        *("--request-timeout", "30", "--generation-database", "none", "--no-color", "--warnings", "off"),
        *("--generation-with-security-parameters", "false", "--suppress-health-check", "all"),
        *("--report", "json", "--report-json-path", str(report)),
    ]


def variables(target: AttackTarget, bounds: AttackBounds, record: Path) -> dict[str, str]:
    """Return the environment variables that `slipway.attack.hooks` reads.

    Args:
        target: The service to attack.
        bounds: Limits of what is sent.
        record: File for the failed checks.
    """
    key = target.credentials
    found = {
        "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
        "SCHEMATHESIS_HOOKS": "slipway.attack.hooks",
        names.RECORD: str(record),
        names.REQUESTS: str(bounds.requests),
        names.API: target.api,
        "AWS_ACCESS_KEY_ID": key.access_key or "",
        "AWS_SECRET_ACCESS_KEY": key.secret_key or "",
        "AWS_SESSION_TOKEN": key.token or "",
        "AWS_REGION": target.region,
    }
    if target.edge:
        found[names.EDGE] = target.edge
    if any(route.signed for route in target.routes):
        found[names.SIGNED] = "yes"
    return found | {names.HEADERS[name]: value for name, value in target.headers.items()}


def _why(report: Mapping[str, object] | None) -> str:
    match report:
        case {"errors": [{"message": str(message)}, *_]} | {"errors": [{"title": str(message)}, *_]}:
            return " ".join(message.split())
        case None:
            return ""
        case _:
            return "no request was sent"


def _findings(record: Path, target: AttackTarget) -> Iterator[AttackFinding]:
    if not record.is_file():
        return
    known = {(route.method, route.path) for route in target.routes}
    for line in record.read_text(encoding="utf-8").splitlines():
        said = json.loads(line)
        if said["status"] == NOT_IMPLEMENTED and (said["method"], said["path"]) not in known:
            continue
        yield AttackFinding(
            rule=said["check"],
            method=said["method"],
            path=said["path"],
            message=f"answered {said['status']}: {said['message']}",
            request=said["request"],
            body=said["body"],
        )
